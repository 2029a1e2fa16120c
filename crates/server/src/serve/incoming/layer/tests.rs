//! What is held and replaced of one connection.

use std::task::Waker;

use talaria_config::settings::HeadSettings;

use super::super::frames::write_block;
use super::super::http1::Http1;
use super::super::http2::Http2;
use super::super::through::{timer, unbounded};
use super::*;

/// One read brings many blocks, each of which becomes 8 KiB: one is replaced at a time, and the next
/// one waits until hyper has read it.
#[test]
fn one_head_is_replaced_at_a_time() {
    const BLOCKS: u8 = 100;
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let mut entry = b"\x82\x86\x04\x02/\"\x40\x01x\x7f\xa1\x1e".to_vec();
    entry.resize(entry.len() + 4000, b'a');
    write_block(&entry, 1, [0, 0, 0, 1], &mut sent);
    for number in 1..=BLOCKS {
        let block = b"\x82\x86\x84\xbe\xbe";
        write_block(block, 1, [0, 0, number, 1], &mut sent);
    }
    let runtime = timer();
    let _inside = runtime.enter();
    let mut context = Context::from_waker(Waker::noop());
    let (mut peer, carrier) = tokio::io::duplex(sent.len());
    let written = Pin::new(&mut peer).poll_write(&mut context, &sent);
    assert!(written.is_ready());
    let mut layer = Layer::new(carrier, Http2::new(HeadSettings::default()), unbounded());
    let mut total = 0;
    loop {
        let mut space = [0; 8192];
        let mut buffer = ReadBuf::new(&mut space);
        let read = Pin::new(&mut layer).poll_read(&mut context, &mut buffer);
        assert!(layer.ready.len() < 10_000, "{}", layer.ready.len());
        assert!(layer.held.len() < sent.len());
        if read.is_pending() {
            break;
        }
        total += buffer.filled().len();
    }
    assert!(total > usize::from(BLOCKS) * 8000, "{total}");
}

/// Once a connection is a tunnel, bytes pass as they are, also those that were held.
#[test]
fn a_tunnel_is_not_read() {
    let runtime = timer();
    let _inside = runtime.enter();
    let mut context = Context::from_waker(Waker::noop());
    let (mut peer, carrier) = tokio::io::duplex(1024);
    let is_tunnel = Arc::new(AtomicBool::new(false));
    let reader = Http1::new(HeadSettings::default(), None);
    let mut layer = Layer::new(carrier, reader, unbounded()).until(Arc::clone(&is_tunnel));
    let mut through = |sent: &[u8]| {
        assert!(
            Pin::new(&mut peer)
                .poll_write(&mut context, sent)
                .is_ready()
        );
        let mut read = Vec::new();
        loop {
            let mut space = [0; 64];
            let mut buffer = ReadBuf::new(&mut space);
            if Pin::new(&mut layer)
                .poll_read(&mut context, &mut buffer)
                .is_pending()
            {
                return String::from_utf8(read).unwrap();
            }
            read.extend_from_slice(buffer.filled());
        }
    };
    let ask = "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(through(ask.as_bytes()), ask);
    assert_eq!(through(b"GET /\""), "");
    is_tunnel.store(true, Ordering::Release);
    assert_eq!(through(b" \r\n"), "GET /\" \r\n");
    assert_eq!(
        through(b"\0GET /{ HTTP/1.1\r\n\r\n"),
        "\0GET /{ HTTP/1.1\r\n\r\n"
    );
}

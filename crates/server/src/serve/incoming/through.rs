//! What tests of readers share.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::Instant;

use super::layer::{Bounds, Layer};
use super::reader::Reader;

/// Bounds that no test reaches.
pub(super) fn unbounded() -> Bounds {
    Bounds {
        place: None,
        timeout: Duration::from_secs(60),
        first_by: Instant::now() + Duration::from_secs(60),
    }
}

/// A runtime that has timers.
pub(super) fn timer() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.unwrap()
}

/// What hyper reads above a layer of bytes that come in pieces.
pub(super) fn through(reader: impl Reader, sent: &[u8], piece: usize) -> Vec<u8> {
    let runtime = timer();
    let _inside = runtime.enter();
    let mut context = Context::from_waker(Waker::noop());
    let (mut peer, carrier) = tokio::io::duplex(sent.len());
    let mut layer = Layer::new(carrier, reader, unbounded());
    let mut read = Vec::new();
    for piece in sent.chunks(piece) {
        let written = Pin::new(&mut peer).poll_write(&mut context, piece);
        assert!(matches!(written, Poll::Ready(Ok(count)) if count == piece.len()));
        loop {
            let mut space = [0; 8192];
            let mut buffer = ReadBuf::new(&mut space);
            match Pin::new(&mut layer).poll_read(&mut context, &mut buffer) {
                Poll::Pending => break,
                Poll::Ready(outcome) => outcome.unwrap(),
            }
            assert!(!buffer.filled().is_empty(), "the peer goes on");
            read.extend_from_slice(buffer.filled());
        }
    }
    read
}

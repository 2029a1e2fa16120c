//! Clients that are broken or hostile, and what they cost the others.

use std::net::UdpSocket;

use quinn::{Endpoint, TransportConfig, TransportErrorCode};
use talaria_conformance::within;

use super::client::{Secure, closed, raw};

const QPACK_DECOMPRESSION_FAILED: u64 = 0x200;
const H3_INTERNAL_ERROR: u64 = 0x102;
const H3_FRAME_UNEXPECTED: u64 = 0x105;
const H3_FRAME_ERROR: u64 = 0x106;
const H3_EXCESSIVE_LOAD: u64 = 0x107;
const H3_MESSAGE_ERROR: u64 = 0x10e;

/// Numbers that look random, and are the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn fill(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// The first datagram that an honest client sends.
async fn initial(secure: &Secure) -> Vec<u8> {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let config = secure.trusting(TransportConfig::default());
    let connecting = endpoint.connect_with(config, socket.local_addr().unwrap(), "localhost");
    let mut datagram = vec![0; 2000];
    let length = within("a datagram", socket.recv(&mut datagram))
        .await
        .unwrap();
    drop(connecting);
    datagram.truncate(length);
    datagram
}

/// 10,000 datagrams of garbage: random ones, initial packets that are cut off, changed or repeated, and packets of
/// unknown versions. Streams and new connections of others do not notice.
#[tokio::test(flavor = "multi_thread")]
async fn garbage_changes_nothing_for_others() {
    let secure = Secure::start("");
    let mut client = secure.connect().await;
    let mut stream = client.subscribe("a", &[]).await;
    let token = secure.publisher_token();
    let initial = initial(&secure).await;
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut sockets: Vec<UdpSocket> = Vec::new();
    for _ in 0..20 {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        sockets.push(socket);
    }
    for number in 0..10_000 {
        let mut datagram = initial.clone();
        match number % 5 {
            0 => {
                let length = 1 + random.next() as usize % 1400;
                datagram = random.fill(length);
            }
            1 => datagram.truncate(1 + random.next() as usize % initial.len()),
            2 => {
                let at = random.next() as usize % initial.len();
                datagram[at] ^= 1 << (number % 8);
            }
            // The version follows the first byte.
            3 => datagram[1..5].copy_from_slice(&random.fill(4)),
            // With another connection id, its packets cannot be decrypted.
            _ => datagram[6..14].copy_from_slice(&random.fill(8)),
        }
        // The kernel may have no room; then the hub is busy enough.
        _ = sockets[number % 20].send_to(&datagram, secure.address());
        if number % 1000 == 999 {
            let data = number.to_string();
            client.publish(&token, "a", &data).await;
            assert_eq!(stream.data().await, data);
        }
    }
    let mut other = secure.connect().await;
    assert_eq!(other.ask("GET", "/healthz", &[], "").await.status, 200);
    client.publish(&token, "a", "end").await;
    assert_eq!(stream.data().await, "end");
}

/// Handshakes that never go on, more than may be under way from addresses that are not known: an honest client
/// proves its address, and is served.
#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_stay_open_delay_no_other() {
    let secure = Secure::start("header_timeout 10s");
    for _ in 0..100 {
        let datagram = initial(&secure).await;
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(&datagram, secure.address()).unwrap();
    }
    let mut client = secure.connect().await;
    assert_eq!(client.ask("GET", "/healthz", &[], "").await.status, 200);
}

/// A connection counts as those of the other versions do. One for which there is no room is refused, so that its
/// client takes another version.
#[tokio::test]
async fn connections_of_an_address_are_bounded() {
    let secure = Secure::start("max_connections_per_address 1");
    let mut client = secure.connect().await;
    let stream = client.subscribe("a", &[]).await;
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let connect = || {
        let config = secure.trusting(TransportConfig::default());
        endpoint.connect_with(config, secure.address(), "localhost")
    };
    match within("a refusal", connect().unwrap()).await {
        Err(quinn::ConnectionError::ConnectionClosed(close)) => {
            assert_eq!(close.error_code, TransportErrorCode::CONNECTION_REFUSED);
        }
        other => panic!("{other:?}"),
    }
    drop((stream, client));
    let room = async { while connect().unwrap().await.is_err() {} };
    within("room", room).await;
}

/// Malformed requests end their stream, broken frames the connection, and neither leaves anything waiting.
#[tokio::test]
async fn what_is_malformed_ends() {
    let secure = Secure::start("");
    let client = secure.connect().await;
    // A head without `:authority` and `Host`, as h3 finds.
    let nameless = b"\x01\x05\0\0\xd1\xd7\xc1";
    let end = client.raw(nameless, true).await;
    assert_eq!(end, Err(Some(H3_MESSAGE_ERROR)));
    let end = client.raw(b"", true).await;
    assert!(matches!(end, Err(Some(_))), "{end:?}");
    assert!(client.quic.close_reason().is_none());
    let broken: [(&[u8], u64); 5] = [
        (b"\x01\x03\x01\0\x80", QPACK_DECOMPRESSION_FAILED),
        (b"\0\x01a", H3_FRAME_UNEXPECTED),
        (b"\x04\0", H3_FRAME_UNEXPECTED),
        (b"\x02\0", H3_FRAME_UNEXPECTED),
        (b"\x01\x40", H3_FRAME_ERROR),
    ];
    for (sent, code) in broken {
        let client = secure.connect().await;
        assert!(client.raw(sent, true).await.is_err(), "{sent:?}");
        assert_eq!(closed(&client.quic).await, code, "{sent:?}");
    }
    let mut client = secure.connect().await;
    assert_eq!(client.ask("GET", "/healthz", &[], "").await.status, 200);
}

/// Frames of unknown types may be long on every stream; a long frame that is known ends the connection.
#[tokio::test]
async fn long_frames_are_not_kept() {
    let secure = Secure::start("");
    let (_endpoint, quic) = secure.quic(TransportConfig::default()).await;
    let mut control = quic.open_uni().await.unwrap();
    control.write_all(b"\0\x04\0").await.unwrap();
    // An unknown frame of a gigabyte, of which 4 MiB come.
    let long = [&b"\x21\xc0\0\0\0\x40\0\0\0"[..], &vec![0; 4 << 20]].concat();
    within("the control stream", control.write_all(&long))
        .await
        .unwrap();
    let (mut send, _receive) = quic.open_bi().await.unwrap();
    within("a request's stream", send.write_all(&long))
        .await
        .unwrap();
    let (_other, receive) = quic.open_bi().await.unwrap();
    drop(receive);
    // `:method GET`, `:scheme https`, `:authority a`, which is not served but answered, and `:path /`.
    let page = b"\x01\x08\0\0\xd1\xd7\x50\x01a\xc1";
    let answer = raw(&quic, page, true).await.unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("no site for"));
    let (_endpoint, quic) = secure.quic(TransportConfig::default()).await;
    let mut control = quic.open_uni().await.unwrap();
    control.write_all(b"\0\x04\x44\x01").await.unwrap();
    assert_eq!(closed(&quic).await, H3_INTERNAL_ERROR);
}

/// A client that begins requests and leaves them at once loses its connection; others do not notice.
#[tokio::test(flavor = "multi_thread")]
async fn abandoned_requests_are_counted() {
    let secure = Secure::start("");
    let mut honest = secure.connect().await;
    let mut stream = honest.subscribe("a", &[]).await;
    let client = secure.connect().await;
    let flood = async {
        while client.quic.close_reason().is_none() {
            let Ok((mut send, mut receive)) = client.quic.open_bi().await else {
                return;
            };
            // Half a head.
            _ = send.write_all(b"\x01\x20\0\0").await;
            _ = send.reset(0_u8.into());
            _ = receive.stop(0_u8.into());
        }
    };
    within("the end of the flood", flood).await;
    assert_eq!(closed(&client.quic).await, H3_EXCESSIVE_LOAD);
    honest.publish(&secure.publisher_token(), "a", "1").await;
    assert_eq!(stream.data().await, "1");
}

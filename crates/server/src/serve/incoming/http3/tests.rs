//! What h3 reads of streams that are read before it.

use std::net::SocketAddr;

use talaria_config::settings::ConnectionSettings;

use super::*;
use crate::serve::admission::Admission;
use crate::serve::proxies::Proxies;

fn reader(head_memory: u64) -> Http3 {
    let settings = ConnectionSettings {
        head_memory,
        ..ConnectionSettings::default()
    };
    let admission = Admission::new(&settings, Some(256), Proxies::default());
    let place = admission.enter(SocketAddr::from(([192, 0, 2, 1], 1)));
    Http3::new(settings.head, place.expect("there is room"))
}

fn frame(kind: u64, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u64;
    [&FrameHead { kind, length }.written()[..], payload].concat()
}

fn field(name: &'static str, value: &str) -> Field {
    (
        Bytes::from_static(name.as_bytes()),
        Bytes::copy_from_slice(value.as_bytes()),
    )
}

/// A request for this path, with more fields.
fn request(path: &str, more: &[Field]) -> Vec<u8> {
    let ordinary = [
        field(":method", "GET"),
        field(":scheme", "https"),
        field(":authority", "hub.example"),
        field(":path", path),
    ];
    frame(HEADERS, &qpack::write(&[&ordinary, more].concat()))
}

/// What h3 reads of a stream that comes in pieces of this many bytes.
fn read(sent: &[u8], piece: usize) -> (Vec<u8>, Result<(), Truncated>) {
    let mut reader = reader(1 << 20);
    let mut into = VecDeque::new();
    for piece in sent.chunks(piece) {
        reader.read(Bytes::copy_from_slice(piece), &mut into);
    }
    let ended = reader.end(&mut into);
    (into.into_iter().flatten().collect(), ended)
}

/// The same, which must not depend on the pieces.
fn passed(sent: &[u8]) -> Vec<u8> {
    let whole = read(sent, sent.len().max(1));
    for piece in [1, 3, 100] {
        assert_eq!(read(sent, piece), whole);
    }
    assert_eq!(whole.1, Ok(()));
    whole.0
}

/// The path of the first request that h3 reads.
fn path(read: &[u8]) -> String {
    let mut bytes = Bytes::copy_from_slice(read);
    let head = Partial::default().head(&mut bytes).expect("a frame");
    assert_eq!(head.kind, HEADERS);
    let (block, _) = split(&mut bytes, head.length);
    let fields = qpack::read(&block, 1000, 1 << 20).expect("a block").fields;
    let path = fields.into_iter().find(|(name, _)| name == ":path");
    String::from_utf8(path.expect("a path").1.to_vec()).expect("text")
}

#[test]
fn ordinary_requests_pass_as_they_are() {
    let alone = request("/a", &[]);
    assert_eq!(passed(&alone), alone);
    let with_body = [alone, frame(DATA, b"topic=a"), frame(DATA, b"")].concat();
    assert_eq!(passed(&with_body), with_body);
}

/// Trailers and frames of unknown types, before and after the head, do not reach h3.
#[test]
fn what_nothing_reads_is_skipped() {
    let (head, body) = (request("/a", &[]), frame(DATA, b"x"));
    let unknown = frame(0x21, &[0; 300]);
    let trailers = frame(HEADERS, &qpack::write(&[field("a", "b")]));
    let sent = [&unknown, &head, &unknown, &body, &trailers, &unknown].map(|part| &part[..]);
    assert_eq!(passed(&sent.concat()), [head, body].concat());
}

/// A target that `http` refuses is percent-encoded; a malformed head is replaced by one that stands for the fault.
#[test]
fn heads_are_judged_as_over_http2() {
    assert_eq!(path(&passed(&request("/a\"b", &[]))), "/a%22b");
    let malformed = [
        (request("/a#b", &[]), Fault::Fragment),
        (request("a", &[]), Fault::Target),
        (
            request("/", &[field("connection", "close")]),
            Fault::Malformed,
        ),
        (request("/", &[field("A", "b")]), Fault::Malformed),
        (request("/", &[field("a", "b\n")]), Fault::Field),
        (
            request("/", &[field("content-length", "1x")]),
            Fault::Length,
        ),
    ];
    for (sent, fault) in malformed {
        assert_eq!(Fault::of(&path(&passed(&sent))), Some(fault));
    }
}

/// A head that is too long is refused before it has come, and its body still passes.
#[test]
fn heads_are_bounded() {
    let bounds = HeadSettings::default();
    let many: Vec<_> = (0..=bounds.fields).map(|_| field("a", "b")).collect();
    let long = "x".repeat(bounds.bytes);
    for more in [&many[..], &[field("a", &long)]] {
        let sent = [request("/", more), frame(DATA, b"body")].concat();
        let read = passed(&sent);
        assert_eq!(Fault::of(&path(&read)), Some(Fault::HeadTooLarge));
        assert!(read.ends_with(&frame(DATA, b"body")));
    }
    let mut reader = reader(1 << 20);
    let mut into = VecDeque::new();
    let (kind, length) = (HEADERS, 1 << 40);
    reader.read(FrameHead { kind, length }.written(), &mut into);
    assert!(reader.has_head() && !into.is_empty());
    reader.read(vec![0; 1 << 20].into(), &mut into);
    let held: usize = into.iter().map(Bytes::len).sum();
    assert!(held < 1000 && reader.held.capacity() == 0);
}

/// Half heads are counted, and refused when all hold too much.
#[test]
fn half_heads_are_counted() {
    let mut reader = reader(64 * 1024);
    let mut into = VecDeque::new();
    let sent = request("/", &[field("a", &"x".repeat(100_000))]);
    for piece in sent.chunks(1000) {
        reader.read(Bytes::copy_from_slice(piece), &mut into);
    }
    let read: Vec<u8> = into.into_iter().flatten().collect();
    assert_eq!(Fault::of(&path(&read)), Some(Fault::Busy));
    assert!(reader.memory.is_none());
}

/// A head that does not come in time is answered; what comes later is dropped.
#[test]
fn a_late_head_is_given_up() {
    let mut reader = reader(1 << 20);
    let mut into = VecDeque::new();
    let sent = request("/", &[]);
    reader.read(Bytes::copy_from_slice(&sent[..5]), &mut into);
    assert!(into.is_empty() && !reader.has_head());
    reader.give_up(Fault::HeadTimeout, &mut into);
    reader.read(Bytes::copy_from_slice(&sent[5..]), &mut into);
    assert_eq!(reader.end(&mut into), Ok(()));
    let read: Vec<u8> = into.into_iter().flatten().collect();
    assert_eq!(Fault::of(&path(&read)), Some(Fault::HeadTimeout));
}

/// What is not a block, a frame of another stream and a frame that breaks off are h3's to refuse.
#[test]
fn broken_streams_stay_broken() {
    for block in [&b""[..], b"\0", b"\x01\0\x80", b"\0\0\x10"] {
        let expected = frame(HEADERS, NOT_A_BLOCK);
        assert_eq!(passed(&frame(HEADERS, block)), expected, "{block:?}");
    }
    let settings = frame(frame::SETTINGS, &[1; 2000]);
    assert_eq!(passed(&settings), frame(frame::SETTINGS, b""));
    let head = request("/", &[]);
    for sent in [&b"\x01"[..], b"\x40", &head[..head.len() - 1], b"\x21\x02a"] {
        assert_eq!(passed(sent), b"\x01\x01");
    }
    let body = [&head[..], b"\x00\x04abc"].concat();
    assert_eq!(read(&body, 1).1, Err(Truncated));
}

proptest::proptest! {
    /// Whatever comes, what is held is bounded.
    #[test]
    fn any_bytes_are_read(sent: Vec<Vec<u8>>) {
        let mut reader = reader(1 << 20);
        let mut into = VecDeque::new();
        let mut length = 0;
        for piece in sent {
            length += piece.len();
            reader.read(piece.into(), &mut into);
        }
        let _ = reader.end(&mut into);
        let read: usize = into.iter().map(Bytes::len).sum();
        assert!(read <= 20 * length + 1000, "{read} of {length}");
    }
}

//! HTTP/2 requests that do not reach the hub, and answers to `HEAD` (RFC 9113, sections 4.3 and 8).

use talaria_conformance::frames::{Frames, kind};
use talaria_conformance::hub::Hub;
use talaria_conformance::{raw, within};

use crate::faults::encrypted;

/// The body of the answer on a stream, which is not reset.
async fn body_on(frames: &mut Frames, stream: u32, shown: &str) -> String {
    let mut text = Vec::new();
    loop {
        let frame = within(shown, frames.input.next()).await;
        let frame = frame.expect("no reset").expect("the connection goes on");
        assert!(
            frame.kind != kind::RST_STREAM && !frame.is_failure(),
            "{shown}: {frame:?}"
        );
        if frame.kind == kind::DATA {
            text.extend_from_slice(&frame.payload);
        }
        if frame.stream == stream && frame.ends_stream() {
            return String::from_utf8_lossy(&text).into_owned();
        }
    }
}

/// HTTP/2 heads for which h2 would reset the stream or end the connection are answered, and the
/// connection goes on (RFC 9113, sections 8.2 and 8.3).
#[tokio::test]
async fn malformed_heads_are_answered_over_http2() {
    let hub = Hub::ordinary();
    let host = hub.host.as_bytes();
    let long = format!("/?{}", "a".repeat(65_535)).into_bytes();
    // With what each field counts (section 6.5.2) it is too large, and its frames alone are not.
    let large = vec![b'a'; 130_900];
    let ordinary = [
        (":method", &b"GET"[..]),
        (":scheme", b"http"),
        (":authority", host),
        (":path", b"/robots.txt"),
    ];
    // The pseudo-fields that differ; fields that come after them; what the answer says.
    type Fields<'a> = &'a [(&'a str, &'a [u8])];
    let cases: [(Fields<'_>, Fields<'_>, &str); 29] = [
        (&[(":path", b"/a#b")], &[], "%23"),
        (&[(":path", b"")], &[], "begin it with /"),
        (&[(":path", b"a")], &[], "begin it with /"),
        (&[(":path", b"/ ")], &[], "percent-encode"),
        (&[(":path", b"/\0")], &[], "percent-encode"),
        (&[(":path", &long)], &[], "65534 bytes"),
        (&[], &[("x", &large)], "131072 bytes"),
        (&[(":authority", b"")], &[], ":authority"),
        (&[(":authority", b"a b")], &[], ":authority"),
        (&[(":authority", b"\xff")], &[], ":authority"),
        (&[(":method", b"G T")], &[], "malformed for HTTP/2"),
        (&[(":method", b"\xff")], &[], "malformed for HTTP/2"),
        (&[(":method", b"CONNECT")], &[], "CONNECT"),
        (&[(":scheme", b"\xff")], &[], "malformed for HTTP/2"),
        (&[(":scheme", b"h p")], &[], "malformed for HTTP/2"),
        (&[], &[(":path", b"/")], "malformed for HTTP/2"),
        (&[], &[(":status", b"200")], "malformed for HTTP/2"),
        (&[], &[(":x", b"")], "malformed for HTTP/2"),
        (&[], &[("x", b""), (":x", b"")], "malformed for HTTP/2"),
        (&[], &[("X", b"")], "lower case"),
        (&[], &[("x y", b"")], "malformed for HTTP/2"),
        (&[], &[("connection", b"close")], "Connection"),
        (
            &[],
            &[("transfer-encoding", b"chunked")],
            "Transfer-Encoding",
        ),
        (&[], &[("te", b"Trailers")], "malformed for HTTP/2"),
        (&[], &[("x", b"a\0b")], "control characters"),
        (&[], &[("content-length", b"-1")], "Content-Length"),
        (&[], &[("content-length", b"5")], "Content-Length"),
        (&[], &[("x", b"\t\xff"), ("te", b"trailers")], "User-agent"),
        (&[], &[], "User-agent"),
    ];
    let mut frames = Frames::connect(hub.address, 65_535).await;
    let mut stream = 1;
    for (different, more, words) in cases {
        let mut fields = ordinary;
        for (name, value) in different {
            let own = fields.iter_mut().find(|(own, _)| own == name);
            own.expect("a pseudo-field").1 = value;
        }
        frames
            .output
            .request(stream, &[&fields, more].concat())
            .await;
        let text = body_on(&mut frames, stream, words).await;
        assert!(text.contains(words), "{different:?} {more:?}: {text}");
        stream += 2;
    }
}

/// More fields than a head may have are refused over HTTP/2, and `Cookie`, which clients split, counts
/// as one field (RFC 9113, section 8.2.3).
#[tokio::test]
async fn fields_are_counted_over_http2() {
    let hub = Hub::ordinary();
    let host = hub.host.as_bytes();
    let ordinary = [
        (":method", &b"GET"[..]),
        (":scheme", b"http"),
        (":authority", host),
        (":path", b"/robots.txt"),
    ];
    let mut frames = Frames::connect(hub.address, 65_535).await;
    let mut stream = 1;
    for count in [100, 101, 30_000] {
        let fields = [&ordinary[..], &vec![("a", &b""[..]); count]].concat();
        frames.output.request(stream, &fields).await;
        let text = body_on(&mut frames, stream, "many fields").await;
        let refused = text.contains("100 header fields");
        assert_eq!(refused, count > 100, "{count}: {text}");
        stream += 2;
    }
    let cookies = [&ordinary[..], &vec![("cookie", &b"a=b"[..]); 180]].concat();
    frames.output.request(stream, &cookies).await;
    let text = body_on(&mut frames, stream, "many cookies").await;
    assert!(text.contains("User-agent"), "{text}");
}

/// No answer to `HEAD` has a body, whether the request is at fault or not (RFC 9110, section
/// 9.3.2).
#[tokio::test]
async fn a_head_request_gets_no_body() {
    let hub = Hub::ordinary();
    let (_home, encrypted) = encrypted();
    for (hub, host, target) in [
        (&hub, hub.host.as_str(), "/a#b"),
        (&hub, &hub.host, "/robots.txt"),
        (&hub, &hub.host, "/nothing"),
        (&hub, "elsewhere.example", "/"),
        (&encrypted, "localhost", "/"),
    ] {
        let request =
            format!("HEAD {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = raw::exchange(hub.address, request.as_bytes()).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert_eq!(body, "", "{target}");
        assert!(
            head.to_ascii_lowercase().contains("content-length: "),
            "{head}"
        );
        let mut frames = Frames::connect(hub.address, 65_535).await;
        let fields = [
            (":method", "HEAD"),
            (":scheme", "http"),
            (":authority", host),
            (":path", target),
        ];
        frames.output.request(1, &fields).await;
        assert_eq!(body_on(&mut frames, 1, target).await, "");
    }
}

/// Blocks of 300 bytes that refer 270 times to one long entry of the table (RFC 7541, section 4): once a
/// target had to be encoded, each is refused, and the hub serves others meanwhile.
#[tokio::test]
async fn compressed_heads_are_bounded() {
    const BOMBS: u32 = 200;
    // What a head may have besides is far more.
    let bounds = "max_header_fields 1000\nmax_header_size 4MiB";
    let hub = Hub::start(&format!("anonymous\ntransport memory\n{bounds}"));
    let mut frames = Frames::connect(hub.address, 65_535).await;
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", hub.host.as_str()),
        (":path", "/robots.txt?\""),
    ];
    frames.output.request(1, &fields).await;
    body_on(&mut frames, 1, "a raw target").await;
    // GET, http, / and x, of 4000 bytes.
    let mut entry = b"\x82\x86\x84\x40\x01x\x7f\xa1\x1e".to_vec();
    entry.resize(entry.len() + 4000, b'a');
    frames.output.send(kind::HEADERS, 5, 3, &entry).await;
    body_on(&mut frames, 3, "an entry").await;
    let bomb = [&b"\x82\x86\x84"[..], &[0xbe; 270]].concat();
    let Frames {
        mut output,
        mut input,
        ..
    } = frames;
    let send = async {
        for number in 0..BOMBS {
            output.send(kind::HEADERS, 5, 2 * number + 5, &bomb).await;
            output.widen(0, 1000).await;
        }
    };
    let receive = async {
        let (mut ended, mut refused) = (0, 0);
        while ended < BOMBS {
            let frame = within("all answers", input.next()).await;
            let frame = frame.expect("no reset").expect("the connection goes on");
            assert!(
                ![kind::RST_STREAM, kind::GOAWAY].contains(&frame.kind),
                "{frame:?}"
            );
            let text = String::from_utf8_lossy(&frame.payload);
            refused += u32::from(text.contains("the request head has more than"));
            ended += u32::from(frame.ends_stream());
        }
        refused
    };
    let ((), refused) = tokio::join!(send, receive);
    assert_eq!(refused, BOMBS);
    assert_eq!(hub.client().get("/healthz").await.status, 200);
}

/// Blocks that h2 does not read into its table, or reads in part: the connection ends, because later
/// references could mean something else to h2 than to the client (RFC 9113, sections 4.3, 5.3.1 and 8.4; RFC
/// 7541, section 2.3.3).
#[tokio::test]
async fn tables_do_not_get_out_of_step() {
    let hub = Hub::ordinary();
    let depends_on_itself = b"\0\0\0\x01\0\x82\x86\x84\x40\x01x\x01y";
    let promise = b"\0\0\0\x02\x82\x86\x84\x40\x01x\x01y";
    let nameless = b"\x82\x86\x84\x40\0\x01y";
    for (kind, flags, payload) in [
        (kind::HEADERS, 0x25, &depends_on_itself[..]),
        (5, 0x4, promise),
        (kind::HEADERS, 0x1, nameless),
        (kind::HEADERS, 0x5, nameless),
    ] {
        let mut frames = Frames::connect(hub.address, 65_535).await;
        frames.output.send(kind, flags, 1, payload).await;
        if flags & 0x4 == 0 {
            let rest = b"\x40\x01x\x01y";
            frames.output.send(kind::CONTINUATION, 0x4, 1, rest).await;
        }
        frames
            .output
            .send(kind::HEADERS, 5, 3, b"\x82\x86\x84\xbe")
            .await;
        loop {
            let frame = within("the end", frames.input.next()).await;
            match frame.expect("no reset") {
                Some(frame) if frame.kind == kind::GOAWAY => break,
                Some(frame) => assert!(frame.stream == 0, "{payload:?}: {frame:?}"),
                None => panic!("{payload:?}: no GOAWAY"),
            }
        }
    }
}

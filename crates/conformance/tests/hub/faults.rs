//! Requests that do not reach the hub: each is answered with one sentence, the hub's fields and one line
//! in the log, and its connection closes (RFC 9112, sections 2.2, 3 and 6.3).

use std::net::SocketAddr;

use talaria_conformance::frames::{Frames, kind};
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::{PATIENCE, raw, within};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::https::free_port;

/// Sends bytes that are at fault, and checks everything about the answer and the log.
async fn refused(hub: &Hub, request: &[u8], status: u16, words: &str) {
    let shown: String = request
        .escape_ascii()
        .to_string()
        .chars()
        .take(80)
        .collect();
    let before = hub.log.len();
    let answer = raw::exchange(hub.address, request).await;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{shown}: {answer:?}"));
    assert_eq!(raw::status(head), status, "{shown}: {answer}");
    assert!(body.contains(words), "{shown}: {body:?} without {words:?}");
    assert!(
        body.ends_with('\n') && body.lines().count() == 1,
        "{body:?}"
    );
    let head = head.to_ascii_lowercase();
    for field in [
        "content-type: text/plain; charset=utf-8",
        "connection: close",
        "x-frame-options: deny",
        "x-content-type-options: nosniff",
        "x-xss-protection: 1; mode=block",
        "content-security-policy: default-src 'self'",
        "no-transform",
        "no-store",
    ] {
        assert!(head.contains(field), "{shown}: {field} is not in {head}");
    }
    let told = |line: &str| line.contains("request refused").then(|| line.to_owned());
    let line = hub.log.find(before, PATIENCE, told);
    let line = line.unwrap_or_else(|log| panic!("{shown}: no line in {log:?}"));
    assert!(
        line.contains(&status.to_string()) && line.contains(words),
        "{line}"
    );
    let lines = hub.log.since(before);
    let lines = lines.iter().filter(|line| told(line).is_some());
    assert_eq!(lines.count(), 1, "{shown}");
}

/// TLS, other protocols and noise on a port of plain HTTP, to the last byte or to the first only.
#[tokio::test]
async fn what_is_not_http_is_answered() {
    let hub = Hub::ordinary();
    let cases: [(&[u8], &str); 16] = [
        (b"\x16\x03\x01\x00\xfa\x01\x00\x00\xf6\x03\x03", "http://"),
        (b"\x16", "http://"),
        (b"\x80\x2e\x01\x03\x01\x00\x15", "method"),
        (b"\x00", "method"),
        (b"\xff\xff\xff\xff", "method"),
        (b"\x05\x01\x00", "method"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "method"),
        (b"{\"json\":true}\n", "method"),
        (b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", "method"),
        (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", "method"),
        (
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n",
            "PROXY",
        ),
        (b"\r\n\r\n\x00\r\nQUIT\n\x21\x11", "PROXY"),
        (b"EHLO mail.example\r\n", "HTTP/1.1"),
        (b"GET /\r\n", "HTTP/1.1"),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "HTTP/1.1"),
        (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "%20"),
    ];
    for (request, words) in cases {
        refused(&hub, request, 400, words).await;
    }
}

/// What hyper itself refuses, or reads as something else: targets, fields, lengths, sizes.
#[tokio::test]
async fn malformed_heads_are_answered() {
    let hub = Hub::ordinary();
    let rest = "HTTP/1.1\r\nHost: a\r\n\r\n";
    for (target, words) in [
        ("/a#b", "%23"),
        ("/#", "%23"),
        ("/?match=#general", "%23"),
        ("#", "%23"),
        ("http://a/b#c", "%23"),
        ("/\x01", "percent-encode"),
        ("/\t", "percent-encode"),
        ("/\x7f", "percent-encode"),
        ("?a=b", "begin it with /"),
        ("http://", "begin it with /"),
        ("http://a b", "%20"),
        ("http://[::1", "begin it with /"),
    ] {
        refused(&hub, format!("GET {target} {rest}").as_bytes(), 400, words).await;
    }
    for (fields, status, words) in [
        ("no colon\r\n", 400, "a header field is malformed"),
        ("x: a\0b\r\n", 400, "a header field is malformed"),
        ("x y: a\r\n", 400, "a header field is malformed"),
        ("x: a\r\n folded\r\n", 400, "a header field is malformed"),
        ("content-length: x\r\n", 400, "Content-Length"),
        ("content-length: -1\r\n", 400, "Content-Length"),
        ("content-length: 1, 1\r\n", 400, "Content-Length"),
        (
            "content-length: 18446744073709551615\r\n",
            400,
            "Content-Length",
        ),
        (
            "content-length: 1\r\ncontent-length: 2\r\n",
            400,
            "Content-Length",
        ),
        ("transfer-encoding: gzip\r\n", 400, "Transfer-Encoding"),
        (
            "transfer-encoding: chunked, gzip\r\n",
            400,
            "Transfer-Encoding",
        ),
        (&"x: a\r\n".repeat(100), 431, "100 header fields"),
        (
            &format!("x: {}\r\n", "a".repeat(1 << 21)),
            431,
            "1114112 bytes",
        ),
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        refused(&hub, request.as_bytes(), status, words).await;
    }
    let old = "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    refused(&hub, old.as_bytes(), 400, "Transfer-Encoding").await;
    // hyper reads it percent-encoded, so three times as long.
    for unit in ["a", "\""] {
        let target = format!("/?{}", unit.repeat(65_535));
        refused(
            &hub,
            format!("GET {target} {rest}").as_bytes(),
            414,
            "65534 bytes",
        )
        .await;
    }
    let endless = format!("GET /{}", "a".repeat(70_000));
    refused(&hub, endless.as_bytes(), 414, "65534 bytes").await;
}

/// `CONNECT` is for proxies. Nothing after it is read as a request (RFC 9110, section 9.3.6).
#[tokio::test]
async fn tunnels_are_refused() {
    let hub = Hub::ordinary();
    for target in ["/healthz", "/", "a.example:443", "http://a.example/"] {
        let request = format!(
            "CONNECT {target} HTTP/1.1\r\nHost: {}\r\n\r\nGET / ",
            hub.host
        );
        refused(&hub, request.as_bytes(), 400, "CONNECT").await;
    }
}

/// Where hyper reads another request, the hub reads its head first, whatever says where the body before it
/// ends (RFC 9112, sections 6.3 and 7.1); and no client reaches the answers of faults by a target.
#[tokio::test]
async fn no_head_is_unread_after_a_body() {
    let hub = Hub::ordinary();
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (fields, body, goes_on) in [
        ("", "", true),
        (chunked, "1 \r\na\r\n0\r\n\r\n", true),
        (chunked, "1\t\r\na\r\n0 \t;x\r\n\r\n", true),
        (chunked, "0000000000000001\r\na\r\n0\r\n\r\n", true),
        ("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n", true),
        ("Transfer-Encoding: ,chunked\r\n", "0\r\n\r\n", true),
        (
            "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
            true,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "0\r\n\r\n",
            false,
        ),
        (chunked, "1 1\r\na\r\n0\r\n\r\n", false),
        (chunked, "11111111111111111\r\na\r\n0\r\n\r\n", false),
    ] {
        let host = &hub.host;
        let first = format!("POST /robots.txt HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n{body}");
        for (target, status) in [("/\"0", 404), ("/a#b", 400), ("/\u{e9}", 404)] {
            let sent = format!(
                "{first}GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            );
            let answers = raw::exchange(hub.address, sent.as_bytes()).await;
            let statuses: Vec<_> = answers
                .match_indices("HTTP/1.1 ")
                .map(|(at, _)| raw::status(&answers[at..]))
                .collect();
            let expected = if goes_on {
                vec![200, status]
            } else {
                vec![200]
            };
            assert_eq!(statuses, expected, "{fields}{body:?}{target}: {answers}");
        }
    }
}

/// What came before on the connection is answered first.
#[tokio::test]
async fn a_fault_does_not_touch_the_requests_before_it() {
    let hub = Hub::ordinary();
    let good = format!("GET /robots.txt HTTP/1.1\r\nHost: {}\r\n\r\n", hub.host);
    let requests = format!("{good}{good}\x16{good}");
    for piece in [requests.len(), 1] {
        let answers = raw::exchange_in_pieces(hub.address, requests.as_bytes(), piece).await;
        assert_eq!(answers.matches("HTTP/1.1 200").count(), 2, "{answers}");
        assert_eq!(answers.matches("HTTP/1.1 400").count(), 1, "{answers}");
        assert!(
            answers.contains("User-agent") && answers.contains("http://"),
            "{answers}"
        );
    }
}

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

/// What h2 itself resets or ends the connection for, over HTTP/2: each is answered, and the connection
/// goes on (RFC 9113, sections 8.2 and 8.3).
#[tokio::test]
async fn malformed_heads_are_answered_over_http2() {
    let hub = Hub::ordinary();
    let host = hub.host.as_bytes();
    let long = format!("/?{}", "a".repeat(65_535)).into_bytes();
    let large = vec![b'a'; 1_200_000];
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
        (&[], &[("x", &large)], "1114112 bytes"),
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
        (&[], &[("te", b"gzip")], "malformed for HTTP/2"),
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
    for count in [1000, 1001, 30_000] {
        let fields = [&ordinary[..], &vec![("a", &b""[..]); count]].concat();
        frames.output.request(stream, &fields).await;
        let text = body_on(&mut frames, stream, "many fields").await;
        let refused = text.contains("100 header fields (HTTP/2: 1000)");
        assert_eq!(refused, count > 1000, "{count}: {text}");
        stream += 2;
    }
}

/// RFC 9110, section 9.3.2: no answer to `HEAD` has a body, whether the request is at fault or not.
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
    const BOMBS: u32 = 900;
    let hub = Hub::ordinary();
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

/// Blocks that h2 does not read into its table, or not as a whole: the connection ends, because nobody
/// knows what later references mean (RFC 9113, sections 4.3, 5.3.1 and 8.4; RFC 7541, section 2.3.3).
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

/// A hub on a port of HTTPS alone.
fn encrypted() -> (Home, Hub) {
    let home = Home::new();
    let name = format!("https://localhost:{}", free_port());
    let options = [(
        "GLOBAL_OPTIONS",
        "skip_install_trust\nauto_https disable_redirects",
    )];
    let hub = home.start(&name, "anonymous\ntransport memory", &options);
    (home, hub.expect("it starts"))
}

/// Plain HTTP on a port of HTTPS: also HTTP/2 with prior knowledge, a first byte alone, and noise.
#[tokio::test]
async fn plain_http_on_an_https_port_is_answered() {
    let (_home, hub) = encrypted();
    let cases: [&[u8]; 7] = [
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\ntopic=a",
        b"G",
        b"P",
        b"\x00",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
    ];
    for request in cases {
        refused(&hub, request, 400, "https://").await;
    }
    let answer = hub.client().http2().get("/healthz").await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("https://"), "{}", answer.text);
    assert_eq!(answer.header("x-frame-options"), "DENY");
}

/// The hub serves other clients while peers send one byte and wait, on either kind of port.
#[tokio::test]
async fn silent_peers_block_nobody() {
    let plain = Hub::ordinary();
    let (_home, https) = encrypted();
    let mut silent = Vec::new();
    for (address, byte) in [(plain.address, b"P"), (https.address, b"\x16")] {
        for _ in 0..100 {
            silent.push(one_byte(address, byte).await);
        }
    }
    assert_eq!(plain.client().get("/healthz").await.status, 200);
    refused(&https, b"GET / HTTP/1.1\r\n\r\n", 400, "https://").await;
    drop(silent);
}

async fn one_byte(address: SocketAddr, byte: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("it accepts");
    stream.write_all(byte).await.expect("it reads");
    stream
}

//! Requests that do not reach the hub: each is answered with one sentence, the hub's fields and one
//! line in the log, and its connection closes (RFC 9112, sections 2.2, 3 and 6.3).

use std::net::SocketAddr;

use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::{PATIENCE, raw};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

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

/// TLS, other protocols and noise on a port of plain HTTP are answered, whether all bytes come or
/// only the first.
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

/// Targets that hyper refuses, or reads as something else, are answered, and so are long ones.
#[tokio::test]
async fn malformed_targets_are_answered() {
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

/// Header fields that hyper refuses, or reads as something else, are answered: names, values,
/// lengths, codings, sizes.
#[tokio::test]
async fn malformed_heads_are_answered() {
    let hub = Hub::ordinary();
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
        ("transfer-encoding: gzip\r\n", 501, "gzip"),
        ("transfer-encoding: chunked, gzip\r\n", 501, "gzip"),
        ("transfer-encoding: gzip, chunked\r\n", 501, "gzip"),
        ("transfer-encoding: deflate,chunked\r\n", 501, "deflate"),
        (
            "transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n",
            501,
            "as it is",
        ),
        ("transfer-encoding: chunked;q=1\r\n", 501, "chunked"),
        (
            "transfer-encoding: chunked, chunked\r\n",
            400,
            "Transfer-Encoding",
        ),
        (&"x: a\r\n".repeat(100), 431, "100 header fields"),
        (
            &format!("x: {}\r\n", "a".repeat(1 << 21)),
            431,
            "131072 bytes",
        ),
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        refused(&hub, request.as_bytes(), status, words).await;
    }
    let old = "POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    refused(&hub, old.as_bytes(), 400, "Transfer-Encoding").await;
}

/// `CONNECT` is for proxies, so the hub refuses it, and reads nothing after it as a request (RFC
/// 9110, section 9.3.6).
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
        ("Transfer-Encoding: CHUNKED\r\n", "0\r\n\r\n", true),
        ("Transfer-Encoding: ,chunked\r\n", "0\r\n\r\n", true),
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

/// Requests that came before on the connection are answered first.
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

/// A hub on a port of HTTPS alone.
pub fn encrypted() -> (Home, Hub) {
    let home = Home::new();
    let name = format!("https://localhost:{}", talaria_conformance::free_port());
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
async fn silent_peers_do_not_block_others() {
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

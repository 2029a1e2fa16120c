//! The site around the hub (B-083, B-312) and the hosts it answers to (B-063).

use talaria_conformance::client::target;
use talaria_conformance::hub::Hub;
use talaria_conformance::{HUB_PATH, PATIENCE, raw};

/// A welcome page, a file for robots, and 404 with a body for everything else (B-083).
#[tokio::test]
async fn the_fixed_responses() {
    let hub = Hub::ordinary();
    let welcome = hub.client().get("/").await;
    assert_eq!(welcome.status, 200);
    assert_eq!(welcome.header("content-type"), "text/html; charset=utf-8");
    assert!(welcome.text.contains(HUB_PATH), "it says where the hub is");
    assert_eq!(
        welcome.header("x-frame-options"),
        "",
        "B-324: the hub's fields are not on the site"
    );
    let robots = hub.client().get("/robots.txt").await;
    assert_eq!(robots.status, 200);
    assert!(robots.header("content-type").starts_with("text/plain"));
    assert!(
        robots.text.contains("User-agent: *") && robots.text.contains("Disallow: /"),
        "{}",
        robots.text
    );
    for path in [
        "/nothing",
        "/favicon.ico",
        "/.well-known/other",
        "/index.html",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let answer = hub.client().send(method, path, "").await;
            assert_eq!(answer.status, 404, "{method} {path}");
            assert!(!answer.text.is_empty(), "{method} {path} has a body");
            let stored = answer.header("cache-control");
            assert!(stored.contains("no-store"), "{method} {path}: {stored}");
        }
    }
}

/// No tolerance for a trailing slash or an encoded path, and no subscription API unless it is
/// switched on (B-304, B-312).
#[tokio::test]
async fn paths_beside_the_hub_are_404() {
    let hub = Hub::ordinary();
    for path in [
        "/.well-known/mercure/",
        "/.well-known/mercureX",
        "/.well-known/mercure/subscriptions",
        "/.well-known/merc%75re",
    ] {
        let answer = hub.subscriber(&[]).get(&format!("{path}?match=a")).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(!answer.text.is_empty(), "{path} has a body");
    }
}

/// Another host is 421, never an empty 200, and the body names both (B-063).
#[tokio::test]
async fn another_host_is_misdirected() {
    let hub = Hub::start("anonymous\ntransport memory");
    for host in ["elsewhere.example", "elsewhere.example:80"] {
        let get = hub
            .client()
            .naming(host)
            .get(&target(&[("match", "a")]))
            .await;
        let post = hub
            .publisher()
            .naming(host)
            .publish(&[("topic", "a")])
            .await;
        for answer in [get, post] {
            assert_eq!(answer.status, 421, "{host}");
            assert!(answer.text.contains("elsewhere.example"), "{}", answer.text);
            assert!(answer.text.contains("127.0.0.1"), "{}", answer.text);
            assert_eq!(answer.header("x-frame-options"), "DENY");
            assert!(answer.header("cache-control").contains("no-store"));
        }
    }
    let logged = |line: &str| line.contains("elsewhere.example").then_some(());
    hub.log
        .find(0, PATIENCE, logged)
        .expect("a line in the log");
    let any = Hub::start_on("http://:0", "anonymous\ntransport memory");
    any.client()
        .naming("whatever.example")
        .subscribe_with(&[("match", "a")])
        .await;
}

/// Exactly one `Host` (RFC 9112, section 3.2). The refusal has the hub's fields, and a line in the
/// log.
#[tokio::test]
async fn a_request_without_one_host_is_refused() {
    let hub = Hub::ordinary();
    for (fields, words) in [
        ("", "missing"),
        ("Host: a\r\nHost: b\r\n", "more than once"),
        ("Host: \u{e9}\r\n", "not readable"),
    ] {
        let before = hub.log.len();
        let request = format!("GET /robots.txt HTTP/1.1\r\n{fields}Connection: close\r\n\r\n");
        let answer = raw::exchange(hub.address, request.as_bytes()).await;
        assert_eq!(raw::status(&answer), 400, "{answer}");
        let lower = answer.to_ascii_lowercase();
        for field in ["x-frame-options: deny", "no-store", "no-transform", words] {
            assert!(lower.contains(field), "{field} is not in {answer}");
        }
        let logged = |line: &str| (line.contains("refused") && line.contains(words)).then_some(());
        hub.log
            .find(before, PATIENCE, logged)
            .expect("a line in the log");
    }
}

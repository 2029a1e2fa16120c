//! Requests whose host the hub itself refuses: its site names another one before they reach it.

use talaria_conformance::hub::PUBLISHER_KEY;
use talaria_conformance::token::{Token, exact};
use talaria_conformance::{HUB_PATH, raw};

use super::refusals::refused;
use super::start;
use crate::running::{Running, caddyfile};

/// A hub whose site changes the host of each request.
fn changing(change: &str) -> Running {
    let text = caddyfile("", "");
    let text = text.replace("mercure {", &format!("request_header {change}\nmercure {{"));
    Running::start_debugging(&text)
}

/// A site may give requests a host that is not one.
#[tokio::test]
async fn sites_that_spoil_the_host() {
    for (reason, change) in [
        ("host_malformed", "Host \"a b\""),
        ("host_user_information", "Host name@hub.example"),
        ("host_unreadable", "Host \u{e9}.example"),
        ("host_repeated", "+Host hub.example"),
    ] {
        let hub = changing(change);
        let answer = hub.client().get(&format!("{HUB_PATH}?match=a")).await;
        assert_eq!(answer.status, 400, "{reason}");
        refused(&hub, reason).await;
    }
    // Over HTTP/2 the request line has one, too.
    let hub = changing("Host hub.example");
    let client = hub.client().http2();
    let answer = client.get(&format!("{HUB_PATH}?match=a")).await;
    assert_eq!(answer.status, 400);
    refused(&hub, "host_contradicting").await;
}

/// A page publishes by a cookie, which must be that of the host, and HTTP/1.0 names none.
#[tokio::test]
async fn a_request_without_a_host() {
    let text = caddyfile("", "").replace("http://127.0.0.1:0", "http://:0");
    let hub = Running::start_debugging(&text);
    let token = Token::new("https://hub.example").grant("publish", &[exact("*")]);
    let cookie = token.sign(PUBLISHER_KEY);
    let request =
        format!("POST {HUB_PATH} HTTP/1.0\r\nCookie: mercure_access_token={cookie}\r\n\r\n");
    let answer = raw::exchange(hub.address, request.as_bytes()).await;
    assert_eq!(raw::status(&answer), 400, "{answer}");
    refused(&hub, "host_missing").await;
}

/// A host that is served, and is not one of the public ones.
#[tokio::test]
async fn a_host_that_is_not_public() {
    let hub = start("", "public_urls https://hub.example");
    let answer = hub.client().get(&format!("{HUB_PATH}?match=a")).await;
    assert_eq!(answer.status, 421);
    refused(&hub, "misdirected").await;
}

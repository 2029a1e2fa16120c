//! What requests of strangers write into the log: short, escaped lines, and a bounded number of them.

use serde_json::json;
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::token::{Token, exact};
use talaria_conformance::{HUB_PATH, raw};

/// Of the same refusals of one address the first are logged, and the others counted; another reason is
/// logged at once.
#[tokio::test]
async fn repeated_refusals_are_counted() {
    let hub = Hub::start("anonymous\ntransport memory");
    let mut stranger = hub.client().keep().await;
    for _ in 0..1088 {
        assert_eq!(stranger.try_publish(&[("topic", "a")]).await, None);
    }
    let narrow = hub.client().bearer(&hub.publisher_token(&[exact("b")]));
    assert_eq!(narrow.publish(&[("topic", "a")]).await.status, 403);
    for _ in 0..100 {
        let elsewhere = hub.client().naming("elsewhere.example");
        assert_eq!(elsewhere.get("/").await.status, 421);
        let answer = raw::exchange(
            hub.address,
            b"GET / HTTP/1.1\r\nHost: a@b\r\nConnection: close\r\n\r\n",
        )
        .await;
        assert_eq!(raw::status(&answer), 400);
    }
    let preflight = hub
        .client()
        .header("origin", "https://evil.example")
        .header("access-control-request-method", "GET");
    for _ in 0..100 {
        preflight.send("OPTIONS", HUB_PATH, "").await;
    }
    let lines = hub.log_to_the_end().await;
    let count = |words: &str| lines.iter().filter(|line| line.contains(words)).count();
    for (words, most) in [
        ("it carries no token", 64),
        ("does not grant the action", 1),
        ("a host that is not served", 64),
        ("has user information", 64),
        ("CORS preflight refused", 64),
    ] {
        let found = count(words);
        assert!(found == most, "{words}: {found}\n{}", lines.join("\n"));
    }
    let counted = |reason: &str, more: &str| {
        let line = lines.iter().find(|line| {
            line.contains(more) && line.contains(reason) && line.contains("address=127.0.0.1")
        });
        assert!(line.is_some(), "{reason}: {}", lines.join("\n"));
    };
    counted("reason=\"no_token\"", "… 1,024 more in the last 10 s");
    counted("reason=\"misdirected\"", "… 36 more in the last 10 s");
    counted(
        "reason=\"origin_not_allowed\"",
        "… 36 more in the last 10 s",
    );
}

/// Behind a trusted proxy refusals are those of its clients: one that is often refused hides no other, and
/// each line names its client. Different faults of a host are different reasons.
#[tokio::test]
async fn refusals_behind_a_proxy_are_those_of_its_clients() {
    let hub = Hub::start("anonymous\ntransport memory\ntrusted_proxies 127.0.0.1");
    let attacker = hub.client().header("x-forwarded-for", "192.0.2.1");
    let mut attacker = attacker.keep().await;
    for _ in 0..100 {
        assert_eq!(attacker.try_publish(&[("topic", "a")]).await, None);
    }
    let own = hub.client().header("x-forwarded-for", "192.0.2.2");
    assert_eq!(own.publish(&[("topic", "a")]).await.status, 401);
    assert_eq!(
        own.clone()
            .naming("elsewhere.example")
            .get("/")
            .await
            .status,
        421
    );
    let preflight = own.header("origin", "https://a.example");
    let preflight = preflight.header("access-control-request-method", "GET");
    preflight.send("OPTIONS", HUB_PATH, "").await;
    let faults = [
        ("", "host_missing"),
        ("Host: a\r\nHost: a\r\n", "host_repeated"),
        ("Host: \u{e9}\r\n", "host_unreadable"),
        ("Host: a@b\r\n", "host_user_information"),
        ("Host: a b\r\n", "host_malformed"),
    ];
    for (fields, _) in faults {
        let request = format!(
            "GET / HTTP/1.1\r\n{fields}X-Forwarded-For: 192.0.2.3\r\nConnection: close\r\n\r\n"
        );
        let answer = raw::exchange(hub.address, request.as_bytes()).await;
        assert_eq!(raw::status(&answer), 400, "{answer}");
    }
    raw::exchange(hub.address, b"GET\r\n\r\n").await;
    let lines = hub.log_to_the_end().await;
    let text = lines.join("\n");
    let has = |words: &[&str]| {
        let mut lines = lines.iter();
        assert!(
            lines.any(|line| words.iter().all(|word| line.contains(word))),
            "{words:?}\n{text}"
        );
    };
    has(&["reason=\"no_token\"", "127.0.0.1]:", "client=192.0.2.1"]);
    has(&["… 36 more", "reason=\"no_token\"", "address=192.0.2.1"]);
    for reason in ["no_token", "misdirected", "origin_not_allowed"] {
        has(&[&format!("reason=\"{reason}\""), "client=192.0.2.2"]);
    }
    for (_, reason) in faults {
        has(&[&format!("reason=\"{reason}\""), "client=192.0.2.3"]);
    }
    has(&["reason=\"not_a_method\"", "request refused"]);
}

/// `RUST_LOG=debug` logs each refusal.
#[tokio::test]
async fn debugging_shows_each_refusal() {
    let hub = Home::new()
        .start(
            "http://127.0.0.1:0",
            "anonymous\ntransport memory",
            &[("RUST_LOG", "debug")],
        )
        .expect("it starts");
    let mut stranger = hub.client().keep().await;
    for _ in 0..100 {
        stranger.try_publish(&[("topic", "a")]).await;
    }
    let lines = hub.log_to_the_end().await;
    let refused = lines.iter().filter(|line| line.contains("no_token"));
    assert_eq!(refused.count(), 100);
}

/// Whatever a client sends, its line is short, and neither ends nor forges one.
#[tokio::test]
async fn every_field_is_bounded() {
    let hub =
        Hub::start("anonymous\ntransport memory\nsubscriptions\ncors_origins https://a.example");
    let long = "x".repeat(3_000);
    let evil = format!("\"\u{1b}[2J level=ERROR {long}");
    let path = format!("{HUB_PATH}/subscriptions/exact/{long}");
    let bad = hub.client().bearer(&"y".repeat(60));
    assert_eq!(bad.get(&path).await.status, 401);
    let publisher = hub.client().bearer(&hub.publisher_token(&[exact("b")]));
    let topic = format!("https://example.com/\"{}", "x".repeat(900));
    assert_eq!(publisher.publish(&[("topic", &topic)]).await.status, 403);
    for (name, value) in [
        ("iss", json!(evil)),
        (
            "aud",
            json!([evil, evil, evil, evil, evil, evil, evil, evil, evil, evil]),
        ),
        ("aud", json!(evil)),
        ("authorization_details", json!(evil)),
    ] {
        let token = Token::new(&hub.audience).claim(name, value);
        let client = hub.client().bearer(&hub.sign_as_publisher(&token));
        assert_eq!(client.publish(&[("topic", "a")]).await.status, 401);
    }
    for (name, value) in [
        ("alg", json!(evil)),
        ("typ", json!(evil)),
        ("crit", json!([evil])),
        ("kid", json!(evil)),
    ] {
        let token = Token::new(&hub.audience).parameter(name, value);
        let client = hub.client().bearer(&hub.sign_as_publisher(&token));
        client.publish(&[("topic", "a")]).await;
    }
    let origin = hub
        .client()
        .header("origin", &long)
        .header("access-control-request-method", "GET");
    origin.send("OPTIONS", HUB_PATH, "").await;
    let method = origin.header("access-control-request-headers", &long);
    method.send("OPTIONS", HUB_PATH, "").await;
    for request in [
        format!("GET / HTTP/1.1\r\nHost: {long}\r\nConnection: close\r\n\r\n"),
        format!(
            "GET / HTTP/1.1\r\nHost: a{}\r\nConnection: close\r\n\r\n",
            "\"".repeat(200)
        ),
        format!("{long} {HUB_PATH} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
    ] {
        raw::exchange(hub.address, request.as_bytes()).await;
    }
    let lines = hub.log_to_the_end().await;
    let begun = |line: &&String| ["INFO", "WARN"].iter().any(|level| line.contains(level));
    assert_eq!(lines.iter().filter(begun).count(), lines.len());
    for line in &lines {
        assert!(line.len() < 1500, "{} bytes: {}", line.len(), &line[..1500]);
        assert!(!line.contains('\u{1b}'), "{line}");
    }
    for words in [
        "insufficient_scope",
        "iss_unknown",
        "aud_mismatch",
        "xxx…\"",
    ] {
        assert!(lines.iter().any(|line| line.contains(words)), "{words}");
    }
}

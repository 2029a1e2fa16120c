//! Directives that change who is answered and how.

use serde_json::json;
use talaria_conformance::hub::Hub;
use talaria_conformance::token::{Token, exact};

/// The scheme and authority of a request, as received, must be those of a public URL (B-204,
/// B-421).
#[tokio::test]
async fn other_origins_than_the_public_ones_are_misdirected() {
    let hub = Hub::start_on(
        "http://:0",
        "anonymous\ntransport memory\n\
         public_urls http://HUB.example/any/path https://hub.example",
    );
    let path = "/.well-known/mercure?match=a";
    for (host, status) in [("hub.example", 200), ("other.example", 421)] {
        let answer = hub.client().naming(host).send("HEAD", path, "").await;
        assert_eq!(answer.status, status, "{host}");
    }
    // The pages around the hub have no origin to protect.
    let page = hub
        .client()
        .naming("other.example")
        .get("/robots.txt")
        .await;
    assert_eq!(page.status, 200);
}

/// Publishers inside a network name the hub by another URL than browsers do.
#[tokio::test]
async fn accepted_audiences_are_accepted_beside_the_own() {
    let hub = Hub::start(
        "anonymous\ntransport memory\naccepted_audiences https://public.example/.well-known/mercure",
    );
    for (audience, status) in [
        (hub.audience.as_str(), 200),
        ("https://public.example/.well-known/mercure", 200),
        ("https://other.example/.well-known/mercure", 401),
    ] {
        let token = Token::new(audience).grant("publish", &[exact("*")]);
        let publisher = hub.client().bearer(&hub.sign_as_publisher(&token));
        let answer = publisher.publish(&[("topic", "a")]).await;
        assert_eq!(answer.status, status, "{audience}");
    }
}

/// `transport_url` is the transport of older files (B-216).
#[tokio::test]
async fn a_transport_may_be_a_url() {
    let hub = Hub::start("anonymous\ntransport_url bolt://kept.db?size=2");
    for data in ["1", "2", "3"] {
        hub.publisher()
            .published(&[("topic", "a"), ("data", data)])
            .await;
    }
    let client = hub.client().last_event_id("earliest");
    let mut stream = client.subscribe(&[exact("a")]).await;
    assert_eq!(stream.several().await, ["2", "3"]);
}

/// With `playground` every client may subscribe, and publishing still needs a token (B-090).
#[tokio::test]
async fn a_playground_is_open() {
    let hub = Hub::classic("playground\ntransport memory");
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    assert_eq!(hub.client().publish(&[("topic", "a")]).await.status, 401);
    // By cookie, from a page of any origin.
    let token = Token::older(json!({ "publish": ["*"] }));
    let page = hub
        .client()
        .cookie("mercure_access_token", &hub.sign_as_publisher(&token))
        .header("origin", "https://any.example");
    page.published(&[("topic", "a"), ("data", "from a page")])
        .await;
    assert_eq!(stream.data().await, "from a page");
}

/// Scheme and host are those that the client used, if a trusted proxy forwards them (B-958,
/// B-1017).
#[tokio::test]
async fn a_trusted_proxy_forwards_scheme_and_host() {
    const METADATA: &str = "/.well-known/oauth-protected-resource/.well-known/mercure";
    for (directive, status) in [("trusted_proxies private_ranges", 200), ("", 401)] {
        let hub = Hub::start(&format!(
            "anonymous\ntransport memory\n{directive}\nheartbeat 1h"
        ));
        let public = "https://hub.example/.well-known/mercure";
        let token = Token::new(public).grant("publish", &[exact("*")]);
        let proxied = hub
            .client()
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-host", "hub.example");
        let publisher = proxied.clone().bearer(&hub.sign_as_publisher(&token));
        let answer = publisher.publish(&[("topic", "a")]).await;
        assert_eq!(answer.status, status, "{directive}");
        let document = proxied.get(METADATA).await.text;
        assert_eq!(document.contains(public), status == 200, "{document}");
        let behind_http2 = publisher.http2().publish(&[("topic", "a")]).await;
        assert_eq!(behind_http2.status, status, "{directive}");
    }
}

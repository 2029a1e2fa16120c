//! The token in a cookie, and where a request that carries one may come from ("Cookie").

use talaria_conformance::client::{Answer, Client};
use talaria_conformance::hub::{Hub, ORDINARY};
use talaria_conformance::token::{Token, exact};

const COOKIE: &str = "__Secure-mercure_access_token";

/// On a site without TLS the cookie is read under its name with and without the prefix (B-1003).
#[tokio::test]
async fn the_cookie_is_read_under_both_names() {
    let hub = Hub::start(ORDINARY);
    let token = hub.subscriber_token(&[exact("a")]);
    for name in [COOKIE, "mercure_access_token"] {
        let client = hub
            .client()
            .header("cookie", &format!("other=1; {name}={token}; more=2"));
        let mut stream = client.subscribe(&[exact("a")]).await;
        hub.publisher()
            .published(&[("topic", "a"), ("data", name), ("private", "on")])
            .await;
        assert_eq!(stream.data().await, name);
    }
}

/// `cookie_name` changes the name of the cookie.
#[tokio::test]
async fn the_cookie_can_be_renamed() {
    let hub = Hub::start(&format!("{ORDINARY}\ncookie_name hub_token"));
    let token = hub.subscriber_token(&[exact("a")]);
    let mut stream = hub
        .client()
        .cookie("hub_token", &token)
        .subscribe(&[exact("a")])
        .await;
    hub.publisher()
        .published(&[("topic", "a"), ("data", "1"), ("private", "on")])
        .await;
    assert_eq!(stream.data().await, "1");
}

/// "when an `Authorization` HTTP header is present, its token MUST be used and any cookie MUST be
/// ignored", also when the header is bad (B-440).
#[tokio::test]
async fn the_header_wins_over_the_cookie() {
    let hub = Hub::start(ORDINARY);
    let narrow = hub.subscriber_token(&[exact("b")]);
    let wide = hub.subscriber_token(&[exact("*")]);
    let mut stream = hub
        .client()
        .bearer(&narrow)
        .cookie(COOKIE, &wide)
        .subscribe(&[exact("*")])
        .await;
    hub.publisher()
        .published(&[("topic", "a"), ("data", "withheld"), ("private", "on")])
        .await;
    hub.publisher()
        .published(&[("topic", "b"), ("data", "1"), ("private", "on")])
        .await;
    assert_eq!(stream.data().await, "1");
    let bad = hub
        .client()
        .bearer(&format!("{wide}x"))
        .cookie(COOKIE, &wide);
    assert_eq!(bad.get("/.well-known/mercure?match=a").await.status, 401);
}

/// A bad cookie is refused even where anonymous subscribers are let in.
#[tokio::test]
async fn a_bad_cookie_is_refused() {
    let hub = Hub::start(ORDINARY);
    let answer = hub
        .client()
        .cookie(COOKIE, "nonsense")
        .get("/.well-known/mercure?match=a")
        .await;
    assert_eq!(answer.status, 401);
    assert!(answer.header("www-authenticate").contains("invalid_token"));
}

async fn publish(client: Client, field: Option<(&str, &str)>) -> Answer {
    let client = field
        .into_iter()
        .fold(client, |client, (name, value)| client.header(name, value));
    client.publish(&[("topic", "a")]).await
}

/// A cookie `POST` must come from the hub's own origin; nothing else is allowed unless
/// `publish_origins` says so. Else it is 400 `invalid_request` (B-391, B-1044).
#[tokio::test]
async fn a_cookie_post_comes_from_the_hubs_origin() {
    let hub = Hub::start(ORDINARY);
    let client = hub
        .client()
        .cookie(COOKIE, &hub.publisher_token(&[exact("*")]));
    let own = format!("http://{}", hub.host);
    let tls_outside = format!("https://{}", hub.host);
    let page = format!("{own}/some/page?x");
    for allowed in [
        ("origin", own.as_str()),
        ("origin", &tls_outside),
        ("referer", &page),
    ] {
        assert_eq!(
            publish(client.clone(), Some(allowed)).await.status,
            200,
            "{allowed:?}"
        );
    }
    for refused in [
        None,
        Some(("origin", "https://elsewhere.example")),
        Some(("origin", "null")),
        Some(("referer", "https://elsewhere.example/page")),
    ] {
        let answer = publish(client.clone(), refused).await;
        assert_eq!(answer.status, 400, "{refused:?}");
        assert!(
            answer
                .header("www-authenticate")
                .contains(r#"error="invalid_request""#),
            "{refused:?}"
        );
    }
    let both = client.header("referer", &page);
    let answer = publish(both, Some(("origin", "https://elsewhere.example"))).await;
    assert_eq!(answer.status, 400, "Origin counts before Referer");
}

/// `publish_origins` allows further origins (B-226, B-390).
#[tokio::test]
async fn publish_origins_are_let_in() {
    let hub = Hub::start(&format!(
        "{ORDINARY}\npublish_origins https://app.example https://*.example.com"
    ));
    let client = hub
        .client()
        .cookie(COOKIE, &hub.publisher_token(&[exact("*")]));
    for (origin, status) in [
        ("https://app.example", 200),
        ("https://one.example.com", 200),
        ("https://app.example:444", 400),
        ("http://app.example", 400),
        ("https://example.com.evil.example", 400),
    ] {
        assert_eq!(
            publish(client.clone(), Some(("origin", origin)))
                .await
                .status,
            status,
            "{origin}"
        );
    }
    let header = hub.publisher();
    let answer = publish(header, Some(("origin", "https://elsewhere.example"))).await;
    assert_eq!(answer.status, 200, "the rule is for cookies only");
}

/// A hub whose public URL is HTTPS, behind a proxy that does TLS, takes no cookie from a page of
/// plain HTTP, which any attacker in the network between can write.
#[tokio::test]
async fn an_https_hub_takes_no_cookie_from_http() {
    for directive in [
        "resource_identifier https://127.0.0.1/.well-known/mercure",
        "public_urls https://127.0.0.1\ntrusted_proxies 127.0.0.1",
    ] {
        let hub = Hub::start(&format!("{ORDINARY}\n{directive}"));
        let token = Token::new("https://127.0.0.1/.well-known/mercure");
        let token = hub.sign_as_publisher(&token.grant("publish", &[exact("*")]));
        let proxied = hub
            .client()
            .naming("127.0.0.1")
            .header("x-forwarded-proto", "https");
        let client = proxied.cookie(COOKIE, &token);
        for (name, value, status) in [
            ("origin", "https://127.0.0.1", 200),
            ("referer", "https://127.0.0.1/page", 200),
            ("origin", "http://127.0.0.1", 400),
            ("origin", "http://127.0.0.1:443", 400),
            ("origin", "HTTP://127.0.0.1", 400),
            ("referer", "http://127.0.0.1/page", 400),
        ] {
            let answer = publish(client.clone(), Some((name, value))).await;
            assert_eq!(answer.status, status, "{directive}: {name} {value}");
        }
    }
}

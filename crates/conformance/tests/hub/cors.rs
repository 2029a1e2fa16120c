//! "Web browsers enforce the CORS protocol": preflights and actual requests (B-361 to B-367, B-1011).

use talaria_conformance::HUB_PATH;
use talaria_conformance::client::{Answer, Client, target};
use talaria_conformance::hub::{Hub, ORDINARY};
use talaria_conformance::token::exact;

const APP: &str = "https://app.example";

fn listed(value: &str, name: &str) -> bool {
    value
        .split(',')
        .any(|part| part.trim().eq_ignore_ascii_case(name))
}

async fn preflight(client: Client, origin: &str, method: &str) -> Answer {
    let client = client
        .header("origin", origin)
        .header("access-control-request-method", method)
        .header(
            "access-control-request-headers",
            "authorization,cache-control,last-event-id",
        );
    client.send("OPTIONS", HUB_PATH, "").await
}

/// A preflight of a listed origin is allowed; another is answered without the permission.
#[tokio::test]
async fn preflights() {
    let hub = Hub::start(&format!(
        "{ORDINARY}\ncors_origins {APP} https://*.example.com"
    ));
    for method in ["GET", "POST", "QUERY"] {
        let answer = preflight(hub.client(), APP, method).await;
        assert_eq!(answer.status, 204, "{method}");
        assert_eq!(answer.header("access-control-allow-origin"), APP);
        assert_eq!(answer.header("access-control-allow-credentials"), "true");
        assert!(
            listed(answer.header("access-control-allow-methods"), method),
            "{answer:?}"
        );
        for name in ["authorization", "cache-control", "last-event-id"] {
            assert!(
                listed(answer.header("access-control-allow-headers"), name),
                "{answer:?}"
            );
        }
        assert!(listed(answer.header("vary"), "origin"), "{answer:?}");
    }
    let one = preflight(hub.client(), "https://one.example.com", "GET").await;
    assert_eq!(
        one.header("access-control-allow-origin"),
        "https://one.example.com"
    );
    for origin in ["https://elsewhere.example", "http://app.example", "null"] {
        let answer = preflight(hub.client(), origin, "GET").await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
        assert_eq!(answer.status, 204, "{origin}");
    }
}

/// Actual requests, streams and errors alike, carry the permission and expose the hub's fields.
#[tokio::test]
async fn actual_requests() {
    let hub = Hub::start(&format!("{ORDINARY}\ncors_origins {APP}"));
    let app = hub.client().header("origin", APP);
    let stream = app.subscribe(&[exact("a")]).await;
    assert_eq!(stream.header("access-control-allow-origin"), APP);
    assert_eq!(stream.header("access-control-allow-credentials"), "true");
    for name in [
        "link",
        "mercure-last-event-id",
        "accept-query",
        "retry-after",
        "www-authenticate",
    ] {
        assert!(
            listed(stream.header("access-control-expose-headers"), name),
            "{:?}",
            stream.headers
        );
    }
    assert!(
        listed(stream.header("vary"), "origin"),
        "{:?}",
        stream.headers
    );
    let refused = app.publish(&[("topic", "a")]).await;
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.header("access-control-allow-origin"),
        APP,
        "a script may read why"
    );
    let other = hub.client().header("origin", "https://elsewhere.example");
    let stream = other.subscribe(&[exact("a")]).await;
    assert_eq!(stream.header("access-control-allow-origin"), "");
    assert!(listed(stream.header("vary"), "origin"), "B-362: always");
}

/// "the `Access-Control-Allow-Origin` response header MUST NOT be the `*` wildcard" with credentials.
#[tokio::test]
async fn the_wildcard_switches_credentials_off() {
    let hub = Hub::start(&format!("{ORDINARY}\ncors_origins *"));
    let stream = hub
        .client()
        .header("origin", APP)
        .subscribe(&[exact("a")])
        .await;
    assert_eq!(stream.header("access-control-allow-origin"), "*");
    assert_eq!(stream.header("access-control-allow-credentials"), "");
}

/// Without `cors_origins` there is no permission at all.
#[tokio::test]
async fn nothing_is_allowed_unless_configured() {
    let hub = Hub::start(ORDINARY);
    let answer = hub
        .client()
        .header("origin", APP)
        .send("HEAD", &target(&[("match", "a")]), "")
        .await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

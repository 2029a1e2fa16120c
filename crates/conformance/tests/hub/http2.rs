//! HTTP/2 without TLS, with prior knowledge.

use http::Version;
use talaria_conformance::hub::Hub;
use talaria_conformance::token::exact;

/// "The connection SHOULD use HTTP version 2 or higher": publish and subscribe, also resuming.
#[tokio::test]
async fn everything_works_over_http2() {
    let hub = Hub::ordinary();
    let mut stream = hub.client().http2().subscribe(&[exact("a")]).await;
    assert_eq!(stream.version, Version::HTTP_2);
    assert_eq!(
        stream.header("connection"),
        "",
        "HTTP/2 has no connection fields"
    );
    let mut publisher = hub.publisher().http2().keep().await;
    let id = publisher.publish(&[("topic", "a"), ("data", "1")]).await;
    publisher.publish(&[("topic", "a"), ("data", "2")]).await;
    assert_eq!(stream.several().await, ["1", "2"]);
    let mut resumed = hub
        .client()
        .http2()
        .last_event_id(&id)
        .subscribe(&[exact("a")])
        .await;
    assert_eq!(resumed.data().await, "2");
    let mut queried = hub
        .client()
        .http2()
        .query(&[("last_event_id", &id)], &[("match", "a")])
        .await;
    assert_eq!(queried.data().await, "2");
    let refused = hub.client().http2().publish(&[("topic", "a")]).await;
    assert_eq!(refused.status, 401);
}

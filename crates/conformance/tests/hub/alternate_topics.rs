//! The hub dispatches an update to subscribers that match any of its topics, once ("Publication").

use talaria_conformance::hub::Hub;
use talaria_conformance::token::exact;

/// One update, however many of its topics and however many matchers meet.
#[tokio::test]
async fn an_update_arrives_once() {
    let hub = Hub::ordinary();
    let matchers = [
        exact("canonical"),
        exact("alternate"),
        exact("*"),
        exact("end"),
    ];
    let mut both = hub.client().subscribe(&matchers).await;
    let mut alternate = hub
        .client()
        .subscribe(&[exact("alternate"), exact("end")])
        .await;
    let publisher = hub.publisher();
    publisher
        .published(&[
            ("topic", "canonical"),
            ("topic", "alternate"),
            ("data", "1"),
        ])
        .await;
    publisher
        .published(&[("topic", "canonical"), ("data", "2")])
        .await;
    publisher
        .published(&[("topic", "end"), ("data", "end")])
        .await;
    assert_eq!(both.until("end").await, ["1", "2"]);
    assert_eq!(alternate.until("end").await, ["1"]);
}

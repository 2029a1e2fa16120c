//! What the application is told of the updates that it publishes.

use talaria_hub::PublishError;
use talaria_hub::protocol::{Blame, Update};

use crate::{TOPIC, books, hub, next, publish_as_client};

/// Updates, the status that a client is answered, and whose fault a refusal is.
fn cases() -> Vec<(Update, u16, Option<Blame>)> {
    let good = Update::new(TOPIC, "data")
        .with_id("urn:uuid:1")
        .with_event_type("added");
    vec![
        (good.clone(), 200, None),
        (Update::new("relative", "").with_topic(TOPIC), 200, None),
        (
            Update {
                topics: Vec::new(),
                ..good.clone()
            },
            400,
            Some(Blame::Malformed),
        ),
        (Update::new("*", ""), 400, Some(Blame::Malformed)),
        (Update::new("a\nb", ""), 400, Some(Blame::Malformed)),
        (good.clone().with_id("#1"), 400, Some(Blame::Malformed)),
        (
            good.clone().with_id("earliest"),
            400,
            Some(Blame::Malformed),
        ),
        (
            good.clone().with_event_type("mercure"),
            400,
            Some(Blame::Malformed),
        ),
        (good.clone().with_id(""), 200, None),
        (
            Update::new("/.well-known/mercure/subscriptions/a/b", ""),
            400,
            Some(Blame::Reserved),
        ),
        (
            Update::new("t".repeat(5_000), ""),
            413,
            Some(Blame::TooLarge),
        ),
        (
            Update {
                topics: vec![TOPIC.to_owned(); 1_001],
                ..good
            },
            413,
            Some(Blame::TooLarge),
        ),
    ]
}

/// "Publication": the application is told what a publisher with a grant for everything is told.
#[tokio::test]
async fn the_application_gets_the_answers_of_a_publisher() {
    let hub = hub();
    for (update, status, blame) in cases() {
        let shown = format!("{update:.200?}");
        let (answered, text) = publish_as_client(&hub, &update).await;
        assert_eq!(answered, status, "{text}");
        match (hub.publish(update).await, blame) {
            (Ok(id), None) => assert!(!id.is_empty()),
            (Err(PublishError::Invalid(error)), Some(blame)) => {
                assert_eq!(error.blame, blame, "{error}");
                // A client is told about its form if a topic is missing.
                if shown.contains("topics: []") {
                    let expected =
                        "topics: the update has none; give it one, as `Update::new` does";
                    assert_eq!(error.to_string(), expected);
                } else {
                    assert_eq!(text, error.to_string());
                }
            }
            (outcome, _) => panic!("{outcome:?} {shown}"),
        }
    }
    let largest = Update::new(TOPIC, "x".repeat((1 << 20) - TOPIC.len()));
    assert!(hub.publish(largest.clone()).await.is_ok());
    match hub.publish(largest.with_id("i")).await {
        Err(PublishError::Invalid(error)) => assert_eq!(error.blame, Blame::TooLarge),
        outcome => panic!("{outcome:?}"),
    }
}

/// An update of the application is not taken for one of the hub.
#[tokio::test]
async fn the_application_does_not_publish_as_the_hub() {
    let hub = hub();
    let mut updates = hub.subscribe(books()).await.expect("a stream");
    let forged = Update {
        by_hub: true,
        ..Update::new(TOPIC, "forged")
    };
    hub.publish(forged).await.expect("stored");
    let update = next(&mut updates).await.expect("an update");
    assert!(!update.by_hub && update.data == "forged");
}

//! The namespace that is reserved for what the hub itself publishes ("Publication").

use talaria_conformance::hub::{Home, Hub};

/// Topics that resolve to the hub's path or below are 400, whatever the token says (B-386).
#[tokio::test]
async fn topics_below_the_hub_are_refused() {
    let hub = Hub::ordinary();
    for topic in [
        "/.well-known/mercure",
        "/.well-known/mercure/subscriptions/exact/a/b",
        "https://any.example/.well-known/mercure/x",
        "http://any.example/.well-known/mercure",
        "https://any.example/.well-known/mercure?x#y",
        "/.well-known/%6Dercure/x",
        "/.well-known/me%72cure",
        "/.well-known/mercure/../mercure/x",
        "/.well-known/x/%2e%2e/mercure/y",
        r"https://any.example\.well-known\mercure\x",
        "/.well-known/mercure/subscriptions/../..",
        "/x/../.well-known/mercure/subscriptions/a",
        "/.well-known/me%2572cure%2fx",
        "/.well-known//mercure/x",
        "mercure/x",
        "",
    ] {
        let answer = hub
            .publisher()
            .publish(&[("topic", "a"), ("topic", topic)])
            .await;
        assert_eq!(answer.status, 400, "{topic:?}");
    }
}

/// What only looks like it is an ordinary topic (B-386).
#[tokio::test]
async fn topics_beside_the_hub_are_accepted() {
    let hub = Hub::ordinary();
    for topic in [
        "/.well-known/mercureX",
        "/foo/.well-known/mercure",
        "subscriptions/x",
        "../mercure/x",
        "urn:x:/.well-known/mercure",
        "https://any.example/?/.well-known/mercure",
        "http://[not a url/.well-known/mercure",
    ] {
        let answer = hub.publisher().publish(&[("topic", topic)]).await;
        assert_eq!(answer.status, 200, "{topic:?}: {}", answer.text);
    }
}

/// A hub behind a path reserves its own URL, and the path of its events, which is the same for every
/// hub ("Publication").
#[tokio::test]
async fn a_hub_behind_a_path_reserves_both_of_its_paths() {
    let home = Home::new();
    let identifier = "https://hub.example/app/.well-known/mercure";
    let mut hub = home
        .hub(&format!("resource_identifier {identifier}"))
        .expect("it starts");
    identifier.clone_into(&mut hub.audience);
    for topic in [
        "/app/.well-known/mercure/x",
        "mercure/subscriptions/exact/a/b",
        "/.well-known/mercure",
        "/.well-known/mercure/subscriptions/exact/a/b",
        "/.well-known/mercure/subscriptions/../..",
        "/app/.well-known/mercure/subscriptions/../../..",
        "../../.well-known/mercur%65/subscriptions/exact/a/b",
        "https://any.example/x/%2e%2e/.well-known/mercure/subscriptions/a/b",
    ] {
        let answer = hub.publisher().publish(&[("topic", topic)]).await;
        assert_eq!(answer.status, 400, "{topic:?}");
    }
    let answer = hub
        .publisher()
        .publish(&[("topic", "/other/.well-known/mercure/x")])
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

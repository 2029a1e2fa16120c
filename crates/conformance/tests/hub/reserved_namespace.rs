//! "Publication": the namespace that is reserved for what the hub itself publishes.

use talaria_conformance::hub::Hub;

/// B-386: topics that resolve to the hub's path or below are 400, whatever the token says.
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

/// B-386: what only looks like it is an ordinary topic.
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

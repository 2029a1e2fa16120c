//! One list on every node.

use axum::body::Body;
use http::{Request, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use talaria_hub::Hub;

use super::log::Cluster;
use super::node::Fate;
use super::{
    API, ask, enter, expected, get, list, said_of, subscribe, subscribe_with, token, until,
    until_listed, until_said,
};

/// Payloads of every kind, some of which are hard to write in the same way twice.
fn payloads() -> Vec<Value> {
    vec![
        json!({ "user": "ann", "roles": ["a", "b"], "empty": {}, "none": [] }),
        json!({ "z": 1, "a": { "é\n\"\u{2028}": [null, true, -0.0, 1e300, 0.1, 5e-324] } }),
        json!("a\r\nb"),
        json!(18_446_744_073_709_551_615_u64),
        json!([[[[{ "deep": [1, 2.5, "x"] }]]]]),
        Value::Null,
    ]
}

/// Every node lists the same, byte for byte, whichever node a subscriber is at: all, those of a matcher, and each one,
/// of both generations and with any payload. So does a node that joins later.
#[tokio::test(flavor = "multi_thread")]
async fn every_node_lists_the_same() {
    let cluster = Cluster::new();
    let (_, a) = enter(&cluster);
    let (_, b) = enter(&cluster);
    let mut open = Vec::new();
    let queries = [
        "match=https://example.com/b%C3%BCcher/1&match_urlpattern=/b/:id",
        "match=*&match_urlpattern=https://example.com/*",
        "topic=https://example.com/{x}&topic=exact",
    ];
    for payload in payloads() {
        let token = token("ann", &payload);
        for (query, hub) in queries.iter().zip([&a, &b, &a]) {
            open.push(subscribe_with(hub, query, Some(&token)).await);
        }
    }
    open.push(subscribe_with(&b, "topic=plain", None).await);
    let (_, joined) = enter(&cluster);
    let (_, all) = get(&a, API).await;
    let count = all.matches("\"subscriber\"").count();
    assert_eq!(count, payloads().len() * 6 + 1, "{all}");
    let listed: Value = serde_json::from_str(&all).expect("JSON");
    let listed = listed["subscriptions"].as_array().expect("an array");
    let mut paths: Vec<String> = listed
        .iter()
        .map(|one| one["id"].as_str().expect("a string").to_owned())
        .collect();
    let text = utf8_percent_encode("https://example.com/bücher/1", NON_ALPHANUMERIC);
    paths.push(format!("{API}/exact/{text}"));
    paths.push(format!("{API}/plain"));
    paths.push(API.to_owned());
    for path in paths {
        let (status, of_a) = get(&a, &path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert_eq!(get(&b, &path).await, (status, of_a.clone()), "{path}");
        assert_eq!(get(&joined, &path).await, (status, of_a), "{path}");
    }
    drop(open);
    until_listed(&cluster, &[&a, &b, &joined], &[]).await;
}

/// A subscription is listed on every node from its beginning to its end, which are in the log once each.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_listed_everywhere_until_it_ends() {
    let cluster = Cluster::new();
    let (_, a) = enter(&cluster);
    let (_, b) = enter(&cluster);
    let on_a = subscribe(&a, "on-a").await;
    assert_eq!(list(&b).await, ["on-a"], "its head was there");
    let on_b = subscribe(&b, "on-b").await;
    until_listed(&cluster, &[&a, &b], &["on-a", "on-b"]).await;
    drop(on_a);
    until_listed(&cluster, &[&a, &b], &["on-b"]).await;
    drop(on_b);
    until_listed(&cluster, &[&a, &b], &[]).await;
    let once = expected([("on-a", &[true, false]), ("on-b", &[true, false])]);
    assert_eq!(said_of(&cluster), once);
}

/// A node that was taken for dead and lives announces its open subscriptions again: others see that they end, and
/// begin again.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_taken_for_dead_announces_again() {
    let cluster = Cluster::new();
    let (node, a) = enter(&cluster);
    let (_, b) = enter(&cluster);
    let (first, second) = (subscribe(&a, "first").await, subscribe(&a, "second").await);
    let on_b = subscribe(&b, "on-b").await;
    node.cut_off();
    let again = expected([
        ("first", &[true, false, true]),
        ("second", &[true, false, true]),
        ("on-b", &[true]),
    ]);
    until_said(&cluster, &again).await;
    until_listed(&cluster, &[&a, &b], &["first", "on-b", "second"]).await;
    // And so a second time.
    node.cut_off();
    let twice = [true, false, true, false, true];
    until_said(
        &cluster,
        &expected([("first", &twice), ("second", &twice), ("on-b", &[true])]),
    )
    .await;
    drop((first, second, on_b));
    until(&cluster, "idle hubs", async || a.is_idle() && b.is_idle()).await;
    let ended = [true, false, true, false, true, false];
    let ended = expected([
        ("first", &ended),
        ("second", &ended),
        ("on-b", &[true, false]),
    ]);
    assert_eq!(said_of(&cluster), ended);
    until_listed(&cluster, &[&a, &b], &[]).await;
}

/// Subscribers that leave while others take their node for dead are ended, and stay ended.
#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_while_its_node_is_taken_for_dead_stays_ended() {
    let cluster = Cluster::new();
    let (node, a) = enter(&cluster);
    let (_, b) = enter(&cluster);
    for round in 0..20 {
        let mut open = Vec::new();
        for number in 0..10 {
            open.push(subscribe(&a, &format!("{round}-{number}")).await);
        }
        let leave = tokio::spawn(async move { drop(open) });
        node.cut_off();
        leave.await.expect("they leave");
    }
    until(&cluster, "idle hubs", async || a.is_idle() && b.is_idle()).await;
    until_listed(&cluster, &[&a, &b], &[]).await;
    for (name, said) in said_of(&cluster) {
        let turns = said.iter().enumerate();
        let take_turns = turns.fold(true, |so_far, (at, active)| {
            so_far && *active == (at % 2 == 0)
        });
        assert!(take_turns && said.len() % 2 == 0, "{name}: {said:?}");
    }
}

/// The status and the entity tag of the list, for a client that knows a tag.
async fn tagged(hub: &Hub, known: Option<&str>) -> (StatusCode, String) {
    let token = token("reader", &Value::Null);
    let mut request = Request::get(API).header("authorization", format!("Bearer {token}"));
    if let Some(known) = known {
        request = request.header("if-none-match", known);
    }
    let answer = ask(hub, request, Body::empty()).await;
    let tag = answer.headers()["etag"].to_str().expect("a text");
    (answer.status(), tag.to_owned())
}

/// The entity tag follows a list that is read anew because the log has lost some of it, which no update says. Lists
/// that are the same have the same tag, on each node.
#[tokio::test(flavor = "multi_thread")]
async fn the_entity_tag_follows_a_list_that_is_read_anew() {
    let cluster = Cluster::new();
    let (node, a) = enter(&cluster);
    let (_, b) = enter(&cluster);
    let _open = (subscribe(&a, "kept").await, subscribe(&a, "lost").await);
    until_listed(&cluster, &[&a, &b], &["kept", "lost"]).await;
    let (_, before) = tagged(&b, None).await;
    cluster.lose(|_| false);
    let same = (StatusCode::NOT_MODIFIED, before.clone());
    assert_eq!(tagged(&b, Some(&before)).await, same);
    // The node cannot announce it again, so no update tells that it is gone.
    node.plan(|_| Fate::Stall);
    cluster.lose(|document| document["match"] == "lost");
    assert_eq!(list(&b).await, ["kept"]);
    let (status, after) = tagged(&b, Some(&before)).await;
    assert_eq!(status, StatusCode::OK);
    assert_ne!(after, before);
    let same = (StatusCode::NOT_MODIFIED, after.clone());
    assert_eq!(tagged(&b, Some(&after)).await, same);
    assert_eq!(tagged(&a, Some(&after)).await, same);
}

/// What the log has lost is announced again by its node, and listed nowhere before.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_has_lost_is_announced_again() {
    let cluster = Cluster::new();
    let (_, a) = enter(&cluster);
    let (_, b) = enter(&cluster);
    let _kept = subscribe(&a, "kept").await;
    let _lost = subscribe(&a, "lost").await;
    cluster.lose(|document| document["match"] == "lost");
    until_said(
        &cluster,
        &expected([("kept", &[true]), ("lost", &[true, true])]),
    )
    .await;
    until_listed(&cluster, &[&a, &b], &["kept", "lost"]).await;
}

//! A publish that is repeated at another node.

use std::time::Duration;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use talaria_hub::Hub;

use super::log::Cluster;
use super::node::Node;
use super::{ask, hub_with, token};

fn enter(cluster: &Cluster) -> Hub {
    hub_with(&Node::enter(cluster), |options| {
        options.subscriptions = false;
        options.repeat_window = Some(Duration::from_secs(60));
    })
}

async fn publish(hub: &Hub, subject: &str, media_type: &str, body: String) -> String {
    let token = token(subject, &Value::Null);
    let request = Request::post("/.well-known/mercure")
        .header("content-type", media_type)
        .header("authorization", format!("Bearer {token}"));
    let answer = ask(hub, request, Body::from(body)).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let body = answer.into_body().collect().await.expect("a body");
    String::from_utf8(body.to_bytes().to_vec()).expect("UTF-8")
}

async fn publish_one(hub: &Hub, subject: &str, id: &str) -> String {
    let body = format!("topic=t&id={id}");
    publish(hub, subject, "application/x-www-form-urlencoded", body).await
}

/// An update that a publisher repeats is stored once, whichever nodes it asks, also at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn a_publish_is_stored_once_whichever_nodes_it_is_sent_to() {
    let cluster = Cluster::new();
    let (a, b) = (enter(&cluster), enter(&cluster));
    assert_eq!(publish_one(&a, "ann", "1").await, "1");
    assert_eq!(publish_one(&b, "ann", "1").await, "1");
    assert_eq!(cluster.head().0, 1);
    let both = tokio::join!(publish_one(&a, "ann", "2"), publish_one(&b, "ann", "2"));
    assert_eq!(both, ("2".to_owned(), "2".to_owned()));
    assert_eq!(cluster.head().0, 2);
    publish_one(&b, "bob", "1").await;
    assert_eq!(cluster.head().0, 3, "bob is another publisher");
    publish_one(&a, "ann", "").await;
    publish_one(&b, "ann", "").await;
    assert_eq!(cluster.head().0, 5, "an update without an id is always new");
}

/// The updates of one request are judged one by one: what it holds twice and what another node has stored is stored
/// once, and each has the answer that it would have had alone.
#[tokio::test(flavor = "multi_thread")]
async fn the_updates_of_a_request_are_recognised_one_by_one() {
    let cluster = Cluster::new();
    let (a, b) = (enter(&cluster), enter(&cluster));
    publish_one(&a, "ann", "old").await;
    let ids = ["new", "old", "new", "newer"];
    let lines = ids.map(|id| json!({ "topic": "t", "id": id }).to_string());
    for hub in [&b, &a] {
        let answer = publish(hub, "ann", "application/x-ndjson", lines.join("\n")).await;
        let answered: Vec<Value> = answer
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["id"].clone())
            .collect();
        assert_eq!(answered, ids);
        assert_eq!(cluster.head().0, 3);
    }
}

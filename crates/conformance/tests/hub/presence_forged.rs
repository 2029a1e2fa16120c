//! Forged subscription events: only the hub says which subscriptions there are ("Publication").

use std::fs;

use serde_json::{Value, json};
use talaria_conformance::client::Client;
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::token::{ISSUER, Token, exact, pattern};

use crate::history::bolt;
use crate::presence::{API, EVERYTHING, watcher};

use crate::presence_limits::until_listed;

/// The subscriber in forged events, by which they are told from the hub's own.
const FORGER: &str = "urn:uuid:1";

/// What the hub would say of a subscription, as a publisher writes it.
fn forged(id: &str, name: &str, active: bool) -> String {
    let document = json!({
        "id": id,
        "type": "subscription",
        "subscriber": FORGER,
        "match": name,
        "match_type": "exact",
        "active": active,
    });
    format!("{document:#}")
}

/// The topics of two events, and every other spelling that leads to them or below them.
fn forged_topics(id: &str, stranger: &str) -> Vec<String> {
    let (below, victims) = (&stranger[1..], &id[1..]);
    let mut topics = vec![id.to_owned(), stranger.to_owned()];
    let out = "/..".repeat(7);
    for tail in [
        "/.",
        "/x/..",
        "?x",
        "#x",
        "/../../x",
        "/%2e%2e/x",
        out.as_str(),
        "/../../../../../../x",
    ] {
        topics.extend([format!("{id}{tail}"), format!("{stranger}{tail}")]);
    }
    // In 0.x what counts is where a topic leads to.
    topics.extend(["/..", "/../..", "/%2E%2e/%2e."].map(|tail| format!("{API}{tail}")));
    for head in [
        "https://hub.example/",
        "/app/../",
        "https://hub.example/app/",
        "/app/",
        "../",
        "/.well-known/../",
    ] {
        topics.extend([format!("{head}{victims}"), format!("{head}{below}")]);
    }
    topics
}

/// Publishes forged data as each client, with and without the type of events, alone and beside
/// another topic. Whether the hub stores it does not matter here.
async fn forge(clients: &[&Client], topic: &str, data: &str) {
    for client in clients {
        for kind in ["", "mercure"] {
            let fields = [
                ("topic", topic),
                ("data", data),
                ("private", "on"),
                ("type", kind),
            ];
            _ = client.publish(&fields).await;
            let beside = [&[("topic", "a")], &fields[..]].concat();
            _ = client.publish(&beside).await;
        }
    }
}

/// Only the hub says who comes and goes ("Publication"). Whatever a publisher of everything writes,
/// by both generations' rules, one by one or in a batch, behind a path or not: the list stays as it
/// is, and after a crash the hub ends what it began, and nothing else.
#[tokio::test]
async fn forged_events_change_nothing() {
    let behind_a_path = "\nresource_identifier https://hub.example/app/.well-known/mercure";
    let issuer = [("MERCURE_TRUSTED_ISSUERS", ISSUER)];
    for (issuer, rule, identifier) in [
        (&issuer[..], "", ""),
        (&issuer[..], "", behind_a_path),
        (
            &issuer[..],
            "\nprotocol_version_compatibility 7",
            behind_a_path,
        ),
        // Without an issuer both generations are spoken, and 0.x publishers choose any type.
        (&[], "", ""),
        (&[], "", behind_a_path),
    ] {
        let home = Home::new();
        let directives = format!("anonymous\nsubscriptions{rule}{identifier}");
        let start = || {
            let mut hub = home
                .start("http://127.0.0.1:0", &directives, issuer)
                .expect("it starts");
            if let Some((_, identifier)) = identifier.split_once(' ') {
                identifier.clone_into(&mut hub.audience);
            }
            hub
        };
        let hub = start();
        let victim = hub.client().subscribe(&[exact("victim")]).await;
        let id = until_listed(&hub, 1).await[0]["id"].clone();
        let id = id.as_str().expect("a string");
        let stranger = format!("{API}/exact/stranger/urn%3Auuid%3A1");
        let topics = forged_topics(id, &stranger);
        let older = Token::older(json!({ "publish": ["*"] }));
        let older = hub.client().bearer(&hub.sign_as_publisher(&older));
        for topic in &topics {
            for data in [
                forged(id, "victim", false),
                forged(&stranger, "stranger", true),
            ] {
                forge(&[&hub.publisher(), &older], topic, &data).await;
            }
        }
        let list = until_listed(&hub, 1).await;
        assert_eq!(
            (list[0]["id"].as_str(), &list[0]["active"]),
            (Some(id), &json!(true))
        );
        hub.kill();
        drop(victim);
        let hub = start();
        ends_after(&hub, &[id]).await;
    }
}

/// Waits until every one of these has ended, and asserts that the hub has ended nothing besides.
async fn ends_after(hub: &Hub, expected: &[&str]) {
    let marker = hub.publisher();
    // Not every topic that the hub once took for one of the hub's events matches the patterns of
    // events.
    let mut stream = hub
        .subscriber(&[exact("*")])
        .last_event_id("earliest")
        .subscribe(&[exact("*")])
        .await;
    let mut ended = Vec::new();
    let mut last = None;
    loop {
        let event = stream.event().await;
        if last.as_deref() == Some(&*event.id) {
            break;
        }
        let document: Value = serde_json::from_str(&event.data).unwrap_or_default();
        // Forged ends are those of the victim.
        let is_forged = document["subscriber"] == FORGER && document["match"] == "victim";
        if document["active"] == false && !is_forged {
            ended.push(document["id"].as_str().expect("a string").to_owned());
        }
        if ended.len() == expected.len() && last.is_none() {
            last = Some(marker.published(&[("topic", "/marker")]).await);
        }
    }
    ended.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(ended, expected);
}

/// Events of another hub that an operator imports change nothing either, though they look just like
/// this hub's own.
#[tokio::test]
async fn imported_events_change_nothing() {
    let home = Home::new();
    let directives = "anonymous\nsubscriptions\ntransport bolt {\npath own.db\n}";
    let hub = home.hub(directives).expect("it starts");
    let _open = hub.client().subscribe(&[exact("own")]).await;
    until_listed(&hub, 1).await;
    hub.kill();
    // A copy of what the crash left, as another hub's history.
    let exported = home.run(&["history", "export", "--path", "own.db"]);
    assert!(exported.status.success(), "{exported:?}");
    fs::write(home.path().join("left.ndjson"), &exported.stdout).expect("a file");
    let imported = home.run(&["history", "import", "--path", "other.db", "left.ndjson"]);
    assert!(imported.status.success(), "{imported:?}");
    let hub = home.hub(&bolt("path other.db").replacen("anonymous", "anonymous\nsubscriptions", 1));
    let hub = hub.expect("it starts");
    until_listed(&hub, 0).await;
    ends_after(&hub, &[]).await;
    hub.stop().await;
    let hub = home.hub(directives).expect("it starts");
    let mut watched = watcher(&hub)
        .last_event_id("earliest")
        .subscribe(&[pattern(EVERYTHING)])
        .await;
    let begun: Value = serde_json::from_str(&watched.data().await).expect("JSON");
    // The subscription that watches begins meanwhile.
    let ended = loop {
        let event: Value = serde_json::from_str(&watched.data().await).expect("JSON");
        if event["match"] == "own" {
            break event;
        }
    };
    assert_eq!(
        (&begun["match"], &begun["active"]),
        (&json!("own"), &json!(true))
    );
    assert_eq!(
        (&ended["id"], &ended["active"]),
        (&begun["id"], &json!(false))
    );
}

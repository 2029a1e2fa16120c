//! "Active Subscriptions": what clients cannot do by coming and going, nor publishers by forging events.

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use talaria_conformance::client::{Client, finish, form};
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::token::{DETAIL, ISSUER, Token, exact, pattern};
use talaria_conformance::{HUB_PATH, count};

use crate::history::bolt;
use crate::presence::{API, EVERYTHING, listed, watcher};

/// Waits until so many subscriptions besides the watcher's own are listed.
async fn until_listed(hub: &Hub, expected: usize) -> Vec<Value> {
    let deadline = Instant::now() + talaria_conformance::PATIENCE;
    loop {
        let list = listed(&watcher(hub), API).await;
        let list = list["subscriptions"].as_array().expect("an array").clone();
        if list.len() == expected {
            return list;
        }
        assert!(Instant::now() < deadline, "{} are listed", list.len());
    }
}

async fn subscribe_to(client: &Client, parameter: &str, names: &[String]) -> (u16, String) {
    let fields: Vec<_> = names
        .iter()
        .map(|name| (parameter, name.as_str()))
        .collect();
    let client = client.clone().form();
    let (response, _) = client.open("QUERY", HUB_PATH, form(&fields).into()).await;
    let status = response.status().as_u16();
    if status == 200 {
        return (status, String::new());
    }
    (status, finish(response).await.text)
}

/// "Subscription Events": each subscription is announced, so a request is refused whose events would take
/// too much, and its client learns why: by their number, by their length, or by the payload that each
/// of them repeats. What lies below the bound is announced as ever.
#[tokio::test]
async fn a_request_whose_events_take_too_much_is_refused() {
    let hub = Hub::classic("anonymous\nsubscriptions\ntransport memory");
    let names = |number: usize, length: usize| -> Vec<String> {
        (0..number)
            .map(|number| format!("{number:x}{}", "%".repeat(length)))
            .collect()
    };
    let token = |payload: Value| {
        let token = Token::new(&hub.audience).claim(
            "authorization_details",
            json!([{
                "type": DETAIL,
                "actions": ["subscribe"],
                "topics": [{ "match": "*" }],
                "payload": payload,
            }]),
        );
        hub.client().bearer(&hub.sign_as_subscriber(&token))
    };
    let anonymous = hub.client();
    let text = token(json!("x".repeat(8_000)));
    // Without a token a body holds less.
    let short = token(json!(1));
    let roles: Vec<_> = (0..20)
        .map(|role| format!("ROLE_EDITOR_OF_{role}"))
        .collect();
    let roles = token(json!({ "user": "somebody@example.com", "roles": roles }));
    // Indented, it is a hundred times as long.
    let deep = (0..100).fold(json!(vec![1; 10_000]), |inner, _| json!([inner]));
    let deep = token(deep);
    for (client, parameter, names) in [
        (&short, "topic", names(1_000, 100)),
        (&short, "match", names(256, 1_200)),
        (&short, "match", names(80, 4_000)),
        (&text, "match", names(240, 0)),
        (&deep, "match", names(1, 0)),
    ] {
        let (status, said) = subscribe_to(client, parameter, &names).await;
        assert_eq!(status, 400, "{said}");
        for part in [
            "2097152 bytes",
            "subscription_events_per_request",
            "payload",
        ] {
            assert!(said.contains(part), "{said}");
        }
    }
    for (client, parameter, names) in [
        (&anonymous, "topic", names(1_000, 1)),
        (&anonymous, "match", names(256, 120)),
        (&roles, "match", names(256, 16)),
        (&text, "match", names(100, 0)),
    ] {
        let (status, said) = subscribe_to(client, parameter, &names).await;
        assert_eq!(status, 200, "{said}");
    }
    let off = Hub::classic("anonymous\ntransport memory");
    let (status, said) = subscribe_to(&off.client(), "topic", &names(1_000, 1)).await;
    assert_eq!(status, 200, "{said}");
}

/// What a client writes that comes and goes is bounded: sixteen seconds' worth of its rate, and the rate.
/// Nobody is refused for that, and one that stays is announced when its turn has come.
#[tokio::test]
async fn coming_and_going_writes_a_bounded_history() {
    const RATE: u64 = 16 << 10;
    let visits = count(5_000, 100);
    let home = Home::new();
    let hub = home
        .hub("anonymous\nsubscriptions\nsubscription_events_per_second 16KiB\ntransport bolt")
        .expect("it starts");
    let names: Vec<_> = (0..64).map(|number| format!("t{number:040}")).collect();
    let start = Instant::now();
    for _ in 0..visits {
        let (status, said) = subscribe_to(&hub.client(), "match", &names).await;
        assert_eq!(status, 200, "{said}");
    }
    let _stays = hub.client().subscribe(&[exact("stays")]).await;
    let list = until_listed(&hub, 1).await;
    assert_eq!(list[0]["match"], "stays");
    let seconds = start.elapsed().as_secs() + 1;
    let written = folder_bytes(home.path());
    // Beside the events of 100 KB a visit, segments have heads and indexes.
    let most = (16 + seconds) * RATE + (512 << 10);
    assert!(
        written <= most,
        "{written} bytes in {seconds} s, {visits} visits"
    );
}

/// Behind a trusted proxy each client has its own rate: one that has used up its rate is announced later,
/// the others at once.
#[tokio::test]
async fn clients_behind_a_proxy_do_not_wait_for_each_other() {
    let hub = Hub::start(
        "anonymous\nsubscriptions\nsubscription_events_per_second 1KiB\ntransport memory\ntrusted_proxies 127.0.0.1",
    );
    let client = |address| hub.client().header("x-forwarded-for", address);
    let names: Vec<_> = (0..256).map(|number| format!("t{number}")).collect();
    let (status, said) = subscribe_to(&client("192.0.2.1"), "match", &names).await;
    assert_eq!(status, 200, "{said}");
    until_listed(&hub, 0).await;
    let _waits = client("192.0.2.1").subscribe(&[exact("waits")]).await;
    // What the client claims stands before the address that the proxy adds.
    for address in ["192.0.2.2", "192.0.2.1, 192.0.2.3", "2001:db8::1"] {
        let _open = client(address).subscribe(&[exact("announced")]).await;
        let list = until_listed(&hub, 1).await;
        assert_eq!(list[0]["match"], "announced", "{address}");
        drop(_open);
        until_listed(&hub, 0).await;
    }
}

fn folder_bytes(path: &Path) -> u64 {
    let entries = fs::read_dir(path).expect("a folder").flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

/// However many come and go, the updates of publishers are kept: events do not count for `size`.
#[tokio::test]
async fn visits_do_not_evict_updates() {
    for transport in [
        "anonymous\nsubscriptions\ntransport memory {\nsize 1000\n}",
        "anonymous\nsubscriptions\ntransport bolt {\nsize 1000\n}",
    ] {
        let hub = Home::new().hub(transport).expect("it starts");
        let first = hub
            .publisher()
            .published(&[("topic", "a"), ("data", "1")])
            .await;
        for number in 2..=100 {
            let data = number.to_string();
            hub.publisher()
                .published(&[("topic", "a"), ("data", &data)])
                .await;
        }
        let names: Vec<_> = (0..256).map(|number| format!("t{number}")).collect();
        for _ in 0..4 {
            let (status, said) = subscribe_to(&hub.client(), "match", &names).await;
            assert_eq!(status, 200, "{said}");
        }
        until_listed(&hub, 0).await;
        let client = hub.client().last_event_id(&first);
        let mut stream = client.subscribe(&[exact("a")]).await;
        assert_eq!(stream.header("mercure-last-event-id"), first);
        for number in 2..=100 {
            assert_eq!(stream.data().await, number.to_string());
        }
    }
}

/// `subscriptions token_holders`: anonymous subscribers are served and not announced.
#[tokio::test]
async fn only_token_holders_are_announced_where_that_is_asked_for() {
    let hub = Hub::start("anonymous\nsubscriptions token_holders\ntransport memory");
    let mut events = watcher(&hub).subscribe(&[pattern(EVERYTHING)]).await;
    assert!(events.data().await.contains(EVERYTHING));
    let mut anonymous = hub.client().subscribe(&[exact("a")]).await;
    let _known = hub.subscriber(&[exact("b")]).subscribe(&[exact("b")]).await;
    let begun: Value = serde_json::from_str(&events.data().await).expect("JSON");
    assert_eq!(begun["match"], "b");
    assert_eq!(until_listed(&hub, 2).await.len(), 2);
    hub.publisher()
        .published(&[("topic", "a"), ("data", "1")])
        .await;
    assert_eq!(anonymous.data().await, "1");
}

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

/// "Publication": only the hub says who comes and goes. Whatever a publisher of everything writes, by
/// both generations' rules, one by one or in a batch, behind a path or not: the list stays as it is,
/// and after a crash the hub ends what it began, and nothing else.
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
        let (below, victims) = (&stranger[1..], &id[1..]);
        let mut topics = vec![id.to_owned(), stranger.clone()];
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
        let older = Token::older(json!({ "publish": ["*"] }));
        let older = hub.client().bearer(&hub.sign_as_publisher(&older));
        for topic in &topics {
            for data in [
                forged(id, "victim", false),
                forged(&stranger, "stranger", true),
            ] {
                for client in [&hub.publisher(), &older] {
                    for kind in ["", "mercure"] {
                        // Whether it is stored is not the question here.
                        let fields = [
                            ("topic", topic.as_str()),
                            ("data", &data),
                            ("private", "on"),
                            ("type", kind),
                        ];
                        _ = client.publish(&fields).await;
                        _ = client
                            .publish(&[&[("topic", "a")], &fields[..]].concat())
                            .await;
                    }
                }
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
    // Not every topic that the hub once took for one of its own is one by its patterns.
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

/// The same for events that an operator imports, which are of another hub: they look just like this
/// hub's own.
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

//! Limits of presence: what clients cannot do by coming and going, nor publishers by forging events
//! ("Active Subscriptions").

use std::fs;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use talaria_conformance::client::{Client, finish, form};
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::token::{DETAIL, Token, exact, pattern};
use talaria_conformance::{HUB_PATH, count};

use crate::presence::{API, EVERYTHING, listed, watcher};

/// Waits until `count` subscriptions besides the watcher's are listed.
pub(crate) async fn until_listed(hub: &Hub, expected: usize) -> Vec<Value> {
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

/// Each subscription is announced, so a request is refused whose events would take too much, and its
/// client learns why: by their number, by their length, or by the payload that each of them repeats
/// ("Subscription Events"). What lies below the bound is announced as ever.
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
    let roles = token(json!({ "user": "someone@example.com", "roles": roles }));
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

/// A client that comes and goes writes a bounded number of events: sixteen seconds' worth of its
/// rate, and the rate after that. No such client is refused, and one that stays is announced when
/// its turn comes.
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

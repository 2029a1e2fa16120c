//! Events of who comes and goes, and the API that lists them ("Active Subscriptions").

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use talaria_conformance::behind;
use talaria_conformance::client::Client;
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::stream::EventStream;
use talaria_conformance::token::{DETAIL, Token, exact, pattern};
use tokio::task::JoinSet;

pub(crate) const DIRECTIVES: &str = "anonymous\nsubscriptions\ntransport memory";
pub(crate) const API: &str = "/.well-known/mercure/subscriptions";
/// What grants every event and every listing.
pub(crate) const EVERYTHING: &str = "/.well-known/mercure/subscriptions{/*}?";

pub(crate) fn watcher(hub: &Hub) -> Client {
    hub.subscriber(&[pattern(EVERYTHING)])
}

pub(crate) async fn watch(hub: &Hub) -> EventStream {
    let mut stream = watcher(hub).subscribe(&[pattern(EVERYTHING)]).await;
    // A subscriber that watches sees its own beginning (B-535).
    let own = document(&mut stream).await;
    assert_eq!(own["match"], EVERYTHING);
    stream
}

pub(crate) async fn document(stream: &mut EventStream) -> Value {
    let event = stream.event().await;
    assert_eq!(event.event_type, "mercure");
    serde_json::from_str(&event.data).expect("JSON")
}

pub(crate) async fn listed(client: &Client, path: &str) -> Value {
    let answer = client.get(path).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    serde_json::from_str(&answer.text).expect("JSON")
}

/// One update for each matcher when it begins and when it ends, private, of type `mercure`, whose
/// topic has each variable percent-encoded exactly once ("Subscription Events", "Payloads").
#[tokio::test]
async fn each_subscription_is_announced_and_ended() {
    let hub = Hub::start(DIRECTIVES);
    let mut stream = watch(&hub).await;
    let mut public = hub.client().subscribe(&[exact("*")]).await;
    assert_eq!(document(&mut stream).await["match"], "*");

    let token = Token::new(&hub.audience).claim(
        "authorization_details",
        json!([{
            "type": DETAIL,
            "actions": ["subscribe"],
            "topics": [{ "match": "https://example.com/a b%2F*" }],
            "payload": { "user": "ann" },
        }]),
    );
    let client = hub.client().bearer(&hub.sign_as_subscriber(&token));
    let matchers = [exact("https://example.com/a b%2F*"), pattern("/x/:id")];
    let subscriber = client.subscribe(&matchers).await;
    let mut begun = BTreeMap::new();
    for _ in &matchers {
        let document = document(&mut stream).await;
        assert_eq!(document["type"], "subscription");
        assert_eq!(document["active"], true);
        begun.insert(document["match_type"].to_string(), document);
    }
    let exact_one = &begun["\"exact\""];
    let name = exact_one["subscriber"].as_str().expect("a string");
    assert!(name.starts_with("urn:uuid:"), "{name}");
    assert_eq!(begun["\"urlpattern\""]["subscriber"], name);
    let encoded = "https%3A%2F%2Fexample.com%2Fa%20b%252F%2A";
    let id = format!("{API}/exact/{encoded}/{}", name.replace(':', "%3A"));
    assert_eq!(exact_one["id"], id);
    assert_eq!(exact_one["payload"], json!({ "user": "ann" }));
    assert_eq!(begun["\"urlpattern\""].get("payload"), None);

    let single = listed(&watcher(&hub), &id).await;
    assert_eq!(single, *exact_one);
    let path = format!("{API}/exact/{encoded}");
    let some = listed(&watcher(&hub), &path).await;
    assert_eq!(some["id"], path);
    assert_eq!(some["type"], "subscriptions");
    assert_eq!(some["subscriptions"], json!([exact_one]));

    drop(subscriber);
    for _ in &matchers {
        let document = document(&mut stream).await;
        assert_eq!(document["active"], false);
        assert_eq!(document["subscriber"], name);
    }
    assert_eq!(watcher(&hub).get(&id).await.status, 404);
    // They are private: a client that may not read them gets none.
    hub.publisher()
        .published(&[("topic", "x"), ("data", "public")])
        .await;
    assert_eq!(public.data().await, "public");
}

/// Authorised on the path as sent, also where anonymous subscribers are allowed; the cursor in
/// `Link`, an entity tag, `application/json` ("Subscription API").
#[tokio::test]
async fn the_api_needs_a_grant_and_tells_its_cursor() {
    let hub = Hub::start(DIRECTIVES);
    assert_eq!(hub.client().get(API).await.status, 401);
    let stranger = hub.subscriber(&[exact("a")]);
    let answer = stranger.get(API).await;
    assert_eq!(answer.status, 403);
    assert!(
        answer
            .header("www-authenticate")
            .contains("insufficient_scope")
    );
    let collection_only = hub.subscriber(&[exact(API)]);
    assert_eq!(collection_only.get(&format!("{API}?x=1")).await.status, 200);
    let other = collection_only.get(&format!("{API}/exact/a")).await;
    assert_eq!(other.status, 403);

    let answer = watcher(&hub).get(API).await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(answer.header("link").contains("last-event-id=\"earliest\""));
    let id = hub.publisher().published(&[("topic", "a")]).await;
    let answer = watcher(&hub).get(API).await;
    let link = answer.header("link");
    assert!(link.starts_with("</.well-known/mercure>; rel=\"mercure\"; "));
    assert!(link.contains(&format!("last-event-id=\"{id}\"")), "{link}");
    assert_eq!(answer.header("etag"), format!("\"{id}\""));
    assert!(answer.header("cache-control").contains("must-revalidate"));
    let again = watcher(&hub).header("if-none-match", answer.header("etag"));
    let again = again.get(API).await;
    assert_eq!((again.status.as_u16(), again.text.as_str()), (304, ""));
    // What is not there is not unchanged.
    let unknown = watcher(&hub).header("if-none-match", answer.header("etag"));
    let unknown = unknown.get(&format!("{API}/exact/a/unknown")).await;
    assert_eq!(unknown.status, 404);

    for (path, status) in [
        ("/regexp/a", 400),
        ("/exact/%zz", 400),
        ("/exact/a/unknown", 404),
        ("/exact/a/b/c", 404),
        ("/a", 404),
        ("/", 404),
        ("/exact/", 404),
    ] {
        let answer = watcher(&hub).get(&format!("{API}{path}")).await;
        assert_eq!(answer.status, status, "{path}");
    }
    let answer = watcher(&hub).send("POST", API, "").await;
    assert_eq!(answer.status, 405);
    let off = Hub::start("anonymous\ntransport memory");
    assert_eq!(watcher(&off).get(API).await.status, 404);
}

/// The cursor joins the events to the list without gap or repetition ("Subscription API"; B-1045).
#[tokio::test]
async fn a_list_and_its_events_join() {
    let hub = Hub::start(DIRECTIVES);
    let mut coming = JoinSet::new();
    for number in 0..40 {
        let client = hub.client();
        coming.spawn(async move { client.subscribe(&[exact(format!("t{number}"))]).await });
    }
    let answer = watcher(&hub).get(API).await;
    let list: Value = serde_json::from_str(&answer.text).expect("JSON");
    let link = answer.header("link").to_owned();
    let (_, cursor) = link.split_once("last-event-id=\"").expect("a cursor");
    let cursor = cursor.split('"').next().unwrap_or_default();
    let members = list["subscriptions"].as_array().expect("an array");
    let mut known: Vec<String> = members.iter().map(|one| one["match"].to_string()).collect();
    let _open = coming.join_all().await;
    let mut stream = watcher(&hub)
        .last_event_id(cursor)
        .subscribe(&[pattern(EVERYTHING)])
        .await;
    while known.len() < 40 {
        let document = document(&mut stream).await;
        if document["match"] != EVERYTHING {
            known.push(document["match"].to_string());
        }
    }
    known.sort_unstable();
    known.dedup();
    assert_eq!(known.len(), 40);
}

/// `true` strictly before `false`, each exactly once, however fast clients come and go.
#[tokio::test]
async fn who_hangs_up_at_once_is_announced_and_ended_once() {
    let rounds = if talaria_conformance::full() {
        10_000
    } else {
        400
    };
    let hub = Hub::start(DIRECTIVES);
    let mut stream = watch(&hub).await;
    let mut clients = JoinSet::new();
    for worker in 0..8 {
        let client = hub.client();
        clients.spawn(async move {
            for round in 0..rounds / 8 {
                drop(
                    client
                        .subscribe(&[exact(format!("{worker}-{round}"))])
                        .await,
                );
            }
        });
    }
    let mut seen: BTreeMap<String, u8> = BTreeMap::new();
    let mut ended = 0;
    while ended < rounds / 8 * 8 {
        let document = document(&mut stream).await;
        let turns = seen.entry(document["id"].to_string()).or_default();
        *turns += 1;
        assert_eq!(document["active"], *turns == 1, "{document}");
        assert!(*turns <= 2, "{document}");
        ended += usize::from(*turns == 2);
    }
    clients.join_all().await;
    let left = listed(&watcher(&hub), API).await;
    let left = left["subscriptions"].as_array().expect("an array");
    let left: Vec<_> = left.iter().map(|one| &one["match"]).collect();
    assert_eq!(left, [EVERYTHING]);
}

/// The subscriptions of a process that was killed are ended by the next, each once.
#[tokio::test]
async fn a_killed_hub_ends_its_subscriptions_when_it_is_back() {
    let home = Home::new();
    let directives = "anonymous\nsubscriptions";
    let hub = home.hub(directives).expect("it starts");
    let mut open = Vec::new();
    for number in 0..100 {
        open.push(hub.client().subscribe(&[exact(format!("t{number}"))]).await);
    }
    // One that ended in order is not ended again.
    drop(open.pop());
    let gone = listed_until(&hub, 99).await;
    assert_eq!(gone, 99);
    hub.kill();
    for _ in 0..3 {
        let hub = home.hub(directives).expect("it starts again");
        let mut stream = watcher(&hub)
            .last_event_id("earliest")
            .subscribe(&[pattern(EVERYTHING), exact("/marker")])
            .await;
        let mut turns: BTreeMap<String, Vec<bool>> = BTreeMap::new();
        let mut ended = 0;
        let mut marker = None;
        // Beyond what is due, everything up to what was published after it.
        loop {
            let event = stream.event().await;
            if marker.as_deref() == Some(&*event.id) {
                break;
            }
            if event.data.is_empty() {
                continue;
            }
            let document: Value = serde_json::from_str(&event.data).expect("JSON");
            if [EVERYTHING, "/marker"].contains(&document["match"].as_str().expect("a string")) {
                continue;
            }
            let active = document["active"] == true;
            let of_one = turns.entry(document["id"].to_string()).or_default();
            of_one.push(active);
            ended += usize::from(!active);
            if ended == 100 {
                marker = Some(hub.publisher().published(&[("topic", "/marker")]).await);
            }
        }
        assert_eq!(turns.len(), 100);
        assert!(turns.values().all(|turns| *turns == [true, false]));
        drop(stream);
        hub.stop().await;
    }
}

/// Waits until that many plain subscriptions are listed.
async fn listed_until(hub: &Hub, count: usize) -> usize {
    let mut stream = watcher(hub).subscribe(&[pattern(EVERYTHING)]).await;
    loop {
        let list = listed(&watcher(hub), API).await;
        let members = list["subscriptions"].as_array().expect("an array");
        let plain = members.iter().filter(|one| one["match"] != EVERYTHING);
        let plain = plain.count();
        if plain <= count {
            return plain;
        }
        document(&mut stream).await;
    }
}

/// A listing is written while it is sent, so the subscriptions may be many: none is missing, and
/// none is listed twice (100,000 with `./test --full`).
#[tokio::test]
async fn a_long_list_is_whole() {
    let connections = talaria_conformance::count(400, 20);
    // All of them come from one address, and no sooner than they can be announced.
    let hub = Hub::start(&format!("{DIRECTIVES}\nsubscription_events_per_second 0"));
    let mut open = Vec::new();
    for connection in 0..connections {
        let matchers: Vec<_> = (0..250)
            .map(|number| exact(format!("https://example.com/{connection}/{number}")))
            .collect();
        open.push(hub.client().subscribe(&matchers).await);
    }
    if behind::is_shared() {
        // A server may take longer than a head waits.
        let mut stream = watch(&hub).await;
        while listed(&watcher(&hub), API).await["subscriptions"]
            .as_array()
            .map(Vec::len)
            <= Some(connections * 250)
        {
            document(&mut stream).await;
        }
    }
    let list = listed(&watcher(&hub), API).await;
    let list = list["subscriptions"].as_array().expect("an array");
    let list: Vec<_> = list
        .iter()
        .filter(|one| one["match"] != EVERYTHING)
        .collect();
    let named: BTreeSet<_> = list
        .iter()
        .map(|one| one["match"].as_str().expect("a string"))
        .collect();
    assert_eq!(
        (list.len(), named.len()),
        (connections * 250, connections * 250)
    );
    let head = watcher(&hub).send("HEAD", API, "").await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
}

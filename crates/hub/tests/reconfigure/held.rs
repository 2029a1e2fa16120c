//! What a hub holds and remembers over many configurations.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use serde_json::json;
use talaria_hub::access::{Algorithm, Issuer, IssuerKey, Issuers, KeySet, SigningKey};
use talaria_hub::limits::Used;
use talaria_hub::protocol::{Base, Update};
use talaria_hub::transport::{Memory, MemoryOptions, Transport};
use talaria_hub::{Connection, End, Hub, HubBuilder, HubOptions, SubscribeOptions};
use tokio::time::timeout;

use crate::stream::Stream;
use crate::{HOST, ISSUERS, PATIENCE, SECRETS, TOPIC, hub, key, options, subscribe};

/// A token that lets its holder do everything.
fn token() -> String {
    let claims = json!({
        "iss": ISSUERS[0],
        "sub": "ann",
        "aud": format!("http://{HOST}/.well-known/mercure"),
        "exp": 4_102_444_800_u64,
        "authorization_details": [{
            "type": "https://mercure.rocks/authorization-detail",
            "actions": ["publish", "subscribe"],
            "topics": [{ "match": "*" }],
        }],
    });
    let key = SigningKey::from_secret(SECRETS[0], Algorithm::HS256).expect("a key");
    key.sign(&claims).expect("a token")
}

fn now() -> std::time::Instant {
    use talaria_hub::clock::Clock as _;
    talaria_hub::clock::SystemClock.now()
}

/// Streams that are opened by a hundred configurations are counted once, and given back. No task, no
/// configuration and no key set is left over.
#[tokio::test]
async fn a_hundred_configurations_leave_nothing() {
    let set = Arc::new(KeySet::new(&[Algorithm::EdDSA]));
    let log: Arc<dyn Transport> = Arc::new(Memory::open(MemoryOptions::default()).expect("a log"));
    let with = |number: u64| {
        let mut options = options();
        let other = IssuerKey::from(Arc::clone(&set));
        let issuers = options.issuers.iter().cloned();
        let issuers = issuers.chain([Issuer::new(ISSUERS[1]).subscriber(other)]);
        options.issuers = Issuers::new(issuers).expect("issuers");
        options.subscriptions = true;
        options.presence.bytes_per_second = 1_000_000 + number % 2;
        options.repeat_window = Some(Duration::from_secs(60));
        options.budgets.streams.total = Some(1_000 + number);
        options.budgets.matcher_memory.per_connection = (number % 3 > 0).then_some(1 << 20);
        options
    };
    let mut hub = HubBuilder::from(with(0))
        .transport(Arc::clone(&log))
        .build()
        .expect("a hub");
    let handle = tokio::runtime::Handle::current();
    let measured = || (Arc::strong_count(&set), Arc::strong_count(&log));
    let (before, tasks) = (measured(), handle.metrics().num_alive_tasks());
    let token = token();
    let mut streams = Vec::new();
    for number in 1..=100 {
        let query = format!("match={TOPIC}&match_urlpattern=/a/{number}/:b");
        let holder = (number % 2 == 0).then_some(token.as_str());
        streams.push(Stream::of(subscribe(&hub, &query, holder).await));
        hub = hub.reconfigure(with(number));
        assert_eq!(hub.used().streams, number);
    }
    hub.publish(Update::new(TOPIC, "to all"))
        .await
        .expect("stored");
    for stream in &mut streams {
        assert_eq!(stream.drive(now()), None);
        assert_eq!(stream.sent.matches("data: to all\n").count(), 1);
    }
    streams.clear();
    assert_eq!(hub.used(), Used::default());
    // The ends of subscriptions are published by the way.
    let as_before = async {
        while (measured(), handle.metrics().num_alive_tasks()) != (before, tasks) {
            tokio::task::yield_now().await;
        }
    };
    let settled = timeout(PATIENCE, as_before).await;
    assert!(settled.is_ok(), "{:?} is not {before:?}", measured());
    hub.drain(Duration::ZERO);
    let drained = timeout(PATIENCE, hub.drained()).await;
    assert!(drained.is_ok(), "the ends of all subscriptions are stored");
}

/// New bounds are for new streams; those that are open count, and stay.
#[tokio::test]
async fn bounds_change_for_what_comes() {
    let with = |total| {
        let mut options = options();
        options.budgets.streams.total = Some(total);
        options
    };
    let wide = hub(with(100));
    let query = format!("match={TOPIC}");
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(Stream::of(subscribe(&wide, &query, None).await));
    }
    let narrow = wide.reconfigure(with(5));
    assert_eq!(subscribe(&narrow, &query, None).await.status(), 429);
    for stream in &mut streams {
        assert_eq!(stream.drive(now()), None);
    }
    streams.truncate(3);
    assert_eq!((narrow.used().streams, wide.used().streams), (3, 3));
    assert_eq!(subscribe(&narrow, &query, None).await.status(), 200);
    let again = narrow.reconfigure(with(10));
    for _ in 0..5 {
        streams.push(Stream::of(subscribe(&again, &query, None).await));
    }
    drop((wide, narrow));
    assert_eq!(again.used().streams, 8);
    drop(streams);
    assert_eq!(again.used(), Used::default());
}

/// A bound for one connection counts what was charged while there was one.
#[tokio::test]
async fn bounds_of_a_connection_come_and_go() {
    let with = |most| {
        let mut options = options();
        options.budgets.matcher_memory.per_connection = most;
        options
    };
    let connection = Connection::new(false, ([192, 0, 2, 1], 4711).into());
    let ask = async |hub: &Hub, topic: &str| {
        let request = Request::get(format!("/.well-known/mercure?match={topic}"))
            .header("host", HOST)
            .extension(connection)
            .body(Body::empty())
            .expect("a request");
        hub.handle(request).await
    };
    let bounded = hub(with(Some(700)));
    let first = Stream::of(ask(&bounded, &"a".repeat(300)).await);
    assert_eq!(ask(&bounded, &"b".repeat(300)).await.status(), 429);
    let free = bounded.reconfigure(with(None));
    let second = Stream::of(ask(&free, &"b".repeat(300)).await);
    let bounded = free.reconfigure(with(Some(700)));
    assert_eq!(ask(&bounded, &"c".repeat(300)).await.status(), 429);
    drop(first);
    let third = Stream::of(ask(&bounded, &"c".repeat(300)).await);
    drop((second, third));
    assert_eq!(bounded.used(), Used::default());
}

/// A publish that is repeated after a reload is stored once.
#[tokio::test]
async fn repeats_are_recognised_by_other_configurations() {
    let with = |seconds| {
        let mut options = options();
        options.repeat_window = Some(Duration::from_secs(seconds));
        options
    };
    let mut hub = hub(with(60));
    let mut updates = hub
        .subscribe(SubscribeOptions::new().topic(TOPIC))
        .await
        .expect("a stream");
    for seconds in [60, 60, 90, 30] {
        let mut update = Update::new(TOPIC, "once");
        update.id = Some("urn:1".to_owned());
        let id = hub.publish(update).await.expect("stored");
        assert_eq!(id, "urn:1");
        hub = hub.reconfigure(with(seconds));
    }
    hub.publish(Update::new(TOPIC, "last"))
        .await
        .expect("stored");
    for data in ["once", "last"] {
        let update = timeout(PATIENCE, updates.next()).await.expect("in time");
        assert_eq!(update.expect("an update").data, data);
    }
}

/// A stream of the application does not care who may do what. One with URL Patterns ends with the base that
/// these were read with.
#[tokio::test]
async fn streams_of_the_application_end_with_their_base_only() {
    let hub = hub(options());
    let named = SubscribeOptions::new().topic("/books/1").grant_all();
    let mut named = hub.subscribe(named).await.expect("a stream");
    let books = || {
        SubscribeOptions::new()
            .url_pattern("/books/:id")
            .grant_all()
    };
    let mut before = hub.subscribe(books()).await.expect("a stream");
    // Neither issuers nor anonymous clients.
    let mut without = HubOptions::new(Issuers::default());
    let hub = hub.reconfigure(without.clone());
    let update = || Update::new("/books/1", "Iliad").private();
    hub.publish(update()).await.expect("stored");
    for updates in [&mut named, &mut before] {
        let update = timeout(PATIENCE, updates.next()).await.expect("in time");
        assert_eq!(update.expect("an update").data, "Iliad");
    }
    without.base = Base::new("https://hub.example/.well-known/mercure").expect("a base");
    let hub = hub.reconfigure(without);
    let ended = timeout(PATIENCE, before.next()).await.expect("in time");
    assert_eq!((ended, before.end()), (None, Some(End::Revoked)));
    let resumed = books().resume_after(before.last_event_id().expect("an id"));
    let mut after = hub.subscribe(resumed).await.expect("a stream");
    let absolute = SubscribeOptions::new().url_pattern("https://hub.example/books/:id");
    let mut absolute = hub.subscribe(absolute.grant_all()).await.expect("a stream");
    hub.publish(update()).await.expect("stored");
    for updates in [&mut named, &mut after, &mut absolute] {
        let update = timeout(PATIENCE, updates.next()).await.expect("in time");
        assert_eq!(update.expect("an update").data, "Iliad");
    }
}

/// A client whose token is no longer good is told to come back, and is refused then. What is published
/// meanwhile does not reach it.
#[tokio::test]
async fn a_client_is_told_to_come_back() {
    let hub = hub(options());
    let token = token();
    let query = format!("match={TOPIC}");
    let response = subscribe(&hub, &query, Some(&token)).await;
    let public = Stream::of(subscribe(&hub, &query, None).await);
    let mut other = options();
    let issuer = Issuer::new(ISSUERS[0]).publisher(key(0)).subscriber(key(1));
    other.issuers = Issuers::new([issuer]).expect("an issuer");
    let reading = tokio::spawn(response.into_body().collect());
    tokio::task::yield_now().await;
    let next = hub.reconfigure(other);
    next.publish(Update::new(TOPIC, "too late").private())
        .await
        .expect("stored");
    let body = timeout(PATIENCE, reading).await.expect("an end in time");
    let body = body.expect("no panic").expect("a body").to_bytes();
    let text = String::from_utf8_lossy(&body);
    assert!(
        text.ends_with("\n\n") && text.contains("\nretry: "),
        "{text}"
    );
    assert!(!text.contains("too late"), "{text}");
    assert_eq!(subscribe(&next, &query, Some(&token)).await.status(), 401);
    assert_eq!(next.used().streams, 1);
    drop(public);
    next.drain(Duration::ZERO);
    let drained = timeout(PATIENCE, hub.drained()).await;
    assert!(drained.is_ok(), "one drain for all configurations");
}

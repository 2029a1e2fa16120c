//! What the application receives of what it subscribes to.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures_core::Stream as _;
use http::{Request, Response};
use talaria_hub::access::Issuers;
use talaria_hub::protocol::Update;
use talaria_hub::protocol::update::HUB_EVENT_TYPE;
use talaria_hub::transport::{Memory, MemoryOptions, Transport as _};
use talaria_hub::{End, Hub, SubscribeError, SubscribeOptions};
use tokio::time::timeout;

use crate::{PATIENCE, TOPIC, books, data, hub, next, publish_as_client};

/// All that an update says arrives, under the id that its publisher was told.
#[tokio::test]
async fn the_application_receives_whole_updates() {
    let hub = hub();
    let options = SubscribeOptions::new().topic("*").grant_all();
    let mut updates = hub.subscribe(options).await.expect("a stream");
    let published = Update::new(TOPIC, "two\nlines\n")
        .with_topic("urn:other")
        .with_event_type("added")
        .with_retry(Duration::from_secs(7))
        .private();
    let id = hub.publish(published.clone()).await.expect("stored");
    let expected = Update {
        id: Some(id.clone()),
        ..published
    };
    assert_eq!(next(&mut updates).await, Some(expected));
    assert_eq!(updates.last_event_id(), Some(id.as_str()));
    let of_client = Update::new(TOPIC, "of a client").with_id("urn:client");
    publish_as_client(&hub, &of_client).await;
    assert_eq!(next(&mut updates).await, Some(of_client));
}

/// "Authorization": what is private is received only where the subscription grants it.
#[tokio::test]
async fn private_updates_are_granted_explicitly() {
    let hub = hub();
    let grants = [
        books(),
        books().grant_topic(TOPIC),
        books().grant_url_pattern("https://example.com/books/2"),
        books().grant_all(),
        // Without being selected, what is granted is not received.
        SubscribeOptions::new()
            .topic("urn:none")
            .topic("urn:end")
            .grant_all(),
    ];
    let mut streams = Vec::new();
    for grant in grants {
        streams.push(
            hub.subscribe(grant.topic("urn:end"))
                .await
                .expect("a stream"),
        );
    }
    for number in [1, 2] {
        let topic = format!("https://example.com/books/{number}");
        let update = Update::new(topic, number.to_string()).private();
        hub.publish(update).await.expect("stored");
    }
    hub.publish(Update::new("urn:end", "end"))
        .await
        .expect("stored");
    let mut received = Vec::new();
    for updates in &mut streams {
        let mut of_stream = String::new();
        while !of_stream.ends_with("end") {
            of_stream.push_str(&data(updates).await);
        }
        received.push(of_stream);
    }
    assert_eq!(received, ["end", "1end", "2end", "12end", "end"]);
}

/// "Reconnection": a stream resumes after an id, and says when the log does not know it.
#[tokio::test]
async fn a_stream_resumes_after_an_event_id() {
    let hub = hub();
    let publish = async |data: &str| hub.publish(Update::new(TOPIC, data)).await.expect("stored");
    let first = publish("first").await;
    publish("second").await;
    let mut live = hub.subscribe(books()).await.expect("a stream");
    let mut resumed = hub
        .subscribe(books().resume_after(first.clone()))
        .await
        .expect("a stream");
    let mut oldest = hub
        .subscribe(books().resume_after("earliest"))
        .await
        .expect("a stream");
    let unknown = hub
        .subscribe(books().resume_after("unknown"))
        .await
        .expect("a stream");
    assert_eq!(live.last_event_id(), None);
    assert_eq!(resumed.last_event_id(), Some(first.as_str()));
    assert_eq!(unknown.last_event_id(), Some("earliest"));
    publish("third").await;
    assert_eq!(data(&mut live).await, "third");
    assert_eq!(data(&mut resumed).await, "second");
    assert_eq!(data(&mut resumed).await, "third");
    assert_eq!(data(&mut oldest).await, "first");
}

/// A hub that drains ends the streams of the application, waits for those that are not polled, and
/// takes no new ones.
#[tokio::test]
async fn a_drain_ends_the_streams_of_the_application() {
    let hub = hub();
    let mut polled = hub.subscribe(books()).await.expect("a stream");
    let forgotten = hub.subscribe(books()).await.expect("a stream");
    assert!(!hub.is_idle());
    let mut drained = pin!(hub.drained());
    let soon = Duration::from_millis(50);
    assert!(
        timeout(soon, &mut drained).await.is_err(),
        "the hub was not told to drain"
    );
    let draining = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        hub.drain(Duration::from_millis(20));
    };
    let (end, ()) = tokio::join!(next(&mut polled), draining);
    assert_eq!((end, polled.end()), (None, Some(End::Drained)));
    assert_eq!(next(&mut polled).await, None, "the end is final");
    assert!(
        timeout(soon, &mut drained).await.is_err(),
        "a stream has not ended"
    );
    let refused = hub.subscribe(books()).await.map(drop);
    assert_eq!(refused, Err(SubscribeError::Draining));
    drop(forgotten);
    timeout(PATIENCE, drained).await.expect("drained");
    assert!(hub.is_idle());
    // What is published while a hub stops is stored, as it is for clients.
    assert!(hub.publish(Update::new(TOPIC, "late")).await.is_ok());
}

/// An update that is at hand when the hub drains is received, even by a stream that was never polled:
/// without its event id the application could not resume.
#[tokio::test]
async fn a_drain_takes_no_update_from_a_stream_that_was_not_polled() {
    let hub = hub();
    let mut updates = hub.subscribe(books()).await.expect("a stream");
    let id = hub.publish(Update::new(TOPIC, "data")).await;
    let id = id.expect("stored");
    hub.drain(Duration::ZERO);
    assert_eq!(data(&mut updates).await, "data");
    assert_eq!(updates.last_event_id(), Some(id.as_str()));
    assert_eq!(next(&mut updates).await, None);
    assert_eq!(updates.end(), Some(End::Drained));
    timeout(PATIENCE, hub.drained()).await.expect("drained");
}

/// A drain waits for the streams of clients as well.
#[tokio::test]
async fn a_drain_waits_for_clients() {
    let hub = hub();
    let request = Request::get(format!("/.well-known/mercure?match={TOPIC}"))
        .header("host", "hub.example")
        .body(Body::empty())
        .expect("a request");
    let stream: Response<Body> = hub.handle(request).await;
    hub.drain(Duration::ZERO);
    let soon = timeout(Duration::from_millis(50), hub.drained()).await;
    assert!(soon.is_err(), "a stream is open");
    drop(stream);
    timeout(PATIENCE, hub.drained()).await.expect("drained");
}

/// A stream has no queue: one that the log has passed ends, and says so.
#[tokio::test]
async fn a_stream_that_the_log_has_passed_ends() {
    let mut options = MemoryOptions::default();
    options.max_bytes = 64 << 10;
    let log = Memory::open(options).expect("a log");
    let hub = Hub::builder(Issuers::default()).transport(Arc::new(log));
    let hub = hub.build().expect("a hub");
    let publish = async |data: String| {
        let update = Update::new(TOPIC, data);
        hub.publish(update).await.expect("stored")
    };
    let mut slow = hub.subscribe(books()).await.expect("a stream");
    publish("first".to_owned()).await;
    assert_eq!(data(&mut slow).await, "first");
    for number in 0..200 {
        publish(format!("{number} {}", "x".repeat(1_000))).await;
    }
    while next(&mut slow).await.is_some() {}
    assert_eq!(slow.end(), Some(End::Passed));
}

/// A stream outlives the hub: it yields what the log holds, and waits for what is appended there.
#[tokio::test]
async fn a_stream_does_not_end_with_the_last_hub() {
    let log = Arc::new(Memory::open(MemoryOptions::default()).expect("a log"));
    let hub = Hub::builder(Issuers::default()).transport(Arc::clone(&log) as _);
    let hub = hub.build().expect("a hub");
    let mut updates = hub.subscribe(books()).await.expect("a stream");
    hub.publish(Update::new(TOPIC, "first"))
        .await
        .expect("stored");
    drop(hub);
    assert_eq!(data(&mut updates).await, "first");
    let soon = timeout(Duration::from_millis(50), updates.next()).await;
    assert!(soon.is_err() && updates.end().is_none());
    let second = Update::new(TOPIC, "second");
    log.append(second).await.expect("stored");
    assert_eq!(data(&mut updates).await, "second");
}

/// Each of many updates is received once and in order, by a stream that is polled as one.
#[tokio::test(flavor = "multi_thread")]
async fn many_updates_arrive_in_order() {
    const MANY: usize = 5_000;
    let hub = hub();
    // In a separate task, which may move to another thread.
    let subscribing = hub.clone();
    let subscribing = tokio::spawn(async move { subscribing.subscribe(books()).await });
    let updates = subscribing.await.expect("it ran").expect("a stream");
    let publisher = tokio::spawn(async move {
        for number in 0..MANY {
            let update = Update::new(TOPIC, number.to_string());
            hub.publish(update).await.expect("stored");
        }
    });
    let subscriber = tokio::spawn(async move {
        let mut updates = pin!(updates);
        for number in 0..MANY {
            let next = std::future::poll_fn(|context| updates.as_mut().poll_next(context));
            let update = timeout(PATIENCE, next).await.expect("in time");
            assert_eq!(update.expect("an update").data, number.to_string());
        }
    });
    subscriber.await.expect("it ran");
    publisher.await.expect("it ran");
}

/// "Active Subscriptions": the application sees who subscribes, and is not seen itself.
#[tokio::test]
async fn the_application_sees_subscriptions_and_is_not_one() {
    let hub = Hub::builder(Issuers::default()).configure(|options| options.subscriptions = true);
    let hub = hub.build().expect("a hub");
    let events = SubscribeOptions::new()
        .url_pattern("/.well-known/mercure/subscriptions/:match_type/:match/:subscriber")
        .grant_all();
    let mut events = hub.subscribe(events).await.expect("a stream");
    let _own = hub.subscribe(books()).await.expect("a stream");
    let request = Request::get(format!("/.well-known/mercure?match={TOPIC}"))
        .header("host", "hub.example")
        .body(Body::empty())
        .expect("a request");
    let _stream = hub.handle(request).await;
    let event = next(&mut events).await.expect("an event");
    assert!(event.private && event.event_type.as_deref() == Some(HUB_EVENT_TYPE));
    // Appended to the log of another hub, it is not one of that hub's subscriptions.
    assert!(!event.by_hub);
    let document: serde_json::Value = serde_json::from_str(&event.data).expect("JSON");
    assert_eq!(document["match"], TOPIC);
}

/// What selects nothing, or cannot be parsed, is refused with the field and the remedy.
#[tokio::test]
async fn a_wrong_subscription_is_refused() {
    let hub = hub();
    for (options, field) in [
        (SubscribeOptions::new(), "match"),
        (SubscribeOptions::new().grant_all(), "match"),
        (
            SubscribeOptions::new().url_pattern("/("),
            "match_urlpattern",
        ),
        (books().grant_url_pattern("/("), "grant"),
        (books().topic("a\nb"), "match"),
    ] {
        match hub.subscribe(options).await {
            Err(SubscribeError::Invalid(error)) => assert_eq!(error.field, field, "{error}"),
            outcome => panic!("{outcome:?}"),
        }
    }
}

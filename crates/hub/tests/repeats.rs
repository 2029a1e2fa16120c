//! Publishes that a client repeats. An update that was stored is not stored again, and one that was not is
//! never answered as if it were.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::json;
use talaria_hub::access::{Algorithm, Issuer, Issuers, SigningKey, VerificationKey};
use talaria_hub::clock::{Clock, SystemClock, UnixTime};
use talaria_hub::{Hub, PublishError, Unanswered};
use talaria_protocol::Update;
use talaria_transport::{
    Admit, AppendError, Appended, Bounds, Lookup, Memory, MemoryOptions, Page, Pending, Position,
    ReadError, Ring, Route, Transport, Unavailable,
};
use tokio::sync::{Notify, RwLock};

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const ISSUER: &str = "https://application.example";
const WINDOW: Duration = Duration::from_secs(60);
const NDJSON: &str = "application/x-ndjson";
const REFUSED: AppendError = AppendError::Refused("it was told to");

/// A log in memory that refuses single appends as the test says.
struct Refusing {
    log: Memory,
    outcomes: Mutex<VecDeque<AppendError>>,
    /// Appends wait while it is locked.
    gate: Arc<RwLock<()>>,
    asked: Notify,
}

impl Transport for Refusing {
    fn ring(&self) -> &Arc<Ring> {
        self.log.ring()
    }

    fn start(&self, route: Arc<dyn Route>) {
        self.log.start(route);
    }

    fn append(&self, update: Update) -> Pending<'static, Result<Appended, AppendError>> {
        self.log.append(update)
    }

    fn append_all(
        &self,
        updates: Vec<Update>,
    ) -> Pending<'static, Result<Vec<Appended>, AppendError>> {
        let refused = self.outcomes.lock().expect("no panic").pop_front();
        let stored = match refused {
            Some(error) => Box::pin(std::future::ready(Err(error))) as Pending<'static, _>,
            None => self.log.append_all(updates),
        };
        let gate = Arc::clone(&self.gate);
        self.asked.notify_one();
        Box::pin(async move {
            drop(gate.read().await);
            stored.await
        })
    }

    fn read(
        &self,
        from: Position,
        up_to: Position,
        limit: usize,
        filter: Arc<dyn Admit>,
    ) -> Pending<'_, Result<Page, ReadError>> {
        self.log.read(from, up_to, limit, filter)
    }

    fn position_of<'a>(&'a self, event_id: &'a str) -> Pending<'a, Result<Lookup, Unavailable>> {
        self.log.position_of(event_id)
    }

    fn bounds(&self) -> Bounds {
        self.log.bounds()
    }

    fn newest_id(&self) -> Option<String> {
        self.log.newest_id()
    }
}

/// A clock that the test sets.
struct Hand {
    begun: Instant,
    passed: AtomicU64,
}

impl Clock for Hand {
    fn now(&self) -> Instant {
        self.begun + Duration::from_millis(self.passed.load(Ordering::Relaxed))
    }

    fn unix_time(&self) -> UnixTime {
        UnixTime::from_seconds(1_000_000.0)
    }
}

struct Publisher {
    hub: Arc<Hub>,
    transport: Arc<Refusing>,
    clock: Arc<Hand>,
}

impl Publisher {
    /// A hub whose log refuses the first appends.
    fn of_a_log_that(outcomes: impl IntoIterator<Item = AppendError>) -> Self {
        let key = VerificationKey::from_secret(SECRET, Algorithm::HS256).expect("a key");
        let issuers = Issuers::new([Issuer::new(ISSUER).publisher(key.clone()).subscriber(key)]);
        let transport = Arc::new(Refusing {
            log: Memory::open(MemoryOptions::default()).expect("a log"),
            outcomes: Mutex::new(outcomes.into_iter().collect()),
            gate: Arc::default(),
            asked: Notify::new(),
        });
        let clock = Arc::new(Hand {
            begun: SystemClock.now(),
            passed: AtomicU64::new(0),
        });
        let hub = Hub::builder(issuers.expect("an issuer"))
            .configure(|options| options.repeat_window = Some(WINDOW))
            .transport(Arc::clone(&transport) as _)
            .clock(Arc::clone(&clock) as _)
            .build()
            .expect("a hub");
        Self {
            hub: Arc::new(hub),
            transport,
            clock,
        }
    }

    fn request(&self, media_type: &str, body: String) -> Request<Body> {
        let claims = json!({
            "iss": ISSUER,
            "sub": "publisher",
            "aud": "http://hub.example/.well-known/mercure",
            "exp": self.clock.unix_time().seconds() + 600.0,
            "authorization_details": [{
                "type": "https://mercure.rocks/authorization-detail",
                "actions": ["publish"],
                "topics": [{ "match": "*" }],
            }],
        });
        let token = SigningKey::from_secret(SECRET, Algorithm::HS256)
            .and_then(|key| key.sign(&claims))
            .expect("a token");
        Request::post("/.well-known/mercure")
            .header("host", "hub.example")
            .header("content-type", media_type)
            .header("authorization", format!("Bearer {token}"))
            .body(Body::from(body))
            .expect("a request")
    }

    /// Publishes an update with this id.
    fn publish(&self, id: &str) -> tokio::task::JoinHandle<Option<(StatusCode, String)>> {
        let body = format!("topic=t&id={id}");
        self.send(self.request("application/x-www-form-urlencoded", body))
    }

    /// Publishes updates with these ids in one request.
    fn publish_all(&self, ids: &[&str]) -> tokio::task::JoinHandle<Option<(StatusCode, String)>> {
        let line = |id: &&str| json!({ "topic": "t", "id": id }).to_string();
        let lines: Vec<_> = ids.iter().map(line).collect();
        self.send(self.request(NDJSON, lines.join("\n")))
    }

    /// Status and body; `None` if the connection is to be closed without an answer.
    fn send(
        &self,
        request: Request<Body>,
    ) -> tokio::task::JoinHandle<Option<(StatusCode, String)>> {
        let hub = Arc::clone(&self.hub);
        tokio::spawn(async move {
            let response = hub.handle(request).await;
            if response.extensions().get::<Unanswered>().is_some() {
                return None;
            }
            let status = response.status();
            let body = response.into_body().collect().await.expect("a body");
            let text = String::from_utf8(body.to_bytes().to_vec());
            Some((status, text.expect("UTF-8")))
        })
    }

    /// How many updates are stored.
    fn stored(&self) -> u64 {
        self.transport.bounds().head.0
    }
}

fn stored_as(id: &str) -> Option<(StatusCode, String)> {
    Some((StatusCode::OK, id.to_owned()))
}

/// A publish that was refused was not stored, so its repetition is stored and only then counts as
/// published.
#[tokio::test]
async fn what_was_refused_is_stored_when_it_is_repeated() {
    let publisher = Publisher::of_a_log_that([REFUSED, REFUSED]);
    for _ in 0..2 {
        let (status, _) = publisher
            .publish("mine")
            .await
            .expect("no panic")
            .expect("an answer");
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(publisher.stored(), 0);
    }
    for _ in 0..2 {
        let answered = publisher.publish("mine").await.expect("no panic");
        assert_eq!(answered, stored_as("mine"));
        assert_eq!(publisher.stored(), 1);
    }
}

/// A publish that got no answer may or may not be stored, so its repetition is stored: the update may be
/// stored twice, but it must not be lost.
#[tokio::test]
async fn what_got_no_answer_is_stored_when_it_is_repeated() {
    let publisher = Publisher::of_a_log_that([AppendError::Unknown]);
    assert_eq!(publisher.publish("mine").await.expect("no panic"), None);
    for _ in 0..2 {
        let answered = publisher.publish("mine").await.expect("no panic");
        assert_eq!(answered, stored_as("mine"));
        assert_eq!(publisher.stored(), 1);
    }
}

/// Updates of a refused request that an earlier request stored stay stored, and the others are not stored.
#[tokio::test]
async fn of_a_refused_request_only_what_is_new_is_stored_when_it_is_repeated() {
    let publisher = Publisher::of_a_log_that([]);
    publisher.publish("old").await.expect("no panic");
    publisher
        .transport
        .outcomes
        .lock()
        .expect("no panic")
        .push_back(REFUSED);
    let ids = ["new", "old", "new", "newer"];
    let (status, _) = publisher
        .publish_all(&ids)
        .await
        .expect("no panic")
        .expect("an answer");
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    for _ in 0..2 {
        let answered = publisher.publish_all(&ids).await.expect("no panic");
        let (status, results) = answered.expect("an answer");
        assert_eq!(status, StatusCode::OK);
        let answered: Vec<_> = results
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).expect("JSON")["id"].clone()
            })
            .collect();
        assert_eq!(answered, ids);
        assert_eq!(publisher.stored(), 3);
    }
}

/// A repetition that comes while the first publish is under way waits for its outcome.
#[tokio::test]
async fn a_repetition_waits_for_what_becomes_of_the_first() {
    for (outcome, expected) in [(None, 1), (Some(REFUSED), 1)] {
        let is_refused = outcome.is_some();
        let publisher = Publisher::of_a_log_that(outcome);
        let gate = Arc::clone(&publisher.transport.gate).write_owned().await;
        let first = publisher.publish("mine");
        publisher.transport.asked.notified().await;
        let again = publisher.publish("mine");
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!again.is_finished(), "the first one may be refused");
        drop(gate);
        let first = first.await.expect("no panic").expect("an answer");
        assert_eq!(first.0 == StatusCode::OK, !is_refused);
        assert_eq!(again.await.expect("no panic"), stored_as("mine"));
        assert_eq!(publisher.stored(), expected);
    }
}

/// A publisher that hangs up has published nevertheless, unless the publish was refused.
#[tokio::test]
async fn what_a_publisher_did_not_wait_for_is_not_stored_again() {
    for outcome in [None, Some(REFUSED)] {
        let publisher = Publisher::of_a_log_that(outcome);
        let gate = Arc::clone(&publisher.transport.gate).write_owned().await;
        let first = publisher.publish("mine");
        publisher.transport.asked.notified().await;
        first.abort();
        assert!(first.await.is_err(), "it has hung up");
        let again = publisher.publish("mine");
        drop(gate);
        assert_eq!(again.await.expect("no panic"), stored_as("mine"));
        assert_eq!(publisher.stored(), 1);
    }
}

/// The window begins with the first publish. A repetition does not prolong it.
#[tokio::test]
async fn after_the_window_a_publish_is_stored_again() {
    let publisher = Publisher::of_a_log_that([]);
    let half = u64::try_from(WINDOW.as_millis() / 2).expect("a minute");
    for (passes, stored) in [
        (0, 1),
        (half, 1),
        (half - 1, 1),
        (1, 2),
        (2 * half - 1, 2),
        (1, 3),
    ] {
        publisher.clock.passed.fetch_add(passes, Ordering::Relaxed);
        let answered = publisher.publish("mine").await.expect("no panic");
        assert_eq!(answered, stored_as("mine"));
        assert_eq!(publisher.stored(), stored, "after {passes} ms more");
    }
}

/// The application that embeds the hub is told what became of its updates, and is one publisher.
#[tokio::test]
async fn the_application_is_one_publisher() {
    let publisher = Publisher::of_a_log_that([REFUSED, AppendError::Unknown]);
    let publish = || publisher.hub.publish(Update::new("t", "").with_id("mine"));
    assert!(matches!(publish().await, Err(PublishError::Refused(_))));
    assert_eq!(publish().await, Err(PublishError::Unknown));
    for _ in 0..2 {
        assert_eq!(publish().await, Ok("mine".to_owned()));
        assert_eq!(publisher.stored(), 1);
    }
    let of_client = publisher.publish("mine").await.expect("no panic");
    assert_eq!(of_client, stored_as("mine"));
    assert_eq!(publisher.stored(), 2, "a client is another publisher");
}

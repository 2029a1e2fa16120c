//! A hub that gets other options while its streams are open ([`Hub::reconfigure`], ADR 0018).

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod configuration;
mod held;
mod presence;
mod property;
mod stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use http::{Request, Response};
use talaria_hub::access::{Algorithm, Issuer, Issuers, VerificationKey};
use talaria_hub::clock::{Clock, SystemClock, UnixTime};
use talaria_hub::{Hub, HubOptions};

const ISSUERS: [&str; 2] = ["https://one.example", "https://two.example"];
const SECRETS: [&str; 2] = [
    "a23456789abcdef0123456789abcdef0",
    "b23456789abcdef0123456789abcdef0",
];
const HOST: &str = "hub.example";
const TOPIC: &str = "https://example.com/books/1";
/// Far beyond what anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);
/// The Unix time at which the clock of the tests begins.
const BEGINNING: u64 = 1_000_000_000;

/// A clock that the test sets.
#[derive(Debug)]
struct Hand {
    begun: Instant,
    passed: AtomicU64,
}

impl Hand {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: SystemClock.now(),
            passed: AtomicU64::new(0),
        })
    }

    fn pass(&self, seconds: u64) {
        self.passed.fetch_add(seconds, Ordering::Relaxed);
    }

    fn seconds(&self) -> u64 {
        BEGINNING + self.passed.load(Ordering::Relaxed)
    }
}

impl Clock for Hand {
    fn now(&self) -> Instant {
        self.begun + Duration::from_secs(self.passed.load(Ordering::Relaxed))
    }

    fn unix_time(&self) -> UnixTime {
        UnixTime::from_seconds(self.seconds() as f64)
    }
}

fn key(number: usize) -> VerificationKey {
    VerificationKey::from_secret(SECRETS[number], Algorithm::HS256).expect("a key")
}

/// Options by which everyone may subscribe, and the first issuer's first key is both roles'.
fn options() -> HubOptions {
    let issuer = Issuer::new(ISSUERS[0]).publisher(key(0)).subscriber(key(0));
    let mut options = HubOptions::new(Issuers::new([issuer]).expect("an issuer"));
    options.anonymous = true;
    options
}

fn hub(options: HubOptions) -> Hub {
    talaria_hub::HubBuilder::from(options)
        .build()
        .expect("a hub")
}

/// What the hub answers to a subscription.
async fn subscribe(hub: &Hub, query: &str, token: Option<&str>) -> Response<Body> {
    let mut request = Request::get(format!("/.well-known/mercure?{query}")).header("host", HOST);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Body::empty()).expect("a request");
    let answer = tokio::time::timeout(PATIENCE, hub.handle(request));
    answer.await.expect("an answer")
}

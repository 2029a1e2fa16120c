//! What routing costs: honest updates, and the inputs that once stopped the hub.
//!
//! `cargo run --release -p talaria-hub --example routing_cost`, optionally with a part of a
//! case's name behind `--`. Each line says the median and the longest time of one call.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "it measures, and an example fails by panicking"
)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::{Duration, Instant};

use axum::body::Body;
use http::{Method, Request};
use talaria_hub::access::{Algorithm, Issuer, Issuers, VerificationKey};
use talaria_hub::{Cursor, Handover, Hub, Step};
use talaria_protocol::Update;
use talaria_transport::{
    Admit, AppendError, Appended, Bounds, Frame, Lookup, Memory, MemoryOptions, Page, Pending,
    Position, ReadError, Ring, Route, Transport, Unavailable,
};

/// A log that hands out its route, so that nothing but routing is measured.
struct Routed {
    log: Memory,
    route: OnceLock<Arc<dyn Route>>,
}

impl Transport for Routed {
    fn ring(&self) -> &Arc<Ring> {
        self.log.ring()
    }

    fn start(&self, route: Arc<dyn Route>) {
        _ = self.route.set(route);
    }

    fn append(&self, update: Update) -> Pending<'static, Result<Appended, AppendError>> {
        self.log.append(update)
    }

    fn append_all(
        &self,
        updates: Vec<Update>,
    ) -> Pending<'static, Result<Vec<Appended>, AppendError>> {
        self.log.append_all(updates)
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

struct Bench {
    hub: Hub,
    transport: Arc<Routed>,
    head: AtomicU64,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new() -> Self {
        let key = VerificationKey::from_secret("0123456789abcdef".repeat(4), Algorithm::HS256)
            .expect("a key");
        let issuers = Issuers::new([Issuer::new("https://application.example")
            .publisher(key.clone())
            .subscriber(key)])
        .expect("an issuer");
        let log = Memory::open(MemoryOptions::default()).expect("a log");
        let transport = Arc::new(Routed {
            log,
            route: OnceLock::new(),
        });
        let hub = Hub::builder(issuers)
            .anonymous()
            .transport(Arc::clone(&transport) as _);
        let hub = hub.build().expect("a hub");
        Self {
            hub,
            transport,
            head: AtomicU64::new(0),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .expect("a runtime"),
        }
    }

    /// A stream for these matchers, by the names of their parameters.
    fn join<'a>(&self, matchers: impl IntoIterator<Item = (&'a str, String)>) -> Cursor {
        let mut body = form_urlencoded(matchers);
        body.pop();
        let request = Request::builder()
            .method(Method::from_bytes(b"QUERY").expect("a method"))
            .uri("/.well-known/mercure")
            .header("host", "hub.example")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(body))
            .expect("a request");
        let mut response = self.runtime.block_on(self.hub.handle(request));
        let handover = response.extensions_mut().remove::<Handover>();
        let cursor = handover.and_then(|handover| handover.take());
        cursor.expect("a stream")
    }

    fn frames(&self, topics: &[Vec<String>]) -> Vec<Arc<Frame>> {
        let first = self.head.fetch_add(topics.len() as u64, Ordering::Relaxed) + 1;
        (first..)
            .zip(topics)
            .map(|(position, topics)| {
                let update = Update {
                    topics: topics.clone(),
                    data: "x".repeat(20),
                    ..Update::default()
                };
                Arc::new(Frame::new(Position(position), position.to_string(), update))
            })
            .collect()
    }

    /// Routes a group; how long it took.
    fn publish(&self, topics: &[Vec<String>]) -> Duration {
        let frames = self.frames(topics);
        let route = self.transport.route.get().expect("a route");
        let began = Instant::now();
        route.route(&frames, &mut || {});
        began.elapsed()
    }
}

fn form_urlencoded<'a>(matchers: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut body = String::new();
    for (name, text) in matchers {
        let text = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC);
        body.push_str(&format!("{name}={text}&"));
    }
    body
}

fn report(case: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let median = times[times.len() / 2];
    let longest = times[times.len() - 1];
    println!("{case:<58} {median:>12.1?} {longest:>12.1?}");
}

fn one(topic: impl Into<String>) -> Vec<Vec<String>> {
    vec![vec![topic.into()]]
}

fn exact(topic: impl Into<String>) -> (&'static str, String) {
    ("match", topic.into())
}

fn pattern(text: impl Into<String>) -> (&'static str, String) {
    ("match_urlpattern", text.into())
}

fn exact_topics() {
    let bench = Bench::new();
    let topic = |number: usize| format!("https://example.com/books/{number}");
    let streams: Vec<_> = (0..10_000)
        .map(|number| bench.join([exact(topic(number))]))
        .collect();
    let times = (0..200_000).map(|n| bench.publish(&one(topic(n * 7919 % 10_000))));
    report("exact topics: 10,000 streams, one update", times.collect());
    let group: Vec<_> = (0..256).map(|n| vec![topic(n * 31)]).collect();
    let times = (0..500).map(|_| bench.publish(&group));
    report("exact topics: a group of 256 updates", times.collect());
    let times = (0..100_000).map(|n| bench.publish(&one(format!("urn:unread:{n}"))));
    report("exact topics: an update without a reader", times.collect());
    drop(streams);
    let shared: Vec<_> = (0..1000)
        .map(|number| bench.join([exact(topic(number)), exact("urn:all")]))
        .collect();
    let times = (0..2000).map(|_| bench.publish(&one("urn:all")));
    report(
        "exact topics: one update for 1,000 streams",
        times.collect(),
    );
    drop(shared);
}

fn many_patterns() {
    let bench = Bench::new();
    let streams: Vec<_> = (0..10_000)
        .map(|number| {
            bench.join([pattern(if number < 10 {
                format!("https://example.com/books/:id{number}")
            } else if number < 5000 {
                format!("https://example.com/books/:id/pages/{number}")
            } else {
                format!("https://example.com/authors/{number}/:id")
            })])
        })
        .collect();
    let unseen = (0..50).map(|n| bench.publish(&one(format!("https://example.com/books/u{n}"))));
    report("patterns: 10,000, 10 match, a new topic", unseen.collect());
    let warm = (0..2000).map(|_| bench.publish(&one("https://example.com/books/u1")));
    report("patterns: 10,000, 10 match, a known topic", warm.collect());
    drop(streams);
}

fn costly_patterns() {
    let costly = |stream: usize| {
        (0..200).map(move |n| {
            pattern(format!(
                "https://example.com/{}/x{stream}y{n}/:id",
                "{*}?".repeat(24)
            ))
        })
    };
    let topic = |n: usize| format!("https://example.com/{n}/{}", "a".repeat(60));
    for streams in [50, 200] {
        let bench = Bench::new();
        let held: Vec<_> = (0..streams)
            .map(|stream| bench.join(costly(stream)))
            .collect();
        let times = (0..20).map(|n| bench.publish(&one(topic(n))));
        let case = format!("row 2: {streams} streams of 200 costly patterns");
        report(&case, times.collect());
        drop(held);
    }
    let bench = Bench::new();
    let mut held: Vec<_> = (0..5).map(|stream| bench.join(costly(stream))).collect();
    let topics: Vec<_> = (0..1000).map(topic).collect();
    let times = (0..5).map(|_| bench.publish(std::slice::from_ref(&topics)));
    report(
        "row 2: an update with 1,000 topics, 5 streams",
        times.collect(),
    );
    for n in 0..5000 {
        bench.publish(&one(topic(n)));
    }
    let mut turns = Vec::new();
    let cursor = &mut held[0];
    while turns.len() < 2000 {
        let began = Instant::now();
        let step = cursor.next(Instant::now(), Waker::noop());
        turns.push(began.elapsed());
        if matches!(step, Step::End(_) | Step::NeedPage { .. }) {
            break;
        }
    }
    report("row 1: a turn of a cursor behind these updates", turns);
}

fn ordinary_patterns_leave() {
    let bench = Arc::new(Bench::new());
    let mut joins = Vec::new();
    let streams: Vec<_> = (0..400)
        .map(|stream| {
            let began = Instant::now();
            let patterns =
                (0..256).map(|n| pattern(format!("https://example.com/:id/{stream}/{n}")));
            let cursor = bench.join(patterns);
            joins.push(began.elapsed());
            cursor
        })
        .collect();
    report("row 4: a join of 256 patterns, parsing included", joins);
    storm(
        "row 4: a publish beside 400 x 256 patterns leaving",
        &bench,
        streams,
    );
}

fn storm_of_leaving() {
    let bench = Arc::new(Bench::new());
    let streams: Vec<_> = (0..10_000)
        .map(|number| {
            let own = (0..8).map(|n| exact(format!("https://example.com/{number}/{n}")));
            bench.join(own.chain([exact("urn:all")]))
        })
        .collect();
    storm(
        "leaving: a publish beside 10,000 streams leaving",
        &bench,
        streams,
    );
}

fn storm(case: &str, bench: &Arc<Bench>, mut streams: Vec<Cursor>) {
    let half = streams.split_off(streams.len() / 2);
    let leavers = [streams, half].map(|part| std::thread::spawn(move || drop(part)));
    let mut times = Vec::new();
    while !leavers.iter().all(std::thread::JoinHandle::is_finished) {
        times.push(bench.publish(&one("https://example.com/1")));
    }
    times.push(bench.publish(&one("https://example.com/1")));
    report(case, times);
}

fn batch_on_a_shared_topic() {
    let bench = Bench::new();
    let streams: Vec<_> = (0..8000)
        .map(|number| bench.join([exact("urn:all"), exact(format!("urn:own:{number}"))]))
        .collect();
    let group = vec![vec!["urn:all".to_owned()]; 10_000];
    let times = (0..5).map(|_| bench.publish(&group));
    report("row 4b: 10,000 updates for 8,000 streams", times.collect());
    drop(streams);
}

fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    println!("{:<58} {:>12} {:>12}", "case", "median", "longest");
    let cases: [(&str, fn()); 6] = [
        ("exact", exact_topics),
        ("many-patterns", many_patterns),
        ("costly", costly_patterns),
        ("leave-patterns", ordinary_patterns_leave),
        ("leave-exact", storm_of_leaving),
        ("batch", batch_on_a_shared_topic),
    ];
    for (name, case) in cases {
        if name.contains(&only) {
            case();
        }
    }
}

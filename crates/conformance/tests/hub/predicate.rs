//! The hub delivers what a naive predicate selects, in order, once, live and replayed.
//!
//! Lane and ring are small beside what is published. A hub keeps a bounded number of positions
//! for a live reader and otherwise judges the log with the reader's own matchers; both ways must
//! deliver the same. So no reader reads before everything is published, each takes a few KiB into
//! its socket, and in most cases one update is published [`BURST`] times: a reader of it is
//! stopped by its full socket long before the burst ends, and the hub's place for it overflows.
//! That this happens is checked in the kernel's queues. In memory the ring holds more than a case
//! publishes, so that it passes no reader, and is gone round many times in all. On other transports
//! it holds less than a burst, so that readers go on from the history. On a shared log there are two
//! hubs, and readers resume at either.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use talaria_conformance::client::Client;
use talaria_conformance::count;
use talaria_conformance::hub::Hub;
use talaria_conformance::kernel::connections;
use talaria_conformance::servers::{PgBouncer, Postgres, Postgresql, Program, Redis};
use talaria_conformance::stream::EventStream;
use talaria_conformance::token::{Matcher, exact, pattern};

/// Bytes of the ring in memory; a case publishes less than half of it.
const RING: &str = "512KiB";
/// How often the update of a burst is published: more than [`LANE`], after the sockets are full.
const BURST: usize = 160;
/// Bytes of data of each update in a burst.
const BURST_BYTES: usize = 1024;
/// How many positions the hub keeps for live readers (`LANE_POSITIONS` of the hub).
const LANE: usize = 64;
/// Bytes that a client takes although no task polls it: hyper's read buffer.
const CLIENT_BYTES: usize = 16 * 1024;

/// Topics of one case, below its own base.
const TOPICS: [&str; 6] = ["a/1", "a/2", "a/", "b/1", "b/1/c", "B/1"];

#[derive(Debug, Clone)]
struct Update {
    topics: Vec<usize>,
    private: bool,
    /// How often it is published.
    times: usize,
}

/// A matcher in the two ways that it is needed: as asked, and as a plain function of the topic.
#[derive(Debug, Clone, Copy)]
enum Choice {
    Topic(usize),
    Any,
    /// `<base>/a/:id`.
    OneSegment,
    /// `<base>/b/*`.
    Below,
    /// `<base>/:x/1{/c}?`.
    Optional,
}

impl Choice {
    fn matcher(self, base: &str) -> Matcher {
        match self {
            Self::Topic(index) => exact(format!("{base}/{}", TOPICS[index])),
            Self::Any => exact("*"),
            Self::OneSegment => pattern(format!("{base}/a/:id")),
            Self::Below => pattern(format!("{base}/b/*")),
            Self::Optional => pattern(format!("{base}/:x/1{{/c}}?")),
        }
    }

    fn matches(self, topic: usize) -> bool {
        match self {
            Self::Topic(index) => index == topic,
            Self::Any => true,
            Self::OneSegment => ["a/1", "a/2"].contains(&TOPICS[topic]),
            Self::Below => ["b/1", "b/1/c"].contains(&TOPICS[topic]),
            Self::Optional => ["a/1", "b/1", "b/1/c", "B/1"].contains(&TOPICS[topic]),
        }
    }
}

#[derive(Debug, Clone)]
struct Reader {
    matchers: Vec<Choice>,
    /// `None`: no token.
    grants: Option<Vec<Choice>>,
    /// It connects once this many updates are published …
    joins: usize,
    /// … and resumes after this many, if at all.
    resumes: Option<usize>,
    in_header: bool,
    http2: bool,
}

impl Reader {
    /// A reader that selects everything, so that each burst stops one.
    fn of_all() -> Self {
        Self {
            matchers: vec![Choice::Any],
            grants: Some(vec![Choice::Any]),
            joins: 0,
            resumes: None,
            in_header: false,
            http2: false,
        }
    }

    /// The hub that it connects to. Where a stream without a cursor begins is only certain at the hub that
    /// acknowledged the update before.
    fn hub<'hubs>(&self, hubs: &'hubs [Hub]) -> &'hubs Hub {
        &hubs[self.resumes.map_or(0, |place| place % hubs.len())]
    }

    fn receives(&self, update: &Update) -> bool {
        let any = |choices: &[Choice]| {
            choices
                .iter()
                .any(|choice| update.topics.iter().any(|&topic| choice.matches(topic)))
        };
        any(&self.matchers) && (!update.private || self.grants.as_deref().is_some_and(any))
    }

    fn expected(&self, updates: &[Update]) -> Vec<String> {
        let from = self.resumes.unwrap_or(self.joins);
        let tail = updates.iter().enumerate().skip(from);
        tail.filter(|(_, update)| self.receives(update))
            .flat_map(|(number, update)| (0..update.times).map(move |time| name(number, time)))
            .collect()
    }
}

/// The first word of the data of the update `number` when it is published for the `time`th time.
fn name(number: usize, time: usize) -> String {
    format!("{number}.{time}")
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        4 => (0..TOPICS.len()).prop_map(Choice::Topic),
        1 => Just(Choice::Any),
        1 => Just(Choice::OneSegment),
        1 => Just(Choice::Below),
        1 => Just(Choice::Optional),
    ]
}

fn case() -> impl Strategy<Value = (Vec<Update>, Vec<Reader>)> {
    let topics = prop::collection::vec(0..TOPICS.len(), 1..4);
    let update = (topics, any::<bool>()).prop_map(|(topics, private)| Update {
        topics,
        private,
        times: 1,
    });
    let burst = prop::option::weighted(0.75, any::<prop::sample::Index>());
    (prop::collection::vec(update, 1..20), burst).prop_flat_map(|(mut updates, burst)| {
        if let Some(burst) = burst {
            burst.get_mut(&mut updates).times = BURST;
        }
        let length = updates.len();
        let reader = (
            prop::collection::vec(choice(), 1..4),
            prop::option::of(prop::collection::vec(choice(), 0..3)),
            0..=length,
            prop::option::of(0..=length),
            any::<bool>(),
            any::<bool>(),
        );
        let reader =
            reader.prop_map(
                |(matchers, grants, joins, resumes, in_header, http2)| Reader {
                    matchers,
                    grants,
                    joins,
                    resumes: resumes.map(|place| place.min(joins)),
                    in_header,
                    http2,
                },
            );
        let readers = prop::collection::vec(reader, 1..6).prop_map(|mut readers| {
            readers.push(Reader::of_all());
            readers
        });
        (Just(updates), readers)
    })
}

async fn connect(hub: &Hub, reader: &Reader, base: &str, ids: &[String]) -> EventStream {
    let all = |choices: &[Choice]| {
        choices
            .iter()
            .map(|choice| choice.matcher(base))
            .collect::<Vec<_>>()
    };
    let mut client: Client = match &reader.grants {
        Some(grants) => hub.subscriber(&all(grants)),
        None => hub.client(),
    };
    client = client.receive_buffer(4096);
    if reader.http2 {
        client = client.http2();
    }
    let mut matchers = all(&reader.matchers);
    matchers.push(exact(format!("{base}/end")));
    let mut parameters: Vec<_> = matchers.iter().map(Matcher::parameter).collect();
    if let Some(place) = reader.resumes {
        if reader.in_header {
            client = client.last_event_id(&ids[place]);
        } else {
            parameters.push(("last_event_id", &ids[place]));
        }
    }
    client.subscribe_with(&parameters).await
}

/// Counts the readers that provably have more updates of the burst before them than the hub's place
/// for them holds: what they are due less what is under way to them.
fn overflown(hubs: &[Hub], streams: &[(&Reader, EventStream)], update: &Update) -> usize {
    let connections: Vec<_> = hubs.iter().map(|hub| connections(hub.address)).collect();
    let behind = |(reader, stream): &&(&Reader, EventStream)| {
        let port = stream.local.port();
        let queues = connections.iter().find_map(|of_hub| of_hub.get(&port));
        let unread = queues.copied().unwrap_or_default().unread() as usize + CLIENT_BYTES;
        // What waits inside HTTP/2 cannot be seen from here.
        !reader.http2
            && reader.receives(update)
            && update.times.saturating_sub(unread / BURST_BYTES) > LANE
    };
    streams.iter().filter(behind).count()
}

/// Runs a case and returns how many readers were provably [`overflown`].
/// Updates are published at the first hub.
async fn run(hubs: &[Hub], updates: &[Update], readers: &[Reader]) -> Result<usize, TestCaseError> {
    static CASES: AtomicUsize = AtomicUsize::new(0);
    let base = format!(
        "https://example.com/{}",
        CASES.fetch_add(1, Ordering::Relaxed)
    );
    let mut publisher = hubs[0].publisher().keep().await;
    let mut ids = vec![
        publisher
            .publish(&[("topic", &format!("{base}/start")), ("private", "")])
            .await,
    ];
    let mut streams: Vec<(&Reader, EventStream)> = Vec::new();
    let mut behind = 0;
    for published in 0..=updates.len() {
        for reader in readers.iter().filter(|reader| reader.joins == published) {
            let stream = connect(reader.hub(hubs), reader, &base, &ids).await;
            streams.push((reader, stream));
        }
        let Some(update) = updates.get(published) else {
            break;
        };
        let topics: Vec<_> = update
            .topics
            .iter()
            .map(|&topic| format!("{base}/{}", TOPICS[topic]))
            .collect();
        let mut fields: Vec<_> = topics
            .iter()
            .map(|topic| ("topic", topic.as_str()))
            .collect();
        if update.private {
            fields.push(("private", "on"));
        }
        let filler = "x".repeat(if update.times > 1 { BURST_BYTES } else { 0 });
        let mut last = String::new();
        for time in 0..update.times {
            let data = format!("{} {filler}", name(published, time));
            let mut fields = fields.clone();
            fields.push(("data", &data));
            last = publisher.publish(&fields).await;
        }
        ids.push(last);
        behind += overflown(hubs, &streams, update);
    }
    publisher
        .publish(&[("topic", &format!("{base}/end")), ("data", "end")])
        .await;
    for (reader, mut stream) in streams {
        let data = stream.until("end").await;
        let seen: Vec<_> = data
            .iter()
            .map(|data| data.split(' ').next().unwrap_or_default())
            .collect();
        prop_assert_eq!(seen, reader.expected(updates), "{:?}", reader);
    }
    Ok(behind)
}

/// Hubs with this transport, each in another home.
fn hubs<const N: usize>(transport: &str) -> [Hub; N] {
    let directives = format!("anonymous\ndispatch_timeout 0s\ntransport {transport}");
    std::array::from_fn(|_| Hub::start(&directives))
}

/// 200 cases under `./test --full`, else a `few`.
fn delivery_is_the_naive_predicate(hubs: &[Hub], few: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let config = Config {
        cases: count(200, few),
        failure_persistence: None,
        ..Config::default()
    };
    let behind = AtomicUsize::new(0);
    TestRunner::new(config)
        .run(&case(), |(updates, readers)| {
            let seen = runtime.block_on(run(hubs, &updates, &readers))?;
            behind.fetch_add(seen, Ordering::Relaxed);
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    let behind = behind.into_inner();
    println!("predicate: {behind} readers were behind what the hub holds for them");
    assert!(behind > 0, "no reader was provably behind");
}

#[test]
fn delivery_from_memory() {
    let hubs = hubs::<1>(&format!("memory {{\nmax_bytes {RING}\n}}"));
    delivery_is_the_naive_predicate(&hubs, 20);
}

#[test]
fn delivery_from_a_history() {
    let hubs = hubs::<1>("bolt {\nring_bytes 64KiB\nsync never\n}");
    delivery_is_the_naive_predicate(&hubs, 10);
}

#[test]
fn delivery_from_shared_logs() {
    for program in Program::ALL {
        println!("predicate: {program:?}");
        let server = Redis::start(program);
        let address = server.address();
        let hubs = hubs::<2>(&format!(
            "redis {{\naddress {address}\nring_bytes 64KiB\n}}"
        ));
        delivery_is_the_naive_predicate(&hubs, 8);
    }
}

#[test]
fn delivery_from_databases() {
    let hubs = |address: SocketAddr| {
        hubs::<2>(&format!(
            "postgres {{\nurl postgres://postgres@{address}/postgres\nring_bytes 64KiB\n}}"
        ))
    };
    for program in Postgresql::ALL {
        println!("predicate: {program:?}");
        let server = Postgres::start(program);
        delivery_is_the_naive_predicate(&hubs(server.address()), 4);
    }
    println!("predicate: PgBouncer");
    let server = Postgres::start(Postgresql::V15);
    let pooler = PgBouncer::start(&server, &["postgres"], 20);
    delivery_is_the_naive_predicate(&hubs(pooler.address()), 4);
}

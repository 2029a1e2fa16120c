//! What a hub counts: plain numbers that a program turns into the series of its metrics.
//!
//! [`HubOptions::statistics`](crate::HubOptions::statistics) is what a hub counts in. Hubs may share one, and options that
//! keep it across [`Hub::reconfigure`](crate::Hub::reconfigure) let the numbers go on. Only clients over HTTP count, not
//! what the application publishes and subscribes to.
//!
//! ```
//! use talaria_hub::Hub;
//! use talaria_hub::access::Issuers;
//!
//! let hub = Hub::builder(Issuers::default()).build()?;
//! let counts = hub.statistics().counts();
//! let open: u64 = counts.streams.iter().map(|streams| streams.open).sum();
//! assert_eq!((open, counts.refusals["no_token"]), (0, 0));
//! # Ok::<(), talaria_hub::BuildError>(())
//! ```

mod busiest;
mod parting;
mod reasons;
mod recent;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Version;
use talaria_protocol::Generation;
use talaria_transport::measures::{Counter, NANOSECONDS, TIMES};
pub use talaria_transport::measures::{Distribution, Histogram};

pub use self::busiest::{Busiest, BusyTopic, BusyTopics};
pub use self::parting::{Departure, Parting};
pub use self::reasons::REASONS;
pub use self::recent::{RecentRefusal, RecentRefusals};

/// Bounds of the time that a stream was open, in nanoseconds: from a second to a day.
const LIVES: &[u64] = &[
    1_000_000_000,
    10_000_000_000,
    60_000_000_000,
    300_000_000_000,
    600_000_000_000,
    1_800_000_000_000,
    3_600_000_000_000,
    21_600_000_000_000,
    86_400_000_000_000,
];
/// Bounds of how many updates lie between the position that a client resumes from and the newest one.
const DEPTHS: &[u64] = &[0, 1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];

/// The version of HTTP of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
    Http3,
}

impl Protocol {
    const ALL: [Self; 3] = [Self::Http1, Self::Http2, Self::Http3];

    pub(crate) fn of(version: Version) -> Self {
        match version {
            Version::HTTP_2 => Self::Http2,
            Version::HTTP_3 => Self::Http3,
            _ => Self::Http1,
        }
    }

    /// Its name in logs and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
            Self::Http3 => "HTTP/3",
        }
    }
}

/// The generations, in the order in which they are counted.
const GENERATIONS: [Generation; 2] = [Generation::V0, Generation::V1];

/// The name of a generation in logs and metrics.
pub(crate) fn name_of(generation: Generation) -> &'static str {
    match generation {
        Generation::V0 => "0.x",
        Generation::V1 => "1.0",
    }
}

/// What became of the position from which a client wants to resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replay {
    /// The log has it.
    Found,
    /// The log lost it in a crash, and resumes from the end of its last run before that.
    Past,
    /// The client asked for everything, or the update was deleted: everything that is kept is sent.
    Earliest,
    /// The log does not know it.
    Unknown,
    /// The log cannot be read now.
    Unavailable,
}

impl Replay {
    const ALL: [Self; 5] = [
        Self::Found,
        Self::Past,
        Self::Earliest,
        Self::Unknown,
        Self::Unavailable,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Past => "past",
            Self::Earliest => "earliest",
            Self::Unknown => "unknown",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What a hub has counted since the program started.
#[derive(Debug)]
pub struct Statistics {
    published: [AtomicU64; Protocol::ALL.len()],
    publish_time: Histogram,
    opened: [[AtomicU64; GENERATIONS.len()]; Protocol::ALL.len()],
    closed: [[AtomicU64; GENERATIONS.len()]; Protocol::ALL.len()],
    departures: [AtomicU64; Departure::ALL.len()],
    stream_time: Histogram,
    delivered: [Counter; Protocol::ALL.len()],
    delivered_bytes: [Counter; Protocol::ALL.len()],
    delivery_time: Histogram,
    replays: [AtomicU64; Replay::ALL.len()],
    replay_depth: Histogram,
    /// By reason.
    refusals: Mutex<BTreeMap<&'static str, u64>>,
    /// By the directive of the limit.
    exceeded: Mutex<BTreeMap<String, u64>>,
    recent: RecentRefusals,
    busiest: Busiest,
}

impl Default for Statistics {
    fn default() -> Self {
        Self {
            published: Default::default(),
            publish_time: Histogram::new(TIMES, NANOSECONDS),
            opened: Default::default(),
            closed: Default::default(),
            departures: Default::default(),
            stream_time: Histogram::new(LIVES, NANOSECONDS),
            delivered: Default::default(),
            delivered_bytes: Default::default(),
            delivery_time: Histogram::new(TIMES, NANOSECONDS),
            replays: Default::default(),
            replay_depth: Histogram::new(DEPTHS, 1.0),
            refusals: Mutex::new(REASONS.iter().map(|reason| (*reason, 0)).collect()),
            exceeded: Mutex::default(),
            recent: RecentRefusals::new(),
            busiest: Busiest::default(),
        }
    }
}

/// The numbers of a moment. They are read one after the other, so that one may be newer than another.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Counts {
    /// The updates that were acknowledged, by version of HTTP.
    pub published: Vec<(&'static str, u64)>,
    /// From the head of a publish to its acknowledgement, in seconds.
    pub publish_time: Distribution,
    /// The streams, by version of HTTP and generation of the protocol.
    pub streams: Vec<StreamCount>,
    /// The streams that have ended, by [`Departure::code`].
    pub departures: Vec<(&'static str, u64)>,
    /// How long the streams that have ended were open, in seconds.
    pub stream_time: Distribution,
    /// The updates that were handed to connections, by version of HTTP.
    pub delivered: Vec<(&'static str, u64)>,
    /// Their bytes.
    pub delivered_bytes: Vec<(&'static str, u64)>,
    /// From the moment at which an update became visible to that at which it was handed to a connection, in seconds:
    /// one observation for each chunk, of its oldest update. Replayed updates do not count.
    pub delivery_time: Distribution,
    /// The streams that were to resume, by what became of that.
    pub replays: Vec<(&'static str, u64)>,
    /// How many updates lay between the position of such a stream and the newest one.
    pub replay_depth: Distribution,
    /// The requests that were refused, by reason. A request for several updates counts each of them.
    pub refusals: BTreeMap<&'static str, u64>,
    /// The requests that a limit refused, by the directive that sets it.
    pub exceeded: BTreeMap<String, u64>,
}

/// The streams of one version of HTTP and one generation of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamCount {
    /// The version of HTTP.
    pub protocol: &'static str,
    /// The generation of the protocol.
    pub generation: &'static str,
    /// The streams that were opened.
    pub opened: u64,
    /// Those that are open.
    pub open: u64,
}

impl Statistics {
    /// The numbers of this moment.
    pub fn counts(&self) -> Counts {
        let named = |counters: &[AtomicU64], names: &[&'static str]| -> Vec<(&'static str, u64)> {
            let values = counters
                .iter()
                .map(|counter| counter.load(Ordering::Relaxed));
            names.iter().copied().zip(values).collect()
        };
        let protocols = Protocol::ALL.map(Protocol::name);
        let sharded = |counters: &[Counter]| -> Vec<(&'static str, u64)> {
            let values = counters.iter().map(Counter::value);
            protocols.iter().copied().zip(values).collect()
        };
        Counts {
            published: named(&self.published, &protocols),
            publish_time: self.publish_time.read(),
            streams: self.streams(),
            departures: named(&self.departures, &Departure::ALL.map(Departure::code)),
            stream_time: self.stream_time.read(),
            delivered: sharded(&self.delivered),
            delivered_bytes: sharded(&self.delivered_bytes),
            delivery_time: self.delivery_time.read(),
            replays: named(&self.replays, &Replay::ALL.map(Replay::name)),
            replay_depth: self.replay_depth.read(),
            refusals: lock(&self.refusals).clone(),
            exceeded: lock(&self.exceeded).clone(),
        }
    }

    fn streams(&self) -> Vec<StreamCount> {
        let mut streams = Vec::new();
        for ((protocol, opened), closed) in Protocol::ALL.iter().zip(&self.opened).zip(&self.closed)
        {
            for ((generation, opened), closed) in GENERATIONS.iter().zip(opened).zip(closed) {
                // Read first, so that no stream seems to have ended that was not opened.
                let closed = closed.load(Ordering::Acquire);
                let opened = opened.load(Ordering::Acquire);
                streams.push(StreamCount {
                    protocol: protocol.name(),
                    generation: name_of(*generation),
                    opened,
                    open: opened.saturating_sub(closed),
                });
            }
        }
        streams
    }

    /// The last refusals.
    pub fn recent_refusals(&self) -> &RecentRefusals {
        &self.recent
    }

    /// The topics that were published to most, which hubs with
    /// [`HubOptions::busiest_topics`](crate::HubOptions::busiest_topics) count.
    pub fn busiest(&self) -> &Busiest {
        &self.busiest
    }

    /// Counts updates that were acknowledged `took` after their request began.
    pub(crate) fn published(&self, protocol: Protocol, updates: usize, took: Duration) {
        add(&self.published[protocol as usize], updates as u64);
        self.publish_time.observe(nanoseconds(took));
    }

    pub(crate) fn opened(&self, protocol: Protocol, generation: Generation) {
        self.opened[protocol as usize][generation as usize].fetch_add(1, Ordering::Release);
    }

    pub(crate) fn closed(
        &self,
        (protocol, generation): (Protocol, Generation),
        departure: Departure,
        lasted: Duration,
    ) {
        self.closed[protocol as usize][generation as usize].fetch_add(1, Ordering::Release);
        add(&self.departures[departure as usize], 1);
        self.stream_time.observe(nanoseconds(lasted));
    }

    /// Counts a chunk: its updates, their bytes, and how long ago its oldest update became visible.
    pub(crate) fn delivered(
        &self,
        protocol: Protocol,
        updates: usize,
        bytes: usize,
        age: Option<Duration>,
    ) {
        self.delivered[protocol as usize].add(updates as u64);
        self.delivered_bytes[protocol as usize].add(bytes as u64);
        if let Some(age) = age {
            self.delivery_time.observe(nanoseconds(age));
        }
    }

    /// Counts a stream that resumes this many updates before the newest one.
    pub(crate) fn replays(&self, replay: Replay, depth: Option<u64>) {
        add(&self.replays[replay as usize], 1);
        if let Some(depth) = depth {
            self.replay_depth.observe(depth);
        }
    }

    /// Counts a refusal for one of the [`REASONS`].
    pub(crate) fn refused(&self, reason: &'static str) {
        debug_assert!(REASONS.contains(&reason), "{reason} has no series");
        *lock(&self.refusals).entry(reason).or_default() += 1;
    }

    /// Counts a refusal by the limit of a directive.
    pub(crate) fn exceeded(&self, directive: String) {
        *lock(&self.exceeded).entry(directive).or_default() += 1;
    }
}

fn lock<T>(counts: &Mutex<T>) -> MutexGuard<'_, T> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

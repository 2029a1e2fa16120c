//! Publishers that go on whatever happens, and note what became of each update.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::StatusCode;
use talaria_conformance::client::{Client, Publisher};
use talaria_conformance::hub::PUBLISHER_KEY;
use talaria_conformance::token::{Token, exact};
use talaria_conformance::within_time;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::nodes::{AUDIENCE, Balancer};

/// How many topics there are.
pub const TOPICS: u32 = 10;
/// The number of the update that ends a test; public, on the first topic.
pub const END: u32 = u32::MAX;
/// The pause after a refusal, and before another node is tried.
const PAUSE: Duration = Duration::from_millis(20);

/// The topic of an update.
#[must_use]
pub fn topic(number: u32) -> String {
    format!("https://example.com/t/{}", place(number))
}

/// Which of the topics an update has.
#[must_use]
pub fn place(number: u32) -> u32 {
    if number == END { 0 } else { number % TOPICS }
}

/// Whether an update is private; half of them are.
#[must_use]
pub fn is_private(number: u32) -> bool {
    number != END && (number / TOPICS) % 2 == 1
}

/// A token that grants publishing everything, at every node.
#[must_use]
pub fn token() -> String {
    Token::new(AUDIENCE)
        .grant("publish", &[exact("*")])
        .sign(PUBLISHER_KEY)
}

/// What became of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored, under this id.
    Acknowledged(String),
    /// 503: it is not stored, and never will be.
    Refused,
    /// No answer came, so it may be stored or not.
    Unanswered,
}

/// An update that was sent, and what became of it.
#[derive(Debug, Clone)]
pub struct Record {
    pub number: u32,
    pub outcome: Outcome,
    pub sent: Instant,
    pub answered: Instant,
}

/// How many updates had which outcome.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    pub acknowledged: usize,
    pub refused: usize,
    pub unanswered: usize,
    /// When the newest of the acknowledged updates was sent.
    pub newest: Option<Instant>,
}

/// Publishers under way.
pub struct Publishers {
    stop: watch::Sender<bool>,
    tally: Arc<watch::Sender<Tally>>,
    tasks: JoinSet<Vec<Record>>,
}

impl Publishers {
    /// This many, that publish at the nodes in turn until they are stopped, or `most` updates are sent in all. Each
    /// pauses between two updates.
    #[must_use]
    pub fn start(balancer: &Balancer, count: usize, pause: Duration, most: u32) -> Self {
        let stop = watch::Sender::new(false);
        let tally = Arc::new(watch::Sender::new(Tally::default()));
        let next = Arc::new(AtomicU32::new(0));
        let mut tasks = JoinSet::new();
        for turn in 0..count {
            let one = One {
                balancer: balancer.clone(),
                token: token(),
                turn,
                connection: None,
            };
            let (next, tally, stop) = (Arc::clone(&next), Arc::clone(&tally), stop.subscribe());
            tasks.spawn(one.publish(next, most, pause, tally, stop));
        }
        Self { stop, tally, tasks }
    }

    /// What became of the updates so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        *self.tally.borrow()
    }

    /// Waits until it is so.
    ///
    /// # Panics
    /// It is not so within `limit`.
    pub async fn until(&self, what: &str, limit: Duration, is_so: impl FnMut(&Tally) -> bool) {
        let mut tally = self.tally.subscribe();
        let waiting = async { tally.wait_for(is_so).await.map(|_| ()) };
        within_time(limit, what, waiting)
            .await
            .expect("they publish");
    }

    /// Waits until this many more are acknowledged.
    pub async fn until_more(&self, count: usize, limit: Duration) {
        let enough = self.tally().acknowledged + count;
        let what = format!("{enough} acknowledgements");
        self.until(&what, limit, |tally| tally.acknowledged >= enough)
            .await;
    }

    /// Waits until an update is acknowledged that was sent from now on, and returns when it was sent.
    pub async fn until_acknowledged(&self, limit: Duration) -> Instant {
        let now = Instant::now();
        let is_newer = |tally: &Tally| tally.newest.is_some_and(|newest| newest > now);
        self.until("an acknowledgement", limit, is_newer).await;
        self.tally().newest.expect("there is one")
    }

    /// Waits until all updates are sent and answered, and returns what became of them.
    pub async fn finish(mut self, limit: Duration) -> Vec<Record> {
        let mut records = Vec::new();
        while let Some(part) = within_time(limit, "the publishers", self.tasks.join_next()).await {
            records.extend(part.expect("a publisher ends"));
        }
        records.sort_by_key(|record| record.number);
        records
    }

    /// Stops them, and returns what became of the updates.
    pub async fn stop(self) -> Vec<Record> {
        self.stop.send_replace(true);
        self.finish(Duration::from_secs(30)).await
    }
}

/// A publisher that goes to the next node when its connection breaks.
struct One {
    balancer: Balancer,
    token: String,
    turn: usize,
    connection: Option<Publisher>,
}

impl One {
    async fn publish(
        mut self,
        next: Arc<AtomicU32>,
        most: u32,
        pause: Duration,
        tally: Arc<watch::Sender<Tally>>,
        stop: watch::Receiver<bool>,
    ) -> Vec<Record> {
        let mut records = Vec::new();
        while !*stop.borrow() {
            // A connection comes first, so that only what was sent counts as unanswered.
            if !self.connect().await {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= most {
                break;
            }
            let sent = Instant::now();
            let outcome = self.send(number).await;
            let refused = outcome == Outcome::Refused;
            tally.send_modify(|tally| match &outcome {
                Outcome::Acknowledged(_) => {
                    tally.acknowledged += 1;
                    tally.newest = tally.newest.max(Some(sent));
                }
                Outcome::Refused => tally.refused += 1,
                Outcome::Unanswered => tally.unanswered += 1,
            });
            records.push(Record {
                number,
                outcome,
                sent,
                answered: Instant::now(),
            });
            let pause = if refused { pause.max(PAUSE) } else { pause };
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
        records
    }

    async fn connect(&mut self) -> bool {
        if !self.connection.as_ref().is_some_and(Publisher::is_open) {
            self.turn += 1;
            let Some(address) = self.balancer.pick(self.turn) else {
                return false;
            };
            let client = Client::new(address, &address.to_string()).bearer(&self.token);
            self.connection = client.try_keep().await.ok();
        }
        self.connection.is_some()
    }

    async fn send(&mut self, number: u32) -> Outcome {
        let Some(connection) = &mut self.connection else {
            return Outcome::Unanswered;
        };
        let (topic, data) = (topic(number), number.to_string());
        let mut fields = vec![("topic", &*topic), ("data", &*data)];
        if is_private(number) {
            fields.push(("private", "on"));
        }
        let Some(answer) = connection.try_send(&fields).await else {
            self.connection = None;
            return Outcome::Unanswered;
        };
        if answer.header("connection") == "close" {
            self.connection = None;
        }
        match answer.status {
            StatusCode::OK => Outcome::Acknowledged(answer.text),
            StatusCode::SERVICE_UNAVAILABLE => {
                assert_ne!(answer.header("retry-after"), "", "{}", answer.text);
                Outcome::Refused
            }
            status => panic!("{status} to update {number}: {}", answer.text),
        }
    }
}

/// Publishes the update that ends a test, at any node, and waits until it is acknowledged.
pub async fn end(balancer: &Balancer) {
    let mut one = One {
        balancer: balancer.clone(),
        token: token(),
        turn: 0,
        connection: None,
    };
    let acknowledged = async {
        loop {
            if one.connect().await
                && let Outcome::Acknowledged(_) = one.send(END).await
            {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    within_time(Duration::from_secs(60), "the last update", acknowledged).await;
}

//! Subscribers that come back at another node whenever their stream ends.

use std::time::Duration;

use talaria_conformance::client::Client;
use talaria_conformance::hub::SUBSCRIBER_KEY;
use talaria_conformance::token::{Matcher, Token, exact, pattern};
use talaria_conformance::within_time;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::nodes::{AUDIENCE, Balancer};
use crate::publishers::{END, TOPICS, is_private, place, topic};

/// The pause before another node is tried.
const PAUSE: Duration = Duration::from_millis(50);

/// Which private updates a subscriber may read; it may read all public ones.
#[derive(Debug, Clone)]
pub enum Grant {
    All,
    /// Those of these topics.
    Topics(Vec<u32>),
}

impl Grant {
    /// Differs between subscribers: two of the topics, or none for some.
    #[must_use]
    pub fn nth(number: u32) -> Self {
        match number % (TOPICS + 1) {
            TOPICS => Self::Topics(Vec::new()),
            first => Self::Topics(vec![first, (first + 3) % TOPICS]),
        }
    }

    /// Whether it admits an update.
    #[must_use]
    pub fn admits(&self, number: u32) -> bool {
        match self {
            Self::All => true,
            Self::Topics(topics) => !is_private(number) || topics.contains(&place(number)),
        }
    }

    fn token(&self) -> String {
        let matchers: Vec<Matcher> = match self {
            Self::All => vec![exact("*")],
            Self::Topics(topics) => topics.iter().map(|place| exact(topic(*place))).collect(),
        };
        Token::new(AUDIENCE)
            .grant("subscribe", &matchers)
            .sign(SUBSCRIBER_KEY)
    }
}

/// What a subscriber has received.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The numbers of the updates.
    pub numbers: Vec<u32>,
    /// Their ids, if the subscriber notes them.
    pub ids: Vec<String>,
    /// How often it subscribed.
    pub connections: usize,
}

/// A subscriber of all topics; dropping it hangs up.
pub struct Reader {
    pub grant: Grant,
    seen: watch::Receiver<Seen>,
    task: JoinHandle<()>,
}

impl Reader {
    /// One that begins after `cursor`. `turn` says at which node.
    #[must_use]
    pub fn start(balancer: &Balancer, turn: usize, grant: Grant, cursor: &str) -> Self {
        let (sender, seen) = watch::channel(Seen::default());
        let follower = Follower {
            balancer: balancer.clone(),
            turn,
            token: grant.token(),
            cursor: cursor.to_owned(),
            notes_ids: matches!(grant, Grant::All),
            seen: sender,
        };
        let task = tokio::spawn(follower.follow());
        Self { grant, seen, task }
    }

    /// This many, each with its own grant, after one that may read everything.
    #[must_use]
    pub fn several(balancer: &Balancer, count: u32, cursor: &str) -> Vec<Self> {
        let grants = std::iter::once(Grant::All).chain((0..count).map(Grant::nth));
        let readers = grants.enumerate();
        readers
            .map(|(turn, grant)| Self::start(balancer, turn, grant, cursor))
            .collect()
    }

    /// What it has received so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits until it is so.
    ///
    /// # Panics
    /// It is not so within `limit`.
    pub async fn until(&self, what: &str, limit: Duration, is_so: impl FnMut(&Seen) -> bool) {
        let mut seen = self.seen.clone();
        let waiting = async { seen.wait_for(is_so).await.map(|_| ()) };
        match tokio::time::timeout(limit, waiting).await {
            Ok(waited) => waited.expect("it reads"),
            Err(_) => {
                let seen = self.seen.borrow();
                let (count, last) = (seen.numbers.len(), seen.numbers.last());
                panic!(
                    "waited {limit:?} in vain for {what}: {count} updates, the last one {last:?}, {} connections",
                    seen.connections
                );
            }
        }
    }

    /// Waits until it has subscribed.
    pub async fn connected(&self) {
        let limit = Duration::from_secs(60);
        self.until("a subscription", limit, |seen| seen.connections > 0)
            .await;
    }

    /// Waits for the update that ends a test.
    pub async fn ended(&self, limit: Duration) {
        let has_ended = |seen: &Seen| seen.numbers.last() == Some(&END);
        self.until("the last update", limit, has_ended).await;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Follower {
    balancer: Balancer,
    turn: usize,
    token: String,
    cursor: String,
    notes_ids: bool,
    seen: watch::Sender<Seen>,
}

impl Follower {
    async fn follow(mut self) {
        loop {
            self.read().await;
            self.turn += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Reads until the stream ends.
    async fn read(&mut self) {
        let Some(address) = self.balancer.pick(self.turn) else {
            return;
        };
        let client = Client::new(address, &address.to_string())
            .bearer(&self.token)
            .last_event_id(&self.cursor);
        let matchers = [pattern("https://example.com/t/:n")];
        let Some(mut stream) = client.try_subscribe(&matchers).await else {
            return;
        };
        self.seen.send_modify(|seen| seen.connections += 1);
        while let Ok(Some(event)) = stream.try_event().await {
            let number = event.data.parse().expect("a number");
            self.cursor.clone_from(&event.id);
            self.seen.send_modify(|seen| {
                seen.numbers.push(number);
                if self.notes_ids {
                    seen.ids.push(event.id);
                }
            });
        }
    }
}

/// Waits until all have subscribed.
pub async fn connected(readers: &[Reader]) {
    for reader in readers {
        reader.connected().await;
    }
}

/// Waits until all have received the update that ends a test.
pub async fn ended(readers: &[Reader], limit: Duration) {
    let all = async {
        for reader in readers {
            reader.ended(limit).await;
        }
    };
    within_time(limit, "every subscriber's end", all).await;
}

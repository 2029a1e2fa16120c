//! What one measurement does: the load, its topics and its tokens.

use std::fmt;

use super::args::{LoadArgs, Topics};
use crate::clock;
use crate::error::Problem;
use crate::http::target::Target;
use crate::keys::Keys;
use crate::token::Mint;

/// What the subscribers and publishers of one measurement share.
#[derive(Clone)]
pub(crate) struct Plan {
    /// The hub.
    pub(crate) target: Target,
    /// The load.
    pub(crate) load: LoadArgs,
    /// Whether updates are private.
    pub(crate) private: bool,
    /// Whether a subscriber whose stream ends comes back with its `Last-Event-ID`, as browsers do.
    pub(crate) reconnects: bool,
    /// The publishers' token, if any.
    pub(crate) publisher_token: Option<String>,
    /// Each subscriber's token; empty when they have none.
    subscriber_tokens: Vec<String>,
    /// Begins every topic. It differs between runs, so that nothing left over from another run counts.
    prefix: String,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("target", &self.target)
            .field("load", &self.load)
            .field("private", &self.private)
            .field("reconnects", &self.reconnects)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl Plan {
    /// A plan without tokens.
    pub(crate) fn new(target: Target, load: LoadArgs) -> Self {
        Self {
            target,
            load,
            private: false,
            reconnects: false,
            publisher_token: None,
            subscriber_tokens: Vec::new(),
            prefix: format!("https://bench.example/{:x}", clock::now_ns()),
        }
    }

    /// Mints the publishers' token and one token for each subscriber, which grants its topic only.
    ///
    /// # Errors
    /// When a secret cannot sign.
    pub(crate) fn with_tokens(mut self, mint: &Mint, keys: &Keys) -> Result<Self, Problem> {
        let publisher = mint.token(&keys.publisher, "publish", &["*"], "bench-publisher")?;
        self.publisher_token = Some(publisher);
        self.subscriber_tokens = (0..self.load.subscribers)
            .map(|subscriber| {
                let topic = self.topic(subscriber);
                let id = format!("bench-subscriber-{subscriber}");
                mint.token(&keys.subscriber, "subscribe", &[&topic], &id)
            })
            .collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// The topic that a subscriber subscribes to.
    pub(crate) fn topic(&self, subscriber: usize) -> String {
        match self.load.topics {
            Topics::One => format!("{}/all", self.prefix),
            Topics::Own => format!("{}/{subscriber}", self.prefix),
        }
    }

    /// A subscriber's request, which resumes after an id unless that is empty.
    pub(crate) fn subscribe(&self, subscriber: usize, last_event_id: &str) -> Vec<u8> {
        let token = self.subscriber_tokens.get(subscriber).map(String::as_str);
        self.target
            .subscribe(&self.topic(subscriber), last_event_id, token)
    }

    /// Makes the topics longer, by a path of letters.
    pub(crate) fn lengthen(&mut self, path: &str) {
        self.prefix.push_str(path);
    }

    /// How many subscribers receive each update.
    pub(crate) fn fan_out(&self) -> u64 {
        match self.load.topics {
            Topics::One => self.load.subscribers as u64,
            Topics::Own => 1,
        }
    }

    /// The subscribers whose topics a publisher publishes to, in turn. Unless all share one topic, each topic has
    /// one publisher, so that its order is known.
    pub(crate) fn audience(&self, publisher: usize) -> Vec<usize> {
        match self.load.topics {
            Topics::One => vec![0],
            Topics::Own => (publisher..self.load.subscribers)
                .step_by(self.load.publishers)
                .collect(),
        }
    }

    /// How many of the `sent` updates of a publisher a subscriber should have received.
    pub(crate) fn due(&self, subscriber: usize, publisher: usize, sent: u64) -> u64 {
        if self.load.topics == Topics::One {
            return sent;
        }
        let publishers = self.load.publishers;
        if subscriber % publishers != publisher {
            return 0;
        }
        let turn = (subscriber / publishers) as u64;
        let turns = ((self.load.subscribers - publisher).div_ceil(publishers)) as u64;
        sent.saturating_sub(turn).div_ceil(turns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a subscriber is due follows from who publishes to whom in turn.
    #[test]
    fn dues_add_up_to_what_was_sent() {
        let load = LoadArgs {
            subscribers: 7,
            publishers: 3,
            topics: Topics::Own,
            ..LoadArgs::default()
        };
        let target = Target::parse("http://127.0.0.1:1/").unwrap();
        let plan = Plan::new(target, load);
        for publisher in 0..3 {
            let audience = plan.audience(publisher);
            for sent in 0..20_u64 {
                let mut naive = [0; 7];
                for n in 0..sent {
                    naive[audience[n as usize % audience.len()]] += 1;
                }
                let due = std::array::from_fn(|subscriber| plan.due(subscriber, publisher, sent));
                assert_eq!(naive, due);
            }
        }
    }
}

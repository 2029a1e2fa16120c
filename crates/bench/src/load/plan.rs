//! What one measurement does: the load, its topics and its tokens.

use crate::args::{LoadArgs, Topics};
use crate::clock;
use crate::http::target::Target;
use crate::token::Mint;

/// Everything that subscribers and publishers of one measurement share.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The hub.
    pub target: Target,
    /// The load.
    pub load: LoadArgs,
    /// Whether updates are private.
    pub private: bool,
    /// Whether a subscriber whose stream ends comes back with its `Last-Event-ID`, as browsers do.
    pub reconnects: bool,
    /// The publishers' token, if any.
    pub publisher_token: Option<String>,
    /// Each subscriber's token; empty when they have none.
    subscriber_tokens: Vec<String>,
    /// Makes the topics of each run its own, so that nothing left over from another counts.
    prefix: String,
}

/// The secrets that tokens are signed with.
pub struct Keys {
    /// Signs the publishers' token.
    pub publisher: Vec<u8>,
    /// Signs the subscribers' tokens.
    pub subscriber: Vec<u8>,
}

impl Plan {
    /// A plan without tokens.
    pub fn new(target: Target, load: LoadArgs) -> Self {
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
    pub fn with_tokens(mut self, mint: &Mint, keys: &Keys) -> Result<Self, String> {
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
    pub fn topic(&self, subscriber: usize) -> String {
        match self.load.topics {
            Topics::One => format!("{}/all", self.prefix),
            Topics::Own => format!("{}/{subscriber}", self.prefix),
        }
    }

    /// A subscriber's request, which resumes after an id unless that is empty.
    pub fn subscribe(&self, subscriber: usize, last_event_id: &str) -> Vec<u8> {
        let token = self.subscriber_tokens.get(subscriber).map(String::as_str);
        self.target
            .subscribe(&self.topic(subscriber), last_event_id, token)
    }

    /// Makes the topics longer, by a path of letters.
    pub fn lengthen(&mut self, path: &str) {
        self.prefix.push_str(path);
    }

    /// How many subscribers get each update.
    pub fn fan_out(&self) -> u64 {
        match self.load.topics {
            Topics::One => self.load.subscribers as u64,
            Topics::Own => 1,
        }
    }

    /// The subscribers whose topics a publisher publishes to, in turn. A topic has one publisher
    /// unless all share it, so that its order is known.
    pub fn audience(&self, publisher: usize) -> Vec<usize> {
        match self.load.topics {
            Topics::One => vec![0],
            Topics::Own => (publisher..self.load.subscribers)
                .step_by(self.load.publishers)
                .collect(),
        }
    }

    /// How many updates of a publisher, which sent so many, a subscriber should have got.
    pub fn due(&self, subscriber: usize, publisher: usize, sent: u64) -> u64 {
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

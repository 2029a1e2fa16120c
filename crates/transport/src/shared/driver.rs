//! Sends what waits to the server, one batch after the other.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::backend::{Backend, BackendError, Batch, Member, Settled};
use super::contact::Part;
use super::ledger::Owed;
use super::node::{FailOnPanic, Node};

/// The most bytes of a batch, unless updates that joined at once have more. As an update counts for more than 512
/// bytes, that is fewer than 1,000 of them.
const BATCH_BYTES: usize = 512 << 10;
/// How often the answers whose time is over are dropped.
const EXPIRY: Duration = Duration::from_millis(100);
const TOO_LATE: &str = "the server of the log did not store the update in time";

/// Sends batches until the node is closed and nothing waits.
pub(super) async fn drive<B: Backend>(node: &Node<B>) {
    let _fail = FailOnPanic(node);
    let mut driver = Driver {
        node,
        member: node.member().await,
        number: 1,
    };
    loop {
        while !node.ledger.has_room() {
            node.ledger.room.notified().await;
        }
        let group = node.queue().take_group(BATCH_BYTES, None);
        match group {
            Some(group) => {
                driver
                    .store(group.into_iter().map(Owed::from).collect())
                    .await
            }
            None => node.queued.notified().await,
        }
    }
}

struct Driver<'a, B> {
    node: &'a Node<B>,
    member: Member,
    /// The number of the next batch.
    number: u64,
}

/// What an attempt to store a batch came to.
enum Attempt {
    /// It is stored, or no publisher waits for it any more.
    Over,
    /// It is not stored and never will be, for this reason.
    Not(&'static str, Vec<Owed>),
}

impl<B: Backend> Driver<'_, B> {
    /// Stores the updates, or refuses those whose time is over.
    async fn store(&mut self, mut owed: Vec<Owed>) {
        let node = self.node;
        let mut backoff = node.backoff();
        while !owed.is_empty() {
            let reason = match self.attempt(owed).await {
                Attempt::Over => return,
                Attempt::Not(reason, back) => {
                    owed = back;
                    reason
                }
            };
            let pause = backoff.next();
            let now = Instant::now() + pause;
            let late = owed.extract_if(.., |owed| owed.note.deadline <= now);
            for owed in late {
                node.measures.refused.add(1);
                owed.refuse(reason);
            }
            if !owed.is_empty() {
                sleep(pause).await;
            }
        }
    }

    async fn attempt(&mut self, owed: Vec<Owed>) -> Attempt {
        let node = self.node;
        let member = node.member().await;
        if member != self.member {
            (self.member, self.number) = (member, 1);
        }
        let batch = Batch {
            member,
            number: self.number,
            after: node.place().head,
            entries: owed.iter().map(Owed::entry).collect(),
        };
        node.ledger.enter(member, self.number, owed);
        // Between two attempts neither queue nor ledger has them.
        node.owing.notify_one();
        let begun = Instant::now();
        let error = match node.backend.append(&batch).await {
            Ok(outcomes) => {
                node.measures.appended(begun.elapsed(), outcomes.len());
                node.contact.works(Part::Writes);
                node.ledger.resolve(member, self.number, outcomes);
                self.number += 1;
                return Attempt::Over;
            }
            Err(error) => error,
        };
        node.contact.fails(Part::Writes, &error);
        node.beat_now.notify_one();
        match error {
            BackendError::Refusing(reason) => self.not_stored(reason),
            BackendError::NoMember | BackendError::NoLog => {
                let attempt = self.not_stored("this node enters the log again");
                self.enter_again(&attempt).await;
                attempt
            }
            BackendError::Fatal { .. } => {
                self.not_stored("the server of the log does not permit this node to write")
            }
            BackendError::Away(_) | BackendError::NotDurable | BackendError::OutOfOrder => {
                self.settle().await
            }
        }
    }

    fn not_stored(&self, reason: &'static str) -> Attempt {
        let back = self.node.ledger.take_back(self.member, self.number);
        Attempt::Not(reason, back)
    }

    /// Enters the log again, within the time of those that wait. The next attempt tells whether it has.
    async fn enter_again(&self, attempt: &Attempt) {
        let Attempt::Not(_, owed) = attempt else {
            return;
        };
        let earliest = owed.iter().map(|owed| owed.note.deadline).min();
        let earliest = earliest.unwrap_or_else(|| Instant::now() + EXPIRY);
        _ = timeout_at(earliest, self.node.enter_again(self.member)).await;
    }

    /// Asks what became of the batch until that is known. Its publishers are answered, or not, meanwhile.
    async fn settle(&mut self) -> Attempt {
        let node = self.node;
        let mut backoff = node.backoff();
        loop {
            if node.ledger.is_seen(self.member, self.number) {
                self.number += 1;
                return Attempt::Over;
            }
            let reason = TOO_LATE;
            match node.backend.settle(self.member, self.number).await {
                Ok(Settled::Stored(outcomes)) => {
                    node.ledger.resolve(self.member, self.number, outcomes);
                    self.number += 1;
                    return Attempt::Over;
                }
                Ok(Settled::Partly) => {
                    // The tail answers for those that it shows. The others are unknown once their time is over.
                    node.ledger.resolve(self.member, self.number, Vec::new());
                    self.number += 1;
                    return Attempt::Over;
                }
                Ok(Settled::Never) => {
                    let attempt = self.not_stored(reason);
                    self.number += 1;
                    return attempt;
                }
                Err(BackendError::NoMember | BackendError::NoLog) => {
                    // Only a member can append, and a log that is gone has nothing.
                    let attempt = self.not_stored(reason);
                    self.enter_again(&attempt).await;
                    return attempt;
                }
                Err(error) => node.contact.fails(Part::Writes, &error),
            }
            backoff.pause().await;
        }
    }
}

/// Answers those whose time is over: what was not sent is refused, and what was sent is unknown.
pub(super) async fn expire<B: Backend>(node: &Node<B>) {
    let _fail = FailOnPanic(node);
    loop {
        if node.queue().is_empty() && node.ledger.is_empty() {
            node.owing.notified().await;
        }
        sleep(EXPIRY).await;
        let now = Instant::now();
        let late = node.queue().take_while(|note| note.deadline <= now);
        for waiting in late {
            node.measures.refused.add(1);
            Owed::from(waiting).refuse(TOO_LATE);
        }
        node.measures.unknown.add(node.ledger.expire(now) as u64);
    }
}

//! Takes over what another log held.

use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::Update;
use tokio::time::{Instant, timeout};

use super::backend::{Backend, BackendError, Batch, Condition, Entry, Member, Outcome};
use super::contact::Backoff;
use crate::Position;

/// How long a server may be away before an import gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between beats: nodes that use the log bury a member that is silent for a lease.
const BEAT: Duration = Duration::from_secs(1);

/// What an import has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// The updates that were stored.
    pub stored: u64,
    /// The updates that were left out, because the log has their ids.
    pub known: u64,
    /// Whether the server was restarted or replaced meanwhile, so that it may have lost some of them.
    pub was_interrupted: bool,
}

/// An import of another log's updates, which enters the log as a member that shows nothing.
///
/// An update whose id the log has is left out, so the same import may be repeated: it goes on where an earlier one
/// ended.
#[derive(Debug)]
pub struct Import<B> {
    backend: Arc<B>,
    member: Member,
    /// The number of the next batch.
    number: u64,
    head: Position,
    /// The time of the newest update: times never decrease.
    time: u64,
    nodes: usize,
    beaten: Instant,
    done: Imported,
}

impl<B: Backend> Import<B> {
    /// Enters the log.
    ///
    /// # Errors
    /// What the server answers, or that it does not.
    pub async fn begin(backend: Arc<B>) -> Result<Self, BackendError> {
        let member = random_member()?;
        let attached = backend.attach(member, Position::ORIGIN).await?;
        let head = attached.bounds.head;
        let newest = backend.newest(head, 1).await?;
        let beat = backend.beat(member).await?;
        Ok(Self {
            backend,
            member,
            number: 1,
            head,
            time: newest.records.last().map_or(0, |newest| newest.time),
            nodes: beat.members.len().saturating_sub(1),
            beaten: Instant::now(),
            done: Imported::default(),
        })
    }

    /// How many nodes used the log at the beginning. Their subscribers receive what is imported as new.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Appends updates in this order, each with the time at which it was stored before, in milliseconds since 1970.
    /// The caller bounds them as those of a [`Batch`]. Tries again while the server is away.
    ///
    /// # Errors
    /// What the server refuses, or that it is away for too long.
    pub async fn append(&mut self, updates: Vec<(Update, u64)>) -> Result<(), BackendError> {
        if self.beaten.elapsed() >= BEAT {
            self.beaten = Instant::now();
            // The append tells what is wrong.
            _ = self.backend.beat(self.member).await;
        }
        let entries = updates.into_iter().map(|(update, time)| {
            self.time = self.time.max(time);
            let condition = Condition::Imported(self.time);
            Entry { update, condition }
        });
        let mut batch = Batch {
            entries: entries.collect(),
            member: self.member,
            number: self.number,
            after: self.head,
        };
        for outcome in self.store(&mut batch).await? {
            match outcome {
                Outcome::Stored(position) => self.pass(position),
                Outcome::Repeated(_) | Outcome::Ended => self.done.known += 1,
            }
        }
        self.number += 1;
        Ok(())
    }

    /// Stores a batch. Its number and its ids keep it from being stored twice.
    async fn store(&mut self, batch: &mut Batch) -> Result<Vec<Outcome>, BackendError> {
        let mut patience = Patience::new(self.time);
        loop {
            match self.backend.append(batch).await {
                Ok(outcomes) => return Ok(outcomes),
                Err(BackendError::NoMember | BackendError::OutOfOrder) => {
                    // An older copy of the log has taken the place of this one, or nodes have buried the import.
                    self.done.was_interrupted = true;
                    let member = random_member()?;
                    match self.backend.attach(member, self.head).await {
                        Ok(_) => (self.member, self.number) = (member, 1),
                        Err(error) => patience.pause(error).await?,
                    }
                    (batch.member, batch.number) = (self.member, self.number);
                }
                Err(error) => patience.pause(error).await?,
            }
        }
    }

    fn pass(&mut self, position: Position) {
        let is_other_run = position.0 >> 32 != self.head.0 >> 32;
        self.done.was_interrupted |= self.done.stored > 0 && is_other_run;
        self.done.stored += 1;
        self.head = position;
    }

    /// Waits until everything is as durable as configured, and leaves the log.
    ///
    /// # Errors
    /// What the server refuses, or that it is away for too long.
    pub async fn end(self) -> Result<Imported, BackendError> {
        if self.done.stored > 0 {
            self.wait_for_durability().await?;
        }
        // The log notices by itself that a member is gone.
        _ = timeout(PATIENCE, self.backend.leave(self.member)).await;
        Ok(self.done)
    }

    async fn wait_for_durability(&self) -> Result<(), BackendError> {
        let mut patience = Patience::new(self.time);
        loop {
            // The tail returns nothing that is not durable yet.
            match self.backend.tail(Position(self.head.0 - 1)).await {
                Ok(_) => return Ok(()),
                Err(error) => patience.pause(error).await?,
            }
        }
    }
}

/// How long to try again.
struct Patience {
    until: Instant,
    backoff: Backoff,
}

impl Patience {
    fn new(seed: u64) -> Self {
        Self {
            until: Instant::now() + PATIENCE,
            backoff: Backoff::new(seed),
        }
    }

    async fn pause(&mut self, error: BackendError) -> Result<(), BackendError> {
        let may_pass = matches!(
            error,
            BackendError::Away(_) | BackendError::Refusing(_) | BackendError::NotDurable
        );
        if !may_pass || Instant::now() >= self.until {
            return Err(error);
        }
        self.backoff.pause().await;
        Ok(())
    }
}

fn random_member() -> Result<Member, BackendError> {
    let half = || getrandom::u64().map_err(|error| BackendError::Away(error.to_string()));
    Ok(Member(u128::from(half()?) << 64 | u128::from(half()?)))
}

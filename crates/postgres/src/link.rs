//! The connections to the primary.

use std::sync::{Mutex, MutexGuard, PoisonError};

use talaria_transport::shared::flight::Flight;

use crate::connection::Connection;
use crate::fault::Fault;
use crate::primary::{Finder, Primary};

/// What a shared connection is for: what waits does not hold up what others ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Appends, which wait for standbys.
    Writes,
    /// Pages, and what is asked of members.
    Reads,
    /// Ids, which wait for standbys.
    Finds,
    /// The outbox and retention.
    Chores,
}

const PURPOSES: usize = 4;

/// A connection, and the primary that it is to.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) connection: Connection,
    pub(crate) address: String,
    pub(crate) is_pooled: bool,
    /// How many primaries were given up before.
    searches: u64,
}

/// Connects when a connection is needed, and again after a failure.
pub(crate) struct Link {
    finder: Finder,
    /// Makes the connection for each purpose, so that a failover is not answered with a connection for each call.
    dials: [Flight<Result<(), Fault>>; PURPOSES],
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    searches: u64,
    address: Option<String>,
    shared: [Option<Held>; PURPOSES],
}

impl Known {
    fn forget(&mut self) {
        self.searches += 1;
        self.address = None;
        self.shared = Default::default();
    }
}

impl Link {
    pub(crate) fn new(finder: Finder) -> Self {
        Self {
            finder,
            dials: Default::default(),
            known: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that all share for this purpose.
    ///
    /// # Errors
    /// The primary cannot be found or reached.
    pub(crate) async fn shared(&self, purpose: Purpose) -> Result<Held, Fault> {
        if let Some(held) = self.ready(purpose) {
            return Ok(held);
        }
        let dial = &self.dials[purpose as usize];
        dial.join(self.dial(purpose)).await?;
        let lost = || Fault::Broken("the connection was given up at once".to_owned());
        self.ready(purpose).ok_or_else(lost)
    }

    async fn dial(&self, purpose: Purpose) -> Result<(), Fault> {
        // Another call may have connected just before.
        if self.ready(purpose).is_some() {
            return Ok(());
        }
        let (held, _) = self.own().await?;
        let mut known = self.known();
        // Given up meanwhile: the next call connects again.
        if known.searches == held.searches {
            known.shared[purpose as usize] = Some(held);
        }
        Ok(())
    }

    fn ready(&self, purpose: Purpose) -> Option<Held> {
        let mut known = self.known();
        let slot = &mut known.shared[purpose as usize];
        _ = slot.take_if(|held| held.connection.has_ended());
        slot.clone()
    }

    /// A connection that is not shared, and the version of the server.
    ///
    /// # Errors
    /// The primary cannot be found or reached.
    pub(crate) async fn own(&self) -> Result<(Held, String), Fault> {
        let Primary {
            connection,
            address,
            version,
            is_pooled,
        } = self.finder.find().await?;
        let mut known = self.known();
        // What is connected to another server has to follow.
        if known
            .address
            .as_ref()
            .is_some_and(|known| *known != address)
        {
            known.forget();
        }
        known.address = Some(address.clone());
        let searches = known.searches;
        drop(known);
        let held = Held {
            connection,
            address,
            is_pooled,
            searches,
        };
        Ok((held, version))
    }

    /// Whether the primary was not given up since, and the connection works as far as is known.
    pub(crate) fn is_current(&self, held: &Held) -> bool {
        !held.connection.has_ended() && self.known().searches == held.searches
    }

    /// Looks whether another server is a primary, and forgets this one if so: it may have been cut off when that one
    /// was promoted.
    pub(crate) async fn follow(&self, held: &Held) {
        if self.finder.has_another(&held.address).await {
            self.forget(held);
        }
    }

    /// Passes on an answer, after a failure of which the connection is given up.
    ///
    /// # Errors
    /// Those of the answer.
    pub(crate) fn judge<T>(&self, held: &Held, answer: Result<T, Fault>) -> Result<T, Fault> {
        answer.map_err(|fault| {
            if fault.loses_primary() {
                self.lose(held);
            }
            fault.at(&held.address)
        })
    }

    fn lose(&self, held: &Held) {
        if self.forget(held) {
            // It may have been cut off while another one was promoted.
            self.finder.doubt();
        }
    }

    /// Gives a primary up, unless that is done; returns whether it was not.
    fn forget(&self, held: &Held) -> bool {
        let mut known = self.known();
        let is_known = known.searches == held.searches;
        if is_known {
            known.forget();
        }
        is_known
    }
}

//! The connections to the primary.

use std::sync::{Mutex, MutexGuard, PoisonError};

use talaria_transport::shared::flight::Flight;

use crate::connection::Connection;
use crate::fault::Fault;
use crate::primary::{Address, Finder, Named, Primary};

/// What a shared connection is for. Large reads do not hold up writes, and waiting for replicas does not hold up reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Writes,
    Reads,
    Finds,
}

/// A connection, and the primary that it is to.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) connection: Connection,
    address: Address,
    /// How many primaries were given up before.
    searches: u64,
}

/// Connects when a connection is needed, and again after a failure.
pub(crate) struct Link {
    finder: Finder,
    /// Makes the connection for each purpose, so that a failover is not answered with a connection for each call.
    dials: [Flight<Result<(), Fault>>; 3],
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    searches: u64,
    address: Option<Address>,
    writes: Option<Connection>,
    reads: Option<Connection>,
    finds: Option<Connection>,
}

impl Known {
    fn of(&mut self, purpose: Purpose) -> &mut Option<Connection> {
        match purpose {
            Purpose::Writes => &mut self.writes,
            Purpose::Reads => &mut self.reads,
            Purpose::Finds => &mut self.finds,
        }
    }

    fn forget(&mut self) {
        self.searches += 1;
        self.address = None;
        self.writes = None;
        self.reads = None;
        self.finds = None;
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
            *known.of(purpose) = Some(held.connection);
        }
        Ok(())
    }

    fn ready(&self, purpose: Purpose) -> Option<Held> {
        let mut known = self.known();
        let (searches, address) = (known.searches, known.address.clone()?);
        let slot = known.of(purpose);
        let connection = slot.take_if(|connection| connection.has_ended());
        if connection.is_some() {
            return None;
        }
        let connection = slot.clone()?;
        Some(Held {
            connection,
            address,
            searches,
        })
    }

    /// A connection that is not shared, and how the primary was named.
    ///
    /// # Errors
    /// The primary cannot be found or reached.
    pub(crate) async fn own(&self) -> Result<(Held, Named), Fault> {
        let Primary { connection, named } = self.finder.find().await?;
        let mut known = self.known();
        // What is connected to another server has to follow.
        if known
            .address
            .as_ref()
            .is_some_and(|address| *address != named.address)
        {
            known.forget();
        }
        known.address = Some(named.address.clone());
        let address = named.address.clone();
        let searches = known.searches;
        drop(known);
        Ok((
            Held {
                connection,
                address,
                searches,
            },
            named,
        ))
    }

    /// Whether the primary was not given up since, and the connection works as far as is known.
    pub(crate) fn is_current(&self, held: &Held) -> bool {
        !held.connection.has_ended() && self.known().searches == held.searches
    }

    /// Asks the directory whether another server is the primary now, and forgets this one if so.
    pub(crate) async fn follow(&self, held: &Held) {
        // Who named this one may be cut off together with it.
        self.finder.doubt();
        if self.finder.has_directory()
            && let Ok(named) = self.finder.name().await
            && named.address != held.address
        {
            self.lose(held);
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
        let mut known = self.known();
        if known.searches == held.searches {
            known.forget();
        }
    }
}

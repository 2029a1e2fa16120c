//! The budgets of a hub: how much clients may hold of each resource.

use std::sync::Arc;

use talaria_protocol::Matcher;

use super::client::hash;
use super::{Charge, Client, Exceeded, Exhausted, Ledger, Resource, Scope};
use crate::interest::Selection;

/// What a topic costs beside its own bytes, measured: its places in the selection and the index.
const TOPIC_BYTES: u64 = 160;
/// The same of a pattern, whose parts are allocated one by one.
const PATTERN_BYTES: u64 = 512;
/// Of the bodies of all clients, those of clients without a token may have this part: a quarter.
const ANONYMOUS_PART: u64 = 4;
/// A body is charged at least this much at a time.
const LEAST_BODY_BYTES: u64 = 4096;

/// Bounds of one resource; `None` for no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// For all clients together. While less than a fifth is free, one client may have no more than its
    /// share, as [`Ledger`] says.
    pub total: Option<u64>,
    /// For one address, of IPv6 a network of 64 bits.
    pub per_address: Option<u64>,
    /// For one token subject.
    pub per_subject: Option<u64>,
    /// For one connection.
    pub per_connection: Option<u64>,
}

/// What clients may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetOptions {
    /// Open event streams. What one connection may have is the listener's.
    pub streams: Bounds,
    /// Bytes of the matchers of open streams and of the grants of their tokens.
    pub matcher_memory: Bounds,
    /// States of the patterns of open streams.
    pub matcher_states: Bounds,
    /// Bytes of request bodies that are being read or published; those without a token have a
    /// quarter.
    pub body_memory: Bounds,
}

impl Default for BudgetOptions {
    fn default() -> Self {
        let total = |amount| Bounds {
            total: Some(amount),
            ..Bounds::default()
        };
        Self {
            streams: total(250_000),
            matcher_memory: Bounds {
                per_connection: Some(16 << 20),
                ..total(256 << 20)
            },
            matcher_states: Bounds {
                per_connection: Some(1 << 17),
                ..total(4 << 20)
            },
            body_memory: total(128 << 20),
        }
    }
}

/// What clients hold at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Open event streams.
    pub streams: u64,
    /// Bytes of matchers.
    pub matcher_memory: u64,
    /// States of patterns.
    pub matcher_states: u64,
    /// Bytes of request bodies.
    pub body_memory: u64,
}

/// The budgets of a hub.
#[derive(Debug)]
pub struct Budgets {
    streams: Budget,
    matcher_memory: Budget,
    matcher_states: Budget,
    body_memory: Budget,
    anonymous_bodies: Arc<Ledger<u64>>,
}

/// What a client holds; dropping it gives it back.
#[derive(Debug)]
pub struct Held {
    _charges: Box<[Charge<u64>]>,
}

impl Budgets {
    /// Budgets of which nothing is used.
    pub fn new(options: &BudgetOptions) -> Self {
        let bodies = options.body_memory;
        Self {
            streams: Budget::new(Resource::Streams, options.streams),
            matcher_memory: Budget::new(Resource::MatcherMemory, options.matcher_memory),
            matcher_states: Budget::new(Resource::MatcherStates, options.matcher_states),
            body_memory: Budget::new(Resource::BodyMemory, bodies),
            anonymous_bodies: ledger(
                bodies.total.map(|total| total / ANONYMOUS_PART),
                bodies.per_address,
            ),
        }
    }

    /// What is held at this moment.
    pub fn used(&self) -> Used {
        Used {
            streams: self.streams.by_address.used(),
            matcher_memory: self.matcher_memory.by_address.used(),
            matcher_states: self.matcher_states.by_address.used(),
            body_memory: self.body_memory.by_address.used(),
        }
    }

    /// Charges a stream and what it selects, which is in memory once for all streams that select the
    /// same.
    pub(crate) fn stream(&self, client: &Client, selection: &Selection) -> Result<Held, Exceeded> {
        let (mut bytes, mut states) = (0, 0);
        for matcher in selection.matchers.iter().chain(&selection.grants) {
            bytes += matcher.size_bytes() as u64;
            bytes += match matcher {
                Matcher::Any | Matcher::Exact(_) => TOPIC_BYTES,
                Matcher::UrlPattern(_) | Matcher::Template(_) => PATTERN_BYTES,
            };
            states += matcher.states() as u64;
        }
        let item = Some(hash(selection));
        let mut charges = Vec::new();
        self.streams.charge(client, None, 1, &mut charges)?;
        self.matcher_memory
            .charge(client, item, bytes, &mut charges)?;
        self.matcher_states
            .charge(client, item, states, &mut charges)?;
        Ok(Held {
            _charges: charges.into(),
        })
    }

    /// What a request body of the client will be charged to, before anything of it is read.
    pub fn body(&self, client: &Client) -> BodyCharge<'_> {
        BodyCharge {
            budgets: self,
            client: *client,
            covered: 0,
            charges: Vec::new(),
        }
    }
}

/// What a request body holds; dropping it gives it back.
#[derive(Debug)]
pub struct BodyCharge<'a> {
    budgets: &'a Budgets,
    client: Client,
    covered: u64,
    charges: Vec<Charge<u64>>,
}

impl From<BodyCharge<'_>> for Held {
    fn from(charge: BodyCharge<'_>) -> Self {
        Self {
            _charges: charge.charges.into(),
        }
    }
}

impl BodyCharge<'_> {
    /// Covers a body of `bytes` bytes, which it declares or has come to. The charge grows to twice its
    /// size at least, so that there are few of them however the body comes.
    ///
    /// # Errors
    /// The budget that it would exceed.
    pub fn grow_to(&mut self, bytes: u64) -> Result<(), Exceeded> {
        if bytes <= self.covered {
            return Ok(());
        }
        let size = bytes.max(2 * self.covered).max(LEAST_BODY_BYTES);
        let bytes = size - self.covered;
        let Budgets {
            body_memory,
            anonymous_bodies,
            ..
        } = self.budgets;
        if self.client.subject.is_none() {
            let charge = anonymous_bodies.charge(hash(&self.client.address), bytes);
            let scope = [Scope::Anonymous, Scope::Address];
            self.charges.push(charge.map_err(|exhausted| {
                exceeded(
                    Resource::BodyMemory,
                    scope,
                    anonymous_bodies,
                    exhausted,
                    bytes,
                )
            })?);
        }
        body_memory.charge(&self.client, None, bytes, &mut self.charges)?;
        self.covered = size;
        Ok(())
    }
}

/// The bounds of one resource, and who holds how much of it.
#[derive(Debug)]
struct Budget {
    resource: Resource,
    by_address: Arc<Ledger<u64>>,
    by_subject: Arc<Ledger<u64>>,
    /// Only its own bound counts for a connection: a client could open another to get more.
    by_connection: Option<Arc<Ledger<u64>>>,
}

fn ledger(total: Option<u64>, most_each: Option<u64>) -> Arc<Ledger<u64>> {
    Arc::new(Ledger::new(total.unwrap_or(u64::MAX), most_each))
}

impl Budget {
    fn new(resource: Resource, bounds: Bounds) -> Self {
        let by_connection = bounds.per_connection.map(|most| ledger(None, Some(most)));
        Self {
            resource,
            by_address: ledger(bounds.total, bounds.per_address),
            by_subject: ledger(bounds.total, bounds.per_subject),
            by_connection,
        }
    }

    /// Charges a client in every scope in which it counts, the narrowest first, so that a refusal
    /// names what the client can mend.
    fn charge(
        &self,
        client: &Client,
        item: Option<u64>,
        amount: u64,
        charges: &mut Vec<Charge<u64>>,
    ) -> Result<(), Exceeded> {
        if amount == 0 {
            return Ok(());
        }
        // A client of an unknown address shares it with all others like it.
        let address = Some((&self.by_address, hash(&client.address), Scope::Address));
        let subject = client
            .subject
            .map(|subject| (&self.by_subject, subject, Scope::Subject));
        let connection = self.by_connection.as_ref().zip(client.connection);
        let connection = connection.map(|(ledger, number)| (ledger, number, Scope::Connection));
        for (ledger, holder, scope) in [connection, subject, address].into_iter().flatten() {
            // A connection has so few streams that each may count in full.
            let item = item.filter(|_| scope != Scope::Connection);
            let charge = match item {
                Some(item) => ledger.charge_for_item(holder, item, amount),
                None => ledger.charge(holder, amount),
            };
            let scopes = [Scope::Total, scope];
            charges.push(
                charge.map_err(|exhausted| {
                    exceeded(self.resource, scopes, ledger, exhausted, amount)
                })?,
            );
        }
        Ok(())
    }
}

/// What a ledger's refusal means to the client; of the scopes the first is that of the whole ledger.
fn exceeded(
    resource: Resource,
    [whole, each]: [Scope; 2],
    ledger: &Ledger<u64>,
    exhausted: Exhausted,
    needed: u64,
) -> Exceeded {
    let (scope, limit, shared) = match exhausted {
        Exhausted::InAll { capacity } => (whole, capacity, None),
        Exhausted::Each { most } if most == ledger.most_each() => (each, most, None),
        Exhausted::Each { most } => (each, most, Some(ledger.capacity())),
    };
    Exceeded {
        resource,
        scope,
        limit,
        needed,
        shared,
    }
}

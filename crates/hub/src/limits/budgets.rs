//! The budgets of a hub: how much clients may hold of each resource.

use std::sync::Arc;
use std::time::Instant;

use talaria_protocol::Matcher;

use super::client::{Client, hash};
use super::exceeded::{Bound, Exceeded, Resource, Scope};
use super::ledger::{Charge, Exhausted, Ledger};
use super::paced::{Paced, RateBounds};
use super::rate::Rate;
use crate::engine::interests::Selection;

/// The bytes that a topic takes besides its own: its places in the selection and the index, as measured.
const TOPIC_BYTES: u64 = 160;
/// The bytes that a pattern takes besides its own. Its parts are allocated one by one.
const PATTERN_BYTES: u64 = 512;
/// Clients without a token may have one part in this many of the memory for bodies: a quarter.
const ANONYMOUS_PART: u64 = 4;
/// The least bytes that a body is charged at a time.
const LEAST_BODY_BYTES: u64 = 4096;

/// The bounds of one resource. `None` means that there is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// The bound for all clients together. While less than a fifth is free, one client may have no more than
    /// its share, as [`Ledger`] says.
    pub total: Option<u64>,
    /// The bound for one address; of IPv6, for a /64 network.
    pub per_address: Option<u64>,
    /// The bound for one token subject.
    pub per_subject: Option<u64>,
    /// The bound for one connection.
    pub per_connection: Option<u64>,
}

/// The bounds of everything that clients may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetOptions {
    /// Open event streams. The listener bounds the streams of one connection.
    pub streams: Bounds,
    /// Bytes of the matchers of open streams and of the grants of their tokens.
    pub matcher_memory: Bounds,
    /// States of the patterns of open streams.
    pub matcher_states: Bounds,
    /// Bytes of request bodies that are being read or published. Clients without a token may have a quarter
    /// of them.
    pub body_memory: Bounds,
    /// Updates that clients publish in a time.
    pub publish_rate: RateBounds,
    /// Event streams that clients open in a time.
    pub stream_rate: RateBounds,
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
            publish_rate: RateBounds::default(),
            stream_rate: RateBounds {
                total: Some(Rate::per_second(20_000, 250_000)),
                ..RateBounds::default()
            },
        }
    }
}

/// The amounts that clients hold at a moment.
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

/// The budgets of a hub, and what is used of them.
#[derive(Debug)]
pub(crate) struct Budgets {
    streams: Budget,
    matcher_memory: Budget,
    matcher_states: Budget,
    body_memory: Budget,
    anonymous_bodies: Arc<Ledger<u64>>,
    publish_rate: Paced,
    stream_rate: Paced,
}

/// What a client holds. It is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    _charges: Box<[Charge<u64>]>,
}

impl Budgets {
    /// Budgets of which nothing is used.
    pub(crate) fn new(options: &BudgetOptions) -> Self {
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
            publish_rate: Paced::new(Resource::PublishRate, options.publish_rate),
            stream_rate: Paced::new(Resource::StreamRate, options.stream_rate),
        }
    }

    /// Budgets with these bounds for new charges, of which the same is used.
    pub(crate) fn bounded_by(&self, options: &BudgetOptions) -> Self {
        let bodies = options.body_memory;
        Self {
            streams: self.streams.bounded_by(options.streams),
            matcher_memory: self.matcher_memory.bounded_by(options.matcher_memory),
            matcher_states: self.matcher_states.bounded_by(options.matcher_states),
            body_memory: self.body_memory.bounded_by(bodies),
            anonymous_bodies: rebound(
                &self.anonymous_bodies,
                bodies.total.map(|total| total / ANONYMOUS_PART),
                bodies.per_address,
            ),
            publish_rate: self.publish_rate.bounded_by(options.publish_rate),
            stream_rate: self.stream_rate.bounded_by(options.stream_rate),
        }
    }

    /// The budget of each resource.
    pub(super) fn each(&self) -> [&Budget; 4] {
        [
            &self.streams,
            &self.matcher_memory,
            &self.matcher_states,
            &self.body_memory,
        ]
    }

    /// How fast clients may do each thing.
    pub(super) fn rates(&self) -> [&Paced; 2] {
        [&self.publish_rate, &self.stream_rate]
    }

    /// Lets a client publish an update.
    pub(crate) fn publishes(&self, client: &Client, now: Instant) -> Result<(), Exceeded> {
        self.publish_rate.take(client, now)
    }

    /// Counts the further updates of a request: its client waits for them before its next one.
    pub(crate) fn publishes_more(&self, client: &Client, count: usize, now: Instant) {
        self.publish_rate.take_more(client, count as u64, now);
    }

    /// Lets a client open a stream.
    pub(crate) fn opens(&self, client: &Client, now: Instant) -> Result<(), Exceeded> {
        self.stream_rate.take(client, now)
    }

    /// The amounts that are held at this moment.
    pub(crate) fn used(&self) -> Used {
        Used {
            streams: self.streams.by_address.used(),
            matcher_memory: self.matcher_memory.by_address.used(),
            matcher_states: self.matcher_states.by_address.used(),
            body_memory: self.body_memory.by_address.used(),
        }
    }

    /// Charges a client for a stream and for its selection. A selection is in memory once for all streams
    /// that have it.
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

    /// The charge of a request body of the client, of which nothing was read yet.
    pub(crate) fn body(&self, client: &Client) -> BodyCharge<'_> {
        BodyCharge {
            budgets: self,
            client: *client,
            covered: 0,
            charges: Vec::new(),
        }
    }
}

/// The charge of a request body. It is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct BodyCharge<'a> {
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
    /// Covers a body of `bytes` bytes, declared or received. The charge at least doubles each time, so that a
    /// body in small pieces is charged a few times only.
    ///
    /// # Errors
    /// If a budget would be exceeded.
    pub(crate) fn grow_to(&mut self, bytes: u64) -> Result<(), Exceeded> {
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
pub(super) struct Budget {
    pub(super) resource: Resource,
    pub(super) by_address: Arc<Ledger<u64>>,
    pub(super) by_subject: Arc<Ledger<u64>>,
    /// A connection has no share of the total, only its own bound: a client could open another one to get
    /// another share. Without such a bound, nothing is charged here.
    pub(super) by_connection: Arc<Ledger<u64>>,
}

fn ledger(total: Option<u64>, most_each: Option<u64>) -> Arc<Ledger<u64>> {
    Arc::new(Ledger::new(total.unwrap_or(u64::MAX), most_each))
}

fn rebound(
    ledger: &Arc<Ledger<u64>>,
    total: Option<u64>,
    most_each: Option<u64>,
) -> Arc<Ledger<u64>> {
    Arc::new(ledger.with_bounds(total.unwrap_or(u64::MAX), most_each))
}

impl Budget {
    fn new(resource: Resource, bounds: Bounds) -> Self {
        Self {
            resource,
            by_address: ledger(bounds.total, bounds.per_address),
            by_subject: ledger(bounds.total, bounds.per_subject),
            by_connection: ledger(None, bounds.per_connection),
        }
    }

    fn bounded_by(&self, bounds: Bounds) -> Self {
        Self {
            resource: self.resource,
            by_address: rebound(&self.by_address, bounds.total, bounds.per_address),
            by_subject: rebound(&self.by_subject, bounds.total, bounds.per_subject),
            by_connection: rebound(&self.by_connection, None, bounds.per_connection),
        }
    }

    /// Charges a client in every scope in which it counts. The narrowest comes first, so that a refusal names
    /// the scope in which the client can do something about it.
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
        // All clients of an unknown address count as one.
        let address = Some((&self.by_address, hash(&client.address), Scope::Address));
        let subject = client
            .subject
            .map(|subject| (&self.by_subject, subject, Scope::Subject));
        let is_bounded = self.by_connection.most_each() < u64::MAX;
        let connection = client.connection.filter(|_| is_bounded);
        let connection = connection.map(|number| (&self.by_connection, number, Scope::Connection));
        for (ledger, holder, scope) in [connection, subject, address].into_iter().flatten() {
            // A connection has few streams, so each counts in full.
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

/// The budget that a ledger says is exhausted. The first scope is that of the whole ledger, the second
/// that of one holder.
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
        bound: Bound::Held {
            limit,
            needed,
            shared,
        },
    }
}

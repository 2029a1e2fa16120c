//! The rates of a hub: how fast clients may do something.

use std::time::Instant;

use super::client::Client;
use super::exceeded::{Bound, Exceeded, Resource, Scope};
use super::limiter::{Limiter, RateOf, TooFast};
use super::rate::Rate;

/// The rates of one thing that clients do. `None` means that there is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateBounds {
    /// The rate of all clients together. While less than a fifth of its burst is left, one client may have no more
    /// than its share, as [`Limiter`] says.
    pub total: Option<Rate>,
    /// The rate of one address; of IPv6, of a /64 network.
    pub per_address: Option<Rate>,
    /// The rate of one token subject.
    pub per_subject: Option<Rate>,
}

/// How fast clients do one thing.
#[derive(Debug)]
pub(super) struct Paced {
    resource: Resource,
    by_address: Limiter,
    by_subject: Limiter,
}

impl Paced {
    /// Nothing was done yet.
    pub(super) fn new(resource: Resource, bounds: RateBounds) -> Self {
        Self {
            resource,
            by_address: Limiter::new(bounds.total, bounds.per_address),
            by_subject: Limiter::new(None, bounds.per_subject),
        }
    }

    /// The same with other rates; what was done counts.
    pub(super) fn bounded_by(&self, bounds: RateBounds) -> Self {
        Self {
            resource: self.resource,
            by_address: self.by_address.with_rates(bounds.total, bounds.per_address),
            by_subject: self.by_subject.with_rates(None, bounds.per_subject),
        }
    }

    /// What is done.
    pub(super) fn resource(&self) -> Resource {
        self.resource
    }

    /// The rates in all, of one address, and of one token subject.
    pub(super) fn rates(&self) -> [Option<Rate>; 3] {
        let (total, per_address) = self.by_address.rates();
        let (_, per_subject) = self.by_subject.rates();
        [total, per_address, per_subject]
    }

    /// Lets a client do it once.
    ///
    /// # Errors
    /// It does so too fast, or all do.
    pub(super) fn take(&self, client: &Client, now: Instant) -> Result<(), Exceeded> {
        if let Some(subject) = client.subject {
            let taken = self.by_subject.take(&subject, now);
            taken.map_err(|too_fast| self.exceeded(too_fast, Scope::Subject))?;
        }
        // All clients of an unknown address count as one.
        let taken = self.by_address.take(&client.address, now);
        taken.map_err(|too_fast| {
            if let Some(subject) = client.subject {
                self.by_subject.give_back(&subject, now);
            }
            self.exceeded(too_fast, Scope::Address)
        })
    }

    /// Counts that the client did it `count` times more, at once.
    pub(super) fn take_more(&self, client: &Client, count: u64, now: Instant) {
        if let Some(subject) = client.subject {
            self.by_subject.take_more(&subject, count, now);
        }
        self.by_address.take_more(&client.address, count, now);
    }

    fn exceeded(&self, too_fast: TooFast, each: Scope) -> Exceeded {
        let TooFast { rate, of, after } = too_fast;
        Exceeded {
            resource: self.resource,
            scope: match of {
                RateOf::All => Scope::Total,
                RateOf::Share | RateOf::Each => each,
            },
            bound: Bound::Rate {
                rate,
                is_share: of == RateOf::Share,
                after,
            },
        }
    }
}

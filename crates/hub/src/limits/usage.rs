//! How much of each limit is used, for metrics.

use super::budgets::{Budget, Budgets};
use super::exceeded::Scope;
use super::paced::Paced;
use super::rate::Rate;

/// A limit, by the directive that sets it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Usage {
    /// The directive.
    pub directive: String,
    /// What is used of it: in all, or by the one that has most. `None` where that is not counted, because there is
    /// no bound.
    pub used: Option<u64>,
    /// The bound, of a rate for each second; `None` if there is none.
    pub bound: Option<f64>,
    /// Whether what it refuses is counted.
    pub refuses: bool,
}

impl Usage {
    /// The limit of a directive.
    pub fn new(directive: &str, used: Option<u64>, bound: Option<u64>) -> Self {
        Self {
            directive: directive.to_owned(),
            used,
            bound: bound
                .filter(|bound| *bound < u64::MAX)
                .map(|bound| bound as f64),
            refuses: true,
        }
    }

    /// A rate, of which nothing is held.
    pub fn of_rate(directive: &str, rate: Option<Rate>) -> Self {
        Self {
            bound: rate.map(|rate| rate.amount() as f64 / rate.period().as_secs_f64()),
            ..Self::new(directive, None, None)
        }
    }

    /// The bound of one request or of a client's events, of which nothing is held.
    pub(crate) fn of_each(directive: &str, bound: u64, refuses: bool) -> Self {
        Self {
            refuses,
            ..Self::new(directive, None, Some(bound))
        }
    }
}

impl Budgets {
    /// Each limit. Looks at each holder where there is a bound for each.
    pub(crate) fn usage(&self) -> Vec<Usage> {
        let held = self.each().into_iter().flat_map(Budget::usage);
        held.chain(self.rates().into_iter().flat_map(Paced::usage))
            .collect()
    }
}

impl Paced {
    fn usage(&self) -> Vec<Usage> {
        let each = [Scope::Total, Scope::Address, Scope::Subject].into_iter();
        each.zip(self.rates())
            .map(|(scope, rate)| {
                let directive = format!("{}{}", self.resource().directive(), scope.directive());
                Usage::of_rate(&directive, rate)
            })
            .collect()
    }
}

impl Budget {
    fn usage(&self) -> Vec<Usage> {
        let directive =
            |scope: Scope| format!("{}{}", self.resource.directive(), scope.directive());
        let total = (self.by_address.used(), self.by_address.capacity());
        let mut usage = vec![Usage::new(
            &directive(Scope::Total),
            Some(total.0),
            Some(total.1),
        )];
        for (scope, ledger) in [
            (Scope::Address, &self.by_address),
            (Scope::Subject, &self.by_subject),
            (Scope::Connection, &self.by_connection),
        ] {
            if !self.resource.has(scope) {
                continue;
            }
            let bound = Some(ledger.most_each()).filter(|bound| *bound < u64::MAX);
            let used = bound.map(|_| ledger.largest());
            usage.push(Usage::new(&directive(scope), used, bound));
        }
        usage
    }
}

//! How much of each limit is used, its bound, and how often it refused (`docs/limits.md`).

use std::cmp::Ordering;
use std::collections::BTreeMap;

use talaria_config::settings::ProgramSettings;
use talaria_hub::limits::Usage;
use talaria_hub::statistics::Departure;

use super::families::Page;
use super::names::by_name;
use crate::serve::admission::Admission;
use crate::serve::control::ServedHub;
use crate::serve::counts::{REFUSED_CONNECTIONS, REFUSED_REQUESTS};

/// A limit as it is shown.
#[derive(Default)]
struct Limit {
    used: Option<f64>,
    bound: Option<f64>,
    /// `None` if what it refuses is not counted apart.
    refusals: Option<u64>,
}

/// By hub, which is empty for the whole program, and directive.
type Limits = BTreeMap<(String, String), Limit>;

/// Adds the limits of the hubs and those of the program.
pub(super) fn add(
    page: &mut Page,
    hubs: &[ServedHub],
    admission: Option<&Admission>,
    settings: Option<&ProgramSettings>,
) {
    let mut limits = Limits::new();
    add_hubs(&mut limits, hubs);
    for usage in admission.map(Admission::usage).unwrap_or_default() {
        limits.insert(of_program(&usage.directive), limit(&usage));
    }
    if let Some(settings) = settings {
        add_bounds(&mut limits, settings);
    }
    for name in [
        "max_connections",
        "max_connections_per_address",
        "max_connection_rate",
        "max_connection_rate_per_address",
        "max_handshakes",
    ] {
        refuse(&mut limits, name, REFUSED_CONNECTIONS.of(name));
    }
    for (name, reason) in [
        ("max_header_memory", "max_header_memory"),
        ("max_header_size", "head_too_large"),
        ("header_timeout", "head_timeout"),
    ] {
        refuse(&mut limits, name, REFUSED_REQUESTS.of(reason));
    }
    refuse(&mut limits, "dispatch_timeout", slow(hubs));
    write(page, &limits);
}

/// How many streams ended because their clients took nothing.
fn slow(hubs: &[ServedHub]) -> u64 {
    let by_name = by_name(hubs);
    // Hubs of one name are counted together.
    let each = by_name.values().filter_map(|hubs| hubs.first());
    let slow = each.flat_map(|hub| hub.statistics().counts().departures);
    slow.filter(|(reason, _)| *reason == Departure::Slow.code())
        .map(|(_, count)| count)
        .sum()
}

fn of_program(directive: &str) -> (String, String) {
    (String::new(), directive.to_owned())
}

fn limit(usage: &Usage) -> Limit {
    Limit {
        used: usage.used.map(|used| used as f64),
        bound: usage.bound,
        refusals: usage.refuses.then_some(0),
    }
}

impl Limit {
    /// Whether less is left of it than of the other one: of the same part that is used, that of the lesser bound.
    fn is_nearer(&self, other: &Self) -> bool {
        let (own, its) = (self.part(), other.part());
        let bound = |limit: &Self| limit.bound.unwrap_or(f64::INFINITY);
        match own.total_cmp(&its) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal if bound(self) == bound(other) => self.used > other.used,
            Ordering::Equal => bound(self) < bound(other),
        }
    }

    /// The part of the bound that is used.
    fn part(&self) -> f64 {
        match (self.used, self.bound) {
            (Some(used), Some(bound)) if bound > 0.0 => used / bound,
            _ => 0.0,
        }
    }
}

/// Hubs of one name have separate budgets: of each limit that of the hub is shown which is nearest to it.
fn add_hubs(limits: &mut Limits, hubs: &[ServedHub]) {
    for (name, hubs) in by_name(hubs) {
        for hub in &hubs {
            for usage in hub.limits() {
                let key = (name.to_owned(), usage.directive.clone());
                let known = limits.entry(key).or_default();
                let own = limit(&usage);
                known.refusals = known.refusals.or(own.refusals);
                if own.is_nearer(known) {
                    (known.used, known.bound) = (own.used, own.bound);
                }
            }
        }
        let exceeded = hubs.first().map(|hub| hub.statistics().counts().exceeded);
        for (directive, count) in exceeded.unwrap_or_default() {
            let known = limits.entry((name.to_owned(), directive)).or_default();
            known.refusals = Some(count);
        }
    }
}

/// The bounds of what is not held, but of one request, connection or moment.
fn add_bounds(limits: &mut Limits, settings: &ProgramSettings) {
    let head = &settings.connections.head;
    for (name, bound) in [
        (
            "max_streams_per_connection",
            Some(f64::from(settings.connections.streams)),
        ),
        ("max_header_size", Some(head.bytes as f64)),
        ("max_header_fields", Some(head.fields as f64)),
        ("header_timeout", Some(head.timeout.as_secs_f64())),
        (
            "dispatch_timeout",
            settings.dispatch_timeout.map(|time| time.as_secs_f64()),
        ),
    ] {
        limits.entry(of_program(name)).or_default().bound = bound;
    }
}

fn refuse(limits: &mut Limits, name: &str, refusals: u64) {
    limits.entry(of_program(name)).or_default().refusals = Some(refusals);
}

fn write(page: &mut Page, limits: &Limits) {
    let used = page.gauge(
        "talaria_limit_used",
        "What is used of a limit: in all, or by the one client that has most.",
    );
    for ((hub, limit), values) in limits {
        if let Some(value) = values.used {
            used.add(&[("hub", hub), ("limit", limit)], value);
        }
    }
    let bound = page.gauge("talaria_limit_bound", "The bound of a limit.");
    for ((hub, limit), values) in limits {
        if let Some(value) = values.bound {
            bound.add(&[("hub", hub), ("limit", limit)], value);
        }
    }
    let refusals = page.counter(
        "talaria_limit_refusals",
        "Requests and connections that a limit refused.",
    );
    for ((hub, limit), values) in limits {
        if let Some(value) = values.refusals {
            refusals.add(&[("hub", hub), ("limit", limit)], value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(limits: &[(Option<f64>, Option<f64>)]) -> (Option<f64>, Option<f64>) {
        let mut known = Limit::default();
        for (used, bound) in limits {
            let own = Limit {
                used: *used,
                bound: *bound,
                refusals: None,
            };
            if own.is_nearer(&known) {
                known = own;
            }
        }
        (known.used, known.bound)
    }

    /// Whatever the order, the pair is that of one hub: the one which has the greatest part in use, else the least bound.
    #[test]
    fn the_nearest_limit_is_shown() {
        let (small, large) = ((Some(9.0), Some(10.0)), (Some(50.0), Some(100.0)));
        let (unused, rate) = ((Some(0.0), Some(5.0)), (None, Some(3.0)));
        let (unbounded, none) = ((Some(70.0), None), (None, None));
        for (one, other, expected) in [
            (small, large, small),
            (large, unused, large),
            (unused, (Some(0.0), Some(10.0)), unused),
            (rate, (None, Some(4.0)), rate),
            (unbounded, unused, unused),
            (none, rate, rate),
            (none, none, none),
        ] {
            assert_eq!(shown(&[one, other]), expected);
            assert_eq!(shown(&[other, one]), expected);
        }
    }
}

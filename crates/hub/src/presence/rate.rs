//! The rate at which the subscriptions of a client are announced.
//!
//! A visit is charged, with its beginnings and ends, when it may be announced. The streams of a client
//! that has used up its burst still open at once; their subscriptions are announced later, in the order
//! in which they came. A visit that ends before it is announced leaves nothing in the log, so a client
//! that comes and goes faster than the rate writes no more than the rate. Refusing it instead would hit
//! all clients that share its address, and make them reconnect again and again.
//!
//! It knows no clock; times are passed to it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::visit::{Visit, Visitor};
use crate::engine::active::{Document, Serial};

/// How many seconds' worth a client may use at once.
const BURST: Duration = Duration::from_secs(16);
/// The most that an account has to pay after the rate has become slower. It exceeds a burst, which is charged
/// at the old rate, many times.
const MOST_TO_PAY: Duration = Duration::from_secs(24 * 3600);
/// Settled accounts are removed when there are twice as many accounts as the last removal left, and at
/// least this many.
const FEWEST_ACCOUNTS: usize = 1_024;

/// The subscriptions of a visit, by the serial of the first.
pub(super) type Begun = (Serial, Arc<[Arc<Document>]>);

/// Which clients have to wait, and until when.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    /// 0 for no bound.
    bytes_per_second: u64,
    accounts: HashMap<Visitor, Account>,
    /// The clients with visits that wait, by the moment at which what they used is paid for, and by the
    /// first visit that waits.
    waiting: BTreeMap<(Instant, Serial), Visitor>,
    look_through_at: usize,
}

#[derive(Debug)]
struct Account {
    /// When everything that was used is paid for at the client's rate. It may be [`BURST`] ahead
    /// before a visit has to wait.
    paid_at: Instant,
    waiting: BTreeMap<Serial, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    documents: Arc<[Arc<Document>]>,
    bytes: usize,
}

impl Account {
    fn first_key(&self) -> Option<(Instant, Serial)> {
        self.waiting
            .keys()
            .next()
            .map(|first| (self.paid_at, *first))
    }
}

impl Rate {
    /// A rate of `bytes_per_second` bytes of events for each client; 0 for no bound.
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        Self {
            bytes_per_second,
            ..Self::default()
        }
    }

    pub(super) fn bytes_per_second(&self) -> u64 {
        self.bytes_per_second
    }

    /// Changes the rate. What clients have used is paid for at the new one. Returns whether it is new.
    pub(super) fn set(&mut self, bytes_per_second: u64, now: Instant) -> bool {
        let before = std::mem::replace(&mut self.bytes_per_second, bytes_per_second);
        if before == bytes_per_second {
            return false;
        }
        let slower = match bytes_per_second {
            0 => 0.0,
            _ => before as f64 / bytes_per_second as f64,
        };
        self.waiting.clear();
        for (visitor, account) in &mut self.accounts {
            let to_pay = account.paid_at.saturating_duration_since(now);
            // A rate that was hardly any is not paid for ever.
            let to_pay = Duration::try_from_secs_f64(to_pay.as_secs_f64() * slower);
            account.paid_at = now + to_pay.unwrap_or(MOST_TO_PAY).min(MOST_TO_PAY);
            if let Some(key) = account.first_key() {
                self.waiting.insert(key, *visitor);
            }
        }
        true
    }

    /// Enters a visit. Returns whether it may be announced at once. If not, [`Self::next`] returns it when it
    /// may.
    #[must_use]
    pub(super) fn enter(&mut self, visit: &Visit, begun: Begun, now: Instant) -> bool {
        if self.bytes_per_second == 0 {
            return true;
        }
        self.forget_settled(now);
        let cost = cost(visit.bytes, self.bytes_per_second);
        let account = self.accounts.entry(visit.visitor);
        let account = account.or_insert_with(|| Account {
            paid_at: now,
            waiting: BTreeMap::new(),
        });
        let (serial, documents) = begun;
        if account.waiting.is_empty() {
            account.paid_at = account.paid_at.max(now);
            if account.paid_at <= now + BURST {
                account.paid_at += cost;
                return true;
            }
            let key = (account.paid_at, serial);
            self.waiting.insert(key, visit.visitor);
        }
        let bytes = visit.bytes;
        account.waiting.insert(serial, Waiting { documents, bytes });
        false
    }

    /// Removes a visit that has ended. Returns whether it was still waiting.
    pub(super) fn leave(&mut self, visitor: Visitor, serial: Serial) -> bool {
        let Some(account) = self.accounts.get_mut(&visitor) else {
            return false;
        };
        let before = account.first_key();
        if account.waiting.remove(&serial).is_none() {
            return false;
        }
        let after = account.first_key();
        if before != after {
            before.and_then(|key| self.waiting.remove(&key));
            after.map(|key| self.waiting.insert(key, visitor));
        }
        true
    }

    /// The next waiting visit that may be announced now. Clients take turns: the one that has the least to
    /// pay comes first.
    pub(super) fn next(&mut self, now: Instant) -> Option<Begun> {
        let first = self.waiting.first_entry()?;
        let (paid_at, serial) = *first.key();
        if paid_at > now + BURST {
            return None;
        }
        let visitor = first.remove();
        let account = self.accounts.get_mut(&visitor)?;
        let visit = account.waiting.remove(&serial)?;
        account.paid_at = account.paid_at.max(now) + cost(visit.bytes, self.bytes_per_second);
        if let Some(key) = account.first_key() {
            self.waiting.insert(key, visitor);
        }
        Some((serial, visit.documents))
    }

    /// How long until [`Self::next`] returns a visit, if nothing else happens; `None` if no visit waits.
    pub(super) fn due_in(&self, now: Instant) -> Option<Duration> {
        let ((paid_at, _), _) = self.waiting.first_key_value()?;
        Some(paid_at.saturating_duration_since(now + BURST))
    }

    /// Removes the accounts that have paid for everything, and whose visits do not wait.
    fn forget_settled(&mut self, now: Instant) {
        if self.accounts.len() < self.look_through_at.max(FEWEST_ACCOUNTS) {
            return;
        }
        self.accounts
            .retain(|_, account| account.paid_at > now || !account.waiting.is_empty());
        self.accounts.shrink_to(FEWEST_ACCOUNTS);
        self.look_through_at = 2 * self.accounts.len();
    }

    /// How many clients are known, and how many visits wait.
    #[cfg(test)]
    pub(crate) fn len(&self) -> (usize, usize) {
        let waiting = self.accounts.values().map(|account| account.waiting.len());
        (self.accounts.len(), waiting.sum())
    }
}

/// How long `bytes` bytes take at a rate; no time without a bound.
fn cost(bytes: usize, bytes_per_second: u64) -> Duration {
    if bytes_per_second == 0 {
        return Duration::ZERO;
    }
    Duration::from_secs_f64(bytes as f64 / bytes_per_second as f64)
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const RATE: u64 = 1_000;

    fn client(number: u32) -> Visitor {
        let address = IpAddr::from(Ipv4Addr::from_bits(number));
        Visitor::Address(Some(address.into()))
    }

    fn visit(number: u32, bytes: usize) -> Visit {
        let mut visit = Visit::new(client(number), usize::MAX, uuid::Uuid::new_v4(), false);
        visit.bytes = bytes;
        visit
    }

    fn enter(rate: &mut Rate, number: u32, serial: Serial, now: Instant) -> bool {
        rate.enter(&visit(number, RATE as usize), (serial, Arc::default()), now)
    }

    fn next(rate: &mut Rate, now: Instant) -> Option<Serial> {
        rate.next(now).map(|(serial, _)| serial)
    }

    /// The visits of a client that are announced take no more than the rate and a burst, however many it
    /// makes. The others wait for their turn, in their order.
    #[test]
    fn a_client_writes_no_more_than_its_rate() {
        let mut rate = Rate::new(RATE);
        let start = Instant::now();
        let at_once = (0..100).filter(|serial| enter(&mut rate, 1, *serial, start));
        assert_eq!(at_once.count(), 17);
        assert_eq!(rate.len(), (1, 83));
        assert_eq!(next(&mut rate, start), None);
        let mut announced = Vec::new();
        for second in 1..=10 {
            let now = start + Duration::from_secs(second);
            assert_eq!(rate.due_in(now), Some(Duration::ZERO));
            announced.extend(std::iter::from_fn(|| next(&mut rate, now)));
        }
        assert_eq!(announced, (17..27).collect::<Vec<_>>());
        assert_eq!(
            rate.due_in(start + Duration::from_secs(10)),
            Some(Duration::from_secs(1))
        );
    }

    /// A visit that leaves while it waits costs nothing, whatever its place.
    #[test]
    fn a_visit_that_leaves_before_its_turn_is_not_charged() {
        let mut rate = Rate::new(RATE);
        let start = Instant::now();
        for serial in 0..20 {
            _ = enter(&mut rate, 1, serial, start);
        }
        assert!(!rate.leave(client(1), 16), "it was announced");
        assert!(rate.leave(client(1), 17), "the first that waits");
        assert!(!rate.leave(client(1), 17), "it has left");
        assert!(rate.leave(client(1), 19), "the last");
        let now = start + Duration::from_secs(1);
        assert_eq!(next(&mut rate, now), Some(18));
        assert_eq!((next(&mut rate, now), rate.due_in(now)), (None, None));
        assert!(!rate.leave(client(2), 1), "never seen");
    }

    /// A client that comes after thousands of visits of another one is announced at once, and clients that
    /// wait take turns.
    #[test]
    fn clients_do_not_wait_for_each_other() {
        let mut rate = Rate::new(RATE);
        let start = Instant::now();
        for serial in 0..5_000 {
            _ = enter(&mut rate, 1, serial, start);
        }
        assert!(enter(&mut rate, 2, 5_000, start));
        for serial in 5_001..5_030 {
            _ = enter(&mut rate, 2, serial, start);
        }
        let now = start + Duration::from_secs(3);
        let mut announced: Vec<_> = std::iter::from_fn(|| next(&mut rate, now)).collect();
        announced.sort_unstable();
        assert_eq!(announced, [17, 18, 19, 5_017, 5_018, 5_019]);
    }

    /// Accounts are removed once they have paid, so that clients that come once leave nothing.
    #[test]
    fn accounts_are_forgotten() {
        let mut rate = Rate::new(RATE);
        let mut now = Instant::now();
        for number in 0..100_000 {
            now += Duration::from_millis(10);
            assert!(enter(&mut rate, number, number.into(), now));
        }
        let (accounts, waiting) = rate.len();
        assert!(accounts <= FEWEST_ACCOUNTS && waiting == 0, "{accounts}");
    }

    /// What was used is paid for at a new rate, and without a bound nothing waits.
    #[test]
    fn a_new_rate_counts_for_what_was_used() {
        let start = Instant::now();
        let full = || {
            let mut rate = Rate::new(RATE);
            for serial in 0..20 {
                _ = enter(&mut rate, 1, serial, start);
            }
            rate
        };
        let mut faster = full();
        assert!(!faster.set(RATE, start), "it is the same");
        assert!(faster.set(2 * RATE, start));
        let announced: Vec<_> = std::iter::from_fn(|| next(&mut faster, start)).collect();
        assert_eq!(announced, [17, 18, 19], "half of a burst is free again");
        let mut slower = full();
        assert!(slower.set(RATE / 2, start));
        assert_eq!(slower.due_in(start), Some(Duration::from_secs(18)));
        let mut unbounded = full();
        assert!(unbounded.set(0, start));
        assert_eq!(unbounded.due_in(start), Some(Duration::ZERO));
        let announced: Vec<_> = std::iter::from_fn(|| next(&mut unbounded, start)).collect();
        assert_eq!(announced, [17, 18, 19]);
        assert!(enter(&mut unbounded, 1, 20, start));
        assert!(unbounded.set(RATE, start));
        assert!(enter(&mut unbounded, 1, 21, start), "nothing was owed");
    }

    #[test]
    fn no_bound_lets_everything_pass() {
        let mut rate = Rate::new(0);
        let now = Instant::now();
        assert!((0..1_000).all(|serial| enter(&mut rate, 1, serial, now)));
        assert_eq!(rate.len(), (0, 0));
    }
}

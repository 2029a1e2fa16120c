//! A limiter: how fast something may come, from each client and from all.

use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::client::hash;
use super::rate::{Bucket, Pace, Rate, nanoseconds};

/// While less than one part in this many of all is left, a client may have no more than its share.
const RESERVE: u64 = 5;
/// The sets of the table, and the clients of each that have a bucket alone.
const SETS: usize = 8 * 1024;
const WAYS: usize = 8;

/// How fast something may come, from each client and from all.
///
/// Four fifths of what may come at once go to the clients that come first, even all to one: a proxy has a single
/// address. While less than a fifth is left, a client may have no more than its share, a two-hundredth of the rate.
/// So a client that takes all it can leaves a fifth of the burst to others, and their shares come before its next.
///
/// The buckets of clients are in a table of bounded size. A bucket is forgotten only when it is full again, so no
/// flood of other addresses resets it. Clients for which there is no place share one bucket with those whose keyed
/// hash puts them into the same of 8,192 sets; it takes eight others in one set, each of which is within its rate, and
/// no client can choose its set.
#[derive(Debug)]
pub struct Limiter {
    total: Option<Rate>,
    each: Option<Rate>,
    state: Arc<Mutex<State>>,
}

/// Why something may not come now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TooFast {
    /// The rate that is exceeded.
    pub rate: Rate,
    /// Whose rate it is.
    pub of: RateOf,
    /// When it may come.
    pub after: Duration,
}

/// Whose rate is exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateOf {
    /// The rate of all clients together.
    All,
    /// The share of one client of the rate of all.
    Share,
    /// The rate of one client.
    Each,
}

#[derive(Debug, Default)]
struct State {
    total: Bucket,
    sets: Vec<Option<Box<Set>>>,
}

/// Clients whose hashes begin alike. The last place is for those that have no other.
type Set = [Entry; WAYS + 1];

/// What a client has taken: of its rate, and of its share of all.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    client: u64,
    each: Bucket,
    share: Bucket,
}

impl Limiter {
    /// A limiter with a rate for all, and one for each client. Without either, everything may come.
    pub fn new(total: Option<Rate>, each: Option<Rate>) -> Self {
        Self {
            total,
            each,
            state: Arc::default(),
        }
    }

    /// A limiter of the same clients with other rates. What they took counts in both.
    #[must_use]
    pub fn with_rates(&self, total: Option<Rate>, each: Option<Rate>) -> Self {
        Self {
            total,
            each,
            state: Arc::clone(&self.state),
        }
    }

    /// The rates, for all and for each.
    pub fn rates(&self) -> (Option<Rate>, Option<Rate>) {
        (self.total, self.each)
    }

    /// Lets one come from this client.
    ///
    /// # Errors
    /// It comes too fast; then nothing is taken.
    pub fn take(&self, client: &impl Hash, now: Instant) -> Result<(), TooFast> {
        if self.total.is_none() && self.each.is_none() {
            return Ok(());
        }
        let now = nanoseconds(now);
        let mut state = self.state();
        let State { total, sets } = &mut *state;
        let entry = entry(sets, hash(client), now);
        if let Some(rate) = self.each {
            check(rate, RateOf::Each, entry.each, rate.pace(), now)?;
        }
        if let Some(rate) = self.total {
            let pace = rate.pace();
            check(rate, RateOf::All, *total, pace, now)?;
            if total.is_below(pace, RESERVE, now) {
                check(rate, RateOf::Share, entry.share, rate.share(), now)?;
            }
        }
        self.spend(total, entry, 1, now);
        Ok(())
    }

    /// Lets one come that is not of a single client, and so counts for all clients only: no share bounds it.
    ///
    /// # Errors
    /// It comes too fast; then nothing is taken.
    pub fn take_of_all(&self, now: Instant) -> Result<(), TooFast> {
        let Some(rate) = self.total else {
            return Ok(());
        };
        let now = nanoseconds(now);
        let total = &mut self.state().total;
        check(rate, RateOf::All, *total, rate.pace(), now)?;
        total.take(rate.pace(), 1, now);
        Ok(())
    }

    /// Takes `count` more for something that came already, even beyond the rates: then what comes next waits.
    pub fn take_more(&self, client: &impl Hash, count: u64, now: Instant) {
        if count == 0 || (self.total.is_none() && self.each.is_none()) {
            return;
        }
        let now = nanoseconds(now);
        let mut state = self.state();
        let State { total, sets } = &mut *state;
        let entry = entry(sets, hash(client), now);
        self.spend(total, entry, count, now);
    }

    /// Gives back what was taken for something that another limiter refused.
    pub(super) fn give_back(&self, client: &impl Hash, now: Instant) {
        let Some(each) = self.each else {
            return;
        };
        let now = nanoseconds(now);
        let mut state = self.state();
        entry(&mut state.sets, hash(client), now)
            .each
            .give_back(each.pace(), 1);
    }

    fn spend(&self, total: &mut Bucket, entry: &mut Entry, count: u64, now: u64) {
        if let Some(rate) = self.each {
            entry.each.take(rate.pace(), count, now);
        }
        if let Some(rate) = self.total {
            total.take(rate.pace(), count, now);
            // A client that took much while there was enough waits for its share, but not longer than for that.
            let share: Pace = rate.share();
            entry.share.take(share, count, now);
            entry.share.empty_at_most(share, now);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check(rate: Rate, of: RateOf, bucket: Bucket, pace: Pace, now: u64) -> Result<(), TooFast> {
    match bucket.wait(pace, now) {
        0 => Ok(()),
        wait => Err(TooFast {
            rate,
            of,
            after: Duration::from_nanos(wait),
        }),
    }
}

/// The place of a client: its own, that of one whose buckets are full, else the one that it shares.
fn entry(sets: &mut Vec<Option<Box<Set>>>, client: u64, now: u64) -> &mut Entry {
    if sets.is_empty() {
        sets.resize_with(SETS, || None);
    }
    let place = usize::try_from(client).unwrap_or_default() % SETS;
    let set = sets[place].get_or_insert_default();
    let is_free = |entry: &Entry| entry.each.is_full(now) && entry.share.is_full(now);
    let alone = &set[..WAYS];
    let own = alone
        .iter()
        .position(|entry| entry.client == client && !is_free(entry));
    let found = own.or_else(|| alone.iter().position(is_free));
    let shared = set[WAYS];
    let entry = &mut set[found.unwrap_or(WAYS)];
    if own.is_none() && found.is_some() {
        // It may have taken from the shared bucket before.
        *entry = Entry { client, ..shared };
    }
    entry
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::{Clock as _, SystemClock};

    const SECOND: Duration = Duration::from_secs(1);

    fn passes(limiter: &Limiter, client: u64, now: Instant, tries: usize) -> usize {
        (0..tries)
            .filter(|_| limiter.take(&client, now).is_ok())
            .count()
    }

    #[test]
    fn a_bucket_refills_by_its_rate() {
        let limiter = Limiter::new(None, Some(Rate::per_second(10, 30)));
        let start = SystemClock.now();
        assert_eq!(passes(&limiter, 1, start, 100), 30);
        let refused = limiter
            .take(&1_u64, start)
            .expect_err("the bucket is empty");
        assert_eq!(refused.of, RateOf::Each);
        assert_eq!(refused.after, Duration::from_millis(100));
        assert_eq!(passes(&limiter, 1, start + refused.after, 100), 1);
        assert_eq!(passes(&limiter, 1, start + SECOND, 100), 9);
        assert_eq!(passes(&limiter, 1, start + 100 * SECOND, 100), 30);
        assert_eq!(passes(&limiter, 2, start, 100), 30, "another client");
    }

    /// A client waits for what it took beyond its rate.
    #[test]
    fn more_than_there_is_can_be_owed() {
        let limiter = Limiter::new(None, Some(Rate::per_second(10, 10)));
        let start = SystemClock.now();
        limiter.take(&1_u64, start).expect("full");
        limiter.take_more(&1_u64, 29, start);
        assert_eq!(passes(&limiter, 1, start + 2 * SECOND, 10), 0);
        assert_eq!(passes(&limiter, 1, start + 3 * SECOND, 20), 10);
        limiter.give_back(&1_u64, start + 3 * SECOND);
        assert_eq!(passes(&limiter, 1, start + 3 * SECOND, 20), 1);
    }

    /// One client takes four fifths at once and the whole rate, but others come before its next.
    #[test]
    fn one_client_leaves_a_fifth_to_others() {
        let limiter = Limiter::new(Some(Rate::per_second(1_000, 10_000)), None);
        let start = SystemClock.now();
        assert_eq!(passes(&limiter, 0, start, 20_000), 8_001);
        for client in 1..=39 {
            assert_eq!(passes(&limiter, client, start, 100), 50, "{client}");
        }
        // Its share of a second.
        assert_eq!(passes(&limiter, 0, start + SECOND, 100), 5);
        let refused = limiter
            .take(&0_u64, start + SECOND)
            .expect_err("below a fifth");
        assert_eq!(refused.of, RateOf::Share);
        assert_eq!(passes(&limiter, 40, start + SECOND, 100), 50);
        assert!(limiter.take(&0_u64, start + 3 * SECOND).is_ok());
    }

    /// What is not of a single client takes all there is, and counts for the clients.
    #[test]
    fn what_is_not_of_one_client_has_no_share() {
        let limiter = Limiter::new(Some(Rate::per_second(1_000, 10_000)), None);
        let start = SystemClock.now();
        let taken = |now, tries: usize| {
            (0..tries)
                .filter(|_| limiter.take_of_all(now).is_ok())
                .count()
        };
        assert_eq!(taken(start, 9_999), 9_999);
        assert!(limiter.take(&0_u64, start).is_ok(), "the last one");
        let refused = limiter.take_of_all(start).expect_err("nothing is left");
        assert_eq!(refused.of, RateOf::All);
        assert!(limiter.take(&1_u64, start).is_err());
        assert_eq!(taken(start + SECOND, 2_000), 1_000);
        let of_each = Limiter::new(None, Some(Rate::per_second(1, 1)));
        assert!((0..10).all(|_| of_each.take_of_all(start).is_ok()));
    }

    /// However many addresses come, a client that is known waits for its rate, and memory is bounded.
    #[test]
    fn other_clients_reset_no_bucket() {
        let limiter = Limiter::new(None, Some(Rate::per_second(1, 5)));
        let start = SystemClock.now();
        assert_eq!(passes(&limiter, 0, start, 10), 5);
        let flood = (1..=400_000_u64).filter(|client| limiter.take(client, start).is_ok());
        let passed = flood.count();
        assert!(passed <= SETS * (WAYS + 5), "{passed}");
        assert_eq!(passes(&limiter, 0, start, 10), 0, "it is not forgotten");
        assert_eq!(passes(&limiter, 0, start + SECOND, 10), 1);
        let state = limiter.state();
        assert_eq!(state.sets.len(), SETS);
        assert!(size_of::<Set>() <= 256, "{}", size_of::<Set>());
    }

    /// A new client in a set that is used up begins with what is left in the shared bucket.
    #[test]
    fn a_place_that_becomes_free_brings_no_new_bucket() {
        let mut sets = Vec::new();
        let pace = Rate::per_second(1, 10).pace();
        for way in 0..WAYS as u64 {
            entry(&mut sets, way * SETS as u64, 0).each.take(pace, 1, 0);
        }
        let late = 100 * SETS as u64;
        entry(&mut sets, late, 0).each.take(pace, 10, 0);
        let now = 2 * pace.interval;
        let mine = entry(&mut sets, late, now);
        assert_eq!((mine.client, mine.each.0), (late, 10 * pace.interval));
    }

    proptest! {
        #![proptest_config(crate::engine::laws::config())]

        /// In any span, a client passes no more than its burst and what its rate brings. One that is refused did
        /// not keep to its rate, and passes when it was told.
        #[test]
        fn a_client_passes_what_its_rate_allows(
            amount in 1_u64..50,
            burst in 1_u64..50,
            steps in prop::collection::vec((0_u64..3, 0_u64..400), 1..200),
        ) {
            let limiter = Limiter::new(None, Some(Rate::per_second(amount, burst)));
            let mut now = SystemClock.now();
            let mut passed: Vec<Vec<Instant>> = vec![Vec::new(); 3];
            for (client, milliseconds) in steps {
                now += Duration::from_millis(milliseconds);
                let outcome = limiter.take(&client, now);
                let times = &mut passed[usize::try_from(client).expect("small")];
                if outcome.is_ok() {
                    times.push(now);
                }
                // An interval is rounded down to a nanosecond, so a little more may pass.
                let is_exceeded = |more: usize, slack: f64| {
                    times.iter().enumerate().any(|(first, from)| {
                        let brings = (now - *from).as_secs_f64() * amount as f64;
                        (times.len() - first + more) as f64 > burst as f64 + brings + slack
                    })
                };
                prop_assert!(!is_exceeded(0, 1e-3));
                if let Err(refused) = outcome {
                    prop_assert!(is_exceeded(1, -1e-3));
                    let just_before = refused.after - Duration::from_nanos(1);
                    prop_assert!(limiter.take(&client, now + just_before).is_err());
                    now += refused.after;
                    prop_assert!(limiter.take(&client, now).is_ok());
                    times.push(now);
                }
            }
        }
    }
}

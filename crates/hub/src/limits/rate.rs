//! Rates: how many of something may come in a time.

use std::fmt;
use std::time::{Duration, Instant};

/// How many of something may come in a time: `amount` in each period, and at most `burst` at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    amount: u64,
    period: Duration,
    burst: u64,
}

impl Rate {
    /// The largest amount of a rate and of a burst.
    pub const MOST: u64 = 1_000_000;
    /// The longest period.
    pub const LONGEST: Duration = Duration::from_secs(86_400);

    /// A rate of `amount` in each `period`, with at most `burst` at once. All are brought into their bounds:
    /// from 1 to [`Self::MOST`], and from a millisecond to [`Self::LONGEST`].
    pub const fn new(amount: u64, period: Duration, burst: u64) -> Self {
        const fn within(value: u64) -> u64 {
            match value {
                0 => 1,
                value if value > Rate::MOST => Rate::MOST,
                value => value,
            }
        }
        let period = match period.as_nanos() {
            ..1_000_000 => Duration::from_millis(1),
            nanos if nanos > Self::LONGEST.as_nanos() => Self::LONGEST,
            _ => period,
        };
        Self {
            amount: within(amount),
            period,
            burst: within(burst),
        }
    }

    /// A rate of `amount` in each second, with at most `burst` at once.
    pub const fn per_second(amount: u64, burst: u64) -> Self {
        Self::new(amount, Duration::from_secs(1), burst)
    }

    /// How many come in each period.
    pub const fn amount(self) -> u64 {
        self.amount
    }

    /// The period.
    pub const fn period(self) -> Duration {
        self.period
    }

    /// The most at once.
    pub const fn burst(self) -> u64 {
        self.burst
    }

    /// The share of one client while a fifth of the burst of all is left: a two-hundredth, and of the burst up to
    /// 8 at once.
    pub(super) const fn share(self) -> Pace {
        const SHARE: u64 = 200;
        const LARGEST_SHARE: u64 = 100;
        let least = match self.burst / LARGEST_SHARE {
            0 => 1,
            few if few < 8 => few,
            _ => 8,
        };
        let burst = match self.burst / SHARE {
            share if share > least => share,
            _ => least,
        };
        let pace = self.pace();
        Pace {
            interval: pace.interval.saturating_mul(SHARE),
            full: pace.interval.saturating_mul(SHARE * burst),
        }
    }

    /// The rate in nanoseconds.
    pub(super) const fn pace(self) -> Pace {
        // A day has fewer than 2⁶⁴ nanoseconds.
        let interval = (self.period.as_nanos() / self.amount as u128) as u64;
        let interval = if interval == 0 { 1 } else { interval };
        Pace {
            interval,
            full: interval.saturating_mul(self.burst),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            amount,
            period,
            burst,
        } = self;
        match period.as_secs() {
            1 if period.subsec_nanos() == 0 => write!(f, "{amount}/s"),
            60 if period.subsec_nanos() == 0 => write!(f, "{amount}/m"),
            3600 if period.subsec_nanos() == 0 => write!(f, "{amount}/h"),
            _ => write!(f, "{amount} in {} s", period.as_secs_f64()),
        }?;
        match burst == amount {
            true => Ok(()),
            false => write!(f, " with {burst} at once"),
        }
    }
}

/// A rate in nanoseconds: how long one takes to come back, and how long all of the burst do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) interval: u64,
    pub(super) full: u64,
}

/// A token bucket: the moment, in nanoseconds, at which it is full again. A bucket that is full needs no memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Bucket(pub(super) u64);

impl Bucket {
    /// Whether it is full, so that nothing is lost with it.
    pub(super) fn is_full(self, now: u64) -> bool {
        self.0 <= now
    }

    /// How long to wait until there is one; zero if there is one now. Another pace may have filled it, so it is
    /// emptier than empty only for what one request took beyond the last one.
    pub(super) fn wait(self, pace: Pace, now: u64) -> u64 {
        let empties = self.0.saturating_sub(now).saturating_add(pace.interval);
        empties.saturating_sub(pace.full.max(pace.interval))
    }

    /// The part that is left is less than one in `parts`.
    pub(super) fn is_below(self, pace: Pace, parts: u64, now: u64) -> bool {
        let missing = self.0.saturating_sub(now);
        pace.full.saturating_sub(missing) < pace.full / parts
    }

    /// Takes `count` out of it, even more than there are.
    pub(super) fn take(&mut self, pace: Pace, count: u64, now: u64) {
        let cost = pace.interval.saturating_mul(count);
        self.0 = self.0.max(now).saturating_add(cost);
    }

    /// Puts `count` back.
    pub(super) fn give_back(&mut self, pace: Pace, count: u64) {
        self.0 = self.0.saturating_sub(pace.interval.saturating_mul(count));
    }

    /// Makes it no emptier than empty.
    pub(super) fn empty_at_most(&mut self, pace: Pace, now: u64) {
        self.0 = self.0.min(now.saturating_add(pace.full));
    }
}

/// The nanoseconds since an hour before the first moment that this was asked for: a moment that another thread took just
/// before that one is told apart from it.
pub(super) fn nanoseconds(now: Instant) -> u64 {
    const HOUR: Duration = Duration::from_secs(3600);
    static FIRST: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let first = *FIRST.get_or_init(|| now.checked_sub(HOUR).unwrap_or(now));
    // After 584 years it stands still.
    u64::try_from(now.saturating_duration_since(first).as_nanos()).unwrap_or(u64::MAX)
}

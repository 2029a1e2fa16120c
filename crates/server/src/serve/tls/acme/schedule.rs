//! When a certificate is renewed, and when an order that failed is tried again.

use std::ops::Range;
use std::time::{Duration, SystemTime};

/// The first and the longest wait after a failure; each wait is twice the one before.
const FIRST: Duration = Duration::from_secs(60);
const LAST: Duration = Duration::from_secs(6 * 3600);
/// The longest wait that an authority can ask for.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// When a certificate is renewed that is valid for this time: after two thirds of it, or at a moment of the `window`
/// that its authority suggests, which `chance` (from 0 to 1) chooses. It never waits for the last tenth.
pub(super) fn due(
    valid: &Range<SystemTime>,
    window: Option<&Range<SystemTime>>,
    chance: f64,
) -> SystemTime {
    let life = length(valid);
    let usual = valid.start + life.mul_f64(2.0 / 3.0);
    let last = valid.start + life.mul_f64(0.9);
    match window {
        None => usual,
        Some(window) => (window.start + length(window).mul_f64(chance.clamp(0.0, 1.0))).min(last),
    }
}

fn length(range: &Range<SystemTime>) -> Duration {
    range.end.duration_since(range.start).unwrap_or_default()
}

/// How long to wait after failures.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// What follows this many failures in a row, and the wait after the last of them.
    pub(super) fn after(failures: u32) -> (Self, Duration) {
        let mut backoff = Self {
            failures: failures.saturating_sub(1),
        };
        match failures {
            0 => (backoff, Duration::ZERO),
            _ => {
                let wait = backoff.next(None, 0.0);
                (backoff, wait)
            }
        }
    }

    /// How many failures there were since the last success.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// The next wait, of which `chance` (from 0 to 1) takes up to a fifth, so that hubs that failed together do not
    /// ask together again. The authority may ask for a longer one.
    pub(super) fn next(&mut self, asked: Option<Duration>, chance: f64) -> Duration {
        let wait = FIRST.saturating_mul(1 << self.failures.min(16)).min(LAST);
        self.failures = self.failures.saturating_add(1);
        let jittered = wait.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 5.0);
        jittered.max(asked.unwrap_or_default().min(LONGEST))
    }

    /// Begins anew after a success.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn day(number: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + number * DAY
    }

    #[test]
    fn a_certificate_is_renewed_in_time() {
        let valid = day(0)..day(90);
        assert_eq!(due(&valid, None, 0.5), day(60));
        let window = day(40)..day(50);
        assert_eq!(due(&valid, Some(&window), 0.0), day(40));
        assert_eq!(due(&valid, Some(&window), 0.5), day(45));
        // A window in the past asks for a renewal now, and none can ask for one too late.
        assert_eq!(due(&valid, Some(&(day(0)..day(0))), 1.0), day(0));
        assert_eq!(due(&valid, Some(&(day(200)..day(300))), 0.0), day(81));
        assert_eq!(due(&valid, Some(&(day(50)..day(40))), 0.5), day(50));
        assert_eq!(due(&(day(5)..day(4)), None, 0.0), day(5));
    }

    #[test]
    fn failures_make_the_waits_longer() {
        let mut backoff = Backoff::default();
        let minutes: Vec<u64> = (0..10)
            .map(|_| backoff.next(None, 0.0).as_secs() / 60)
            .collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 64, 128, 256, 360]);
        for _ in 0..100 {
            assert_eq!(backoff.next(None, 0.0), LAST);
        }
        assert_eq!(backoff.next(None, 1.0), LAST.mul_f64(0.8));
        let (mut resumed, wait) = Backoff::after(3);
        assert_eq!((resumed.failures(), wait), (3, 4 * FIRST));
        assert_eq!(resumed.next(None, 0.0), 8 * FIRST);
        assert_eq!(Backoff::after(0).1, Duration::ZERO);
        backoff.reset();
        assert_eq!(backoff.next(Some(300 * DAY), 0.0), LONGEST);
        assert_eq!(backoff.next(Some(Duration::ZERO), 0.0), 2 * FIRST);
    }
}

//! How many frames an HTTP/2 client may send that ask for nothing.
//!
//! Each SETTINGS and PING is answered, and each RST_STREAM, WINDOW_UPDATE, PRIORITY and frame of an unknown type
//! is read. Honest clients send a few of them unasked, and one or two for each DATA frame that they receive, however
//! short. h2 itself counts empty and tiny DATA frames, and resets of requests that it has not seen.

use tokio::time::Instant;

use super::frames::{DATA, PING, SETTINGS};

/// The cost of a frame: the bytes that must have been sent to the client for it.
const FRAME: u64 = 16;
/// The cost of a frame that is answered: more than the answer earns.
const ANSWERED: u64 = 2 * FRAME;
/// The allowance at first, and again after some time: 1,000 frames.
const AT_FIRST: u64 = 1_000 * FRAME;
/// How much comes back in a second, up to the first allowance: 100 frames.
const EACH_SECOND: u64 = 100 * FRAME;
/// The most that a client can earn.
const MOST: u64 = 100 * AT_FIRST;

/// What a client may spend.
#[derive(Debug)]
pub(super) struct Allowance {
    left: u64,
    since: Instant,
}

impl Allowance {
    /// The allowance at the beginning of a connection.
    pub(super) fn new() -> Self {
        Self {
            left: AT_FIRST,
            since: Instant::now(),
        }
    }

    /// Adds what the client earns by bytes that were sent to it.
    pub(super) fn earn(&mut self, bytes: usize) {
        self.left = self.left.saturating_add(bytes as u64).min(MOST);
    }

    /// Whether the client may send a frame of this type; counts the frame.
    pub(super) fn allows(&mut self, kind: u8) -> bool {
        self.allows_at(kind, Instant::now())
    }

    fn allows_at(&mut self, kind: u8, now: Instant) -> bool {
        let cost = match kind {
            DATA => return true,
            SETTINGS | PING => ANSWERED,
            _ => FRAME,
        };
        if self.left < AT_FIRST {
            let passed = now.saturating_duration_since(self.since).as_millis();
            let back = u64::try_from(passed).unwrap_or(u64::MAX);
            let back = back.saturating_mul(EACH_SECOND) / 1_000;
            if back > 0 {
                self.since = now;
                self.left = self.left.saturating_add(back).min(AT_FIRST);
            }
        } else {
            self.since = now;
        }
        match self.left.checked_sub(cost) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const WINDOW_UPDATE: u8 = 8;

    fn allowed(allowance: &mut Allowance, kind: u8, answer: usize, now: Instant) -> usize {
        let mut count = 0;
        while count < 1_000_000 && allowance.allows_at(kind, now) {
            allowance.earn(answer);
            count += 1;
        }
        count
    }

    /// Floods end, whatever the answers to them earn (17 bytes for PING, 9 for SETTINGS).
    #[test]
    fn floods_end() {
        for (kind, answer, most) in [
            (PING, 17, 1_100),
            (SETTINGS, 9, 700),
            (3, 0, 1_000),
            (2, 0, 1_000),
            (WINDOW_UPDATE, 0, 1_000),
            (99, 0, 1_000),
        ] {
            let mut allowance = Allowance::new();
            let now = allowance.since;
            let count = allowed(&mut allowance, kind, answer, now);
            assert!((600..=most).contains(&count), "{kind}: {count}");
            let later = now + Duration::from_secs(1);
            let again = allowed(&mut allowance, WINDOW_UPDATE, 0, later);
            assert!((99..=101).contains(&again), "{again}");
        }
    }

    /// A client may answer each of many short DATA frames with two window updates, even much later.
    #[test]
    fn what_is_received_may_be_acknowledged() {
        let mut allowance = Allowance::new();
        let now = allowance.since;
        for _ in 0..10_000 {
            allowance.earn(9 + 60);
        }
        for _ in 0..20_000 {
            assert!(allowance.allows_at(WINDOW_UPDATE, now));
            assert!(allowance.allows_at(DATA, now));
        }
        allowance.earn(usize::MAX);
        assert_eq!(allowed(&mut allowance, WINDOW_UPDATE, 0, now), 100_000);
    }
}

//! `sampling`: of many equal lines a log has some. Its memory is fixed, whatever clients send.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use talaria_config::settings::LogSampling;

use super::record::Record;
use crate::serve::clock;

/// How many kinds of lines are told apart; others are counted with one of these.
const KINDS: usize = 1024;

/// Decides which lines a log has.
#[derive(Debug)]
pub(super) struct Sample {
    settings: LogSampling,
    kinds: Mutex<Box<[Option<Kind>]>>,
}

#[derive(Debug, Clone)]
struct Kind {
    began: Instant,
    count: u64,
}

impl Sample {
    pub(super) fn new(settings: LogSampling) -> Self {
        Self {
            settings,
            kinds: Mutex::new(vec![None; KINDS].into()),
        }
    }

    /// Whether the log has this line: its level and sentence say which are equal.
    pub(super) fn has(&self, record: &Record) -> bool {
        let mut hasher = DefaultHasher::new();
        record.level.hash(&mut hasher);
        record.message.hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % KINDS as u64).unwrap_or_default();
        self.counts(place, clock::monotonic())
    }

    fn counts(&self, place: usize, now: Instant) -> bool {
        let LogSampling {
            interval,
            first,
            thereafter,
        } = self.settings;
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(kind) = kinds.get_mut(place) else {
            return true;
        };
        _ = kind.take_if(|kind| now.saturating_duration_since(kind.began) >= interval);
        let kind = kind.get_or_insert(Kind {
            began: now,
            count: 0,
        });
        kind.count += 1;
        let more = kind.count.saturating_sub(first);
        more == 0 || thereafter > 0 && more.is_multiple_of(thereafter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// The first lines of an interval are there, and then each one of this many.
    #[test]
    fn some_of_many_lines_are_there() {
        let counted = |thereafter| {
            let sample = Sample::new(LogSampling {
                interval: Duration::from_secs(1),
                first: 2,
                thereafter,
            });
            let now = clock::monotonic();
            let early = (0..10).filter(|_| sample.counts(7, now)).count();
            let later = now + Duration::from_secs(1);
            (early, (0..2).filter(|_| sample.counts(7, later)).count())
        };
        assert_eq!(counted(0), (2, 2));
        assert_eq!(counted(4), (4, 2));
    }
}

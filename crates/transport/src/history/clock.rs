//! The time of day that the history believes, since the clock of the machine may be set wrong.
//!
//! Ages are counted by the believed time. It advances with the monotonic clock, and with readings that
//! are near it. A reading that is far from it must last before it is believed, so that one wrong
//! reading neither hides what is kept nor keeps what is old. Until then ages follow the earlier of the
//! two, because an update that was kept for too long can still be deleted, but not the other way round.

use std::time::Instant;

use super::options::UnixMillis;

/// A reading at most this far from the believed time is believed at once. In milliseconds.
pub(super) const STEP: u64 = 5 * 60 * 1_000;
/// A jump ahead is believed when it has lasted this share of itself, within bounds.
const SHARE: i128 = 5_000;
/// The bounds of that time, in milliseconds: a jump of four hours lasts the least, one of 35 days and
/// more the longest.
const LASTS: (i128, i128) = (3_000, 600_000);

/// The clock of one opening of a log.
pub(super) struct Clock {
    read: UnixMillis,
    begun: Instant,
    judge: Judge,
}

impl Clock {
    /// Starts the clock of a log. `created` is the time that was believed when the newest segment was
    /// begun; `None` for a log that keeps nothing, which believes the first reading.
    pub(super) fn start(read: UnixMillis, created: Option<u64>) -> Self {
        Self {
            read,
            begun: instant(),
            judge: Judge {
                believed: created.map(i128::from),
                ..Judge::default()
            },
        }
    }

    /// Tells the clock the time of the newest update, which came from a reading.
    pub(super) fn committed(&mut self, time: u64) {
        self.judge.committed = Some(i128::from(time));
    }

    /// The reading of the clock, in milliseconds since 1970.
    pub(super) fn reading(&self) -> u64 {
        (self.read)()
    }

    /// The time by which ages are counted: as far as can be known, it is not in the future.
    pub(super) fn now(&mut self) -> u64 {
        let reading = self.reading();
        self.judge.judge(reading, self.elapsed())
    }

    /// The believed time; a doubtful reading does not change it.
    pub(super) fn believed(&self) -> u64 {
        match self.judge.believed {
            Some(believed) => time(believed + i128::from(self.elapsed())),
            None => self.reading(),
        }
    }

    /// The time of a group that is written now, after a group of the time `before`. It is the reading of
    /// the clock, except that it is never a little earlier than `before`, nor far earlier than the
    /// believed time: an update with a time that never was would be hidden as soon as the clock is
    /// right again.
    pub(super) fn stamp(&mut self, before: u64) -> u64 {
        // So that a first reading is believed from now on, and not from when ages are counted next.
        self.now();
        let (reading, believed) = (self.reading(), self.believed());
        let time = if believed.saturating_sub(reading) > STEP {
            believed
        } else {
            reading
        };
        // A time that is much earlier comes from a clock that was corrected.
        if before.saturating_sub(time) <= STEP {
            time.max(before)
        } else {
            time
        }
    }

    /// Milliseconds since the opening.
    pub(super) fn elapsed(&self) -> u64 {
        let elapsed = instant().duration_since(self.begun);
        u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether `wait` milliseconds have passed by this clock, which may be set back.
    pub(super) fn is_over_by_reading(&self, since: Moment, wait: u128) -> bool {
        u128::from(self.reading().abs_diff(since.reading)) >= wait
    }

    /// Whether `wait` milliseconds have passed by this clock or by the monotonic one, which cannot be set
    /// back.
    pub(super) fn is_over(&self, since: Moment, wait: u128) -> bool {
        let by_machine = self.elapsed().saturating_sub(since.elapsed);
        u128::from(by_machine) >= wait || self.is_over_by_reading(since, wait)
    }

    /// This moment, for [`Clock::is_over`].
    pub(super) fn moment(&self) -> Moment {
        Moment {
            reading: self.reading(),
            elapsed: self.elapsed(),
        }
    }
}

/// A moment on two clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    reading: u64,
    elapsed: u64,
}

#[expect(
    clippy::disallowed_methods,
    reason = "it only measures how long a doubtful reading of the given clock has lasted"
)]
fn instant() -> Instant {
    Instant::now()
}

/// Judges readings. All times are reduced to the moment of the opening, so that they do not change as
/// time passes.
#[derive(Debug, Default)]
struct Judge {
    /// `None` before the first reading.
    believed: Option<i128>,
    doubt: Option<Doubt>,
    /// When the newest update was committed, by a reading that may have been wrong.
    committed: Option<i128>,
}

/// Readings that are far from what is believed, all on one side of it.
#[derive(Debug, Clone, Copy)]
struct Doubt {
    /// The reading that is nearest to it.
    nearest: i128,
    since: u64,
}

impl Judge {
    /// The time by which ages are counted, `elapsed` milliseconds after the opening.
    fn judge(&mut self, reading: u64, elapsed: u64) -> u64 {
        let reading = i128::from(reading) - i128::from(elapsed);
        let believed = *self.believed.get_or_insert(reading);
        let jump = reading - believed;
        let is_ahead = jump > 0;
        if jump.abs() <= i128::from(STEP) {
            self.doubt = None;
            self.believed = Some(believed.max(reading));
        } else {
            let same_side = |doubt: &Doubt| (doubt.nearest > believed) == is_ahead;
            let before = self.doubt.filter(same_side).unwrap_or(Doubt {
                nearest: reading,
                since: elapsed,
            });
            let nearest = if is_ahead {
                before.nearest.min(reading)
            } else {
                before.nearest.max(reading)
            };
            let lasted = i128::from(elapsed.saturating_sub(before.since));
            // Two openings agree that it was that late, so only the rest is a jump. Otherwise the waits
            // would add up over openings that are shorter than the waits.
            let agreed = self
                .committed
                .filter(|committed| lasted >= LASTS.0 && (believed..=nearest).contains(committed));
            let believed = agreed.unwrap_or(believed);
            self.believed = Some(believed);
            let lasts = if is_ahead {
                ((nearest - believed) / SHARE).clamp(LASTS.0, LASTS.1)
            } else {
                LASTS.0
            };
            if lasted >= lasts {
                self.believed = Some(nearest);
                self.doubt = None;
            } else {
                self.doubt = Some(Doubt { nearest, ..before });
            }
        }
        let believed = self.believed.unwrap_or(reading);
        time(believed.min(reading) + i128::from(elapsed))
    }
}

fn time(milliseconds: i128) -> u64 {
    u64::try_from(milliseconds.max(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 60 * 60 * 1_000;
    const YEAR: u64 = 365 * 24 * HOUR;
    const NOON: u64 = 50 * YEAR;

    fn judge() -> Judge {
        Judge {
            believed: Some(i128::from(NOON)),
            ..Judge::default()
        }
    }

    #[test]
    fn one_wrong_reading_changes_nothing() {
        for wrong in [0, NOON - HOUR, NOON + HOUR, NOON + 10 * YEAR, u64::MAX] {
            let mut judge = judge();
            assert_eq!(judge.judge(NOON + 1_000, 1_000), NOON + 1_000);
            assert!(judge.judge(wrong, 2_000) <= NOON + 2_000, "{wrong}");
            assert_eq!(judge.judge(NOON + 3_000, 3_000), NOON + 3_000, "{wrong}");
            // However often.
            assert!(judge.judge(wrong, 9_000) <= NOON + 9_000, "{wrong}");
        }
    }

    #[test]
    fn a_jump_ahead_is_believed_when_it_has_lasted() {
        for (jump, lasts) in [(HOUR, 3_000), (24 * HOUR, 17_280), (10 * YEAR, 600_000)] {
            let mut judge = judge();
            judge.judge(NOON + jump, 0);
            let before = lasts - 1;
            assert_eq!(judge.judge(NOON + jump + before, before), NOON + before);
            let after = judge.judge(NOON + jump + lasts, lasts);
            assert_eq!(after, NOON + jump + lasts);
        }
    }

    /// The newest update was committed a day after the believed time, and the next opening is a day
    /// later: the wait is that for one day, and a shorter opening believes the update's time.
    #[test]
    fn the_newest_updates_time_shortens_the_wait() {
        const DAY: u64 = 24 * HOUR;
        for days in [1, 2, 30] {
            let committed = NOON + (days - 1) * DAY;
            let mut judge = judge();
            judge.committed = Some(i128::from(committed));
            let at = |elapsed| NOON + days * DAY + elapsed;
            judge.judge(at(0), 0);
            assert_eq!(judge.judge(at(2_999), 2_999), NOON + 2_999, "not at once");
            assert_eq!(judge.judge(at(3_000), 3_000), committed + 3_000);
            assert_eq!(judge.judge(at(17_279), 17_279), committed + 17_279);
            assert_eq!(judge.judge(at(17_280), 17_280), at(17_280));
        }
    }

    /// An update's time that is ahead of the reading says nothing.
    #[test]
    fn an_update_of_a_time_to_come_shortens_nothing() {
        let mut judge = judge();
        judge.committed = Some(i128::from(NOON + 10 * YEAR));
        judge.judge(NOON + 24 * HOUR, 0);
        let reading = NOON + 24 * HOUR + 17_279;
        assert_eq!(judge.judge(reading, 17_279), NOON + 17_279);
    }

    #[test]
    fn a_step_back_counts_at_once() {
        let mut judge = judge();
        for elapsed in [0, 1_000, 10_000] {
            let reading = NOON - 3 * HOUR + elapsed;
            assert_eq!(judge.judge(reading, elapsed), reading);
        }
        // It was believed, so the way back is a jump ahead.
        assert!(judge.judge(NOON + 11_000, 11_000) < NOON);
    }

    #[test]
    fn small_steps_add_up() {
        let mut judge = judge();
        let now = (1..=100).map(|step| judge.judge(NOON + step * STEP, step));
        assert_eq!(now.last(), Some(NOON + 100 * STEP));
    }
}

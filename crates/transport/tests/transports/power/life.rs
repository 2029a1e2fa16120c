//! The life of a history: processes that publish, crash and open it again, decided by a seed.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use talaria_transport::history::{History, HistoryOptions, OpenError, SyncMode};
use talaria_transport::{AppendError, Appended, Health, Pending, Position, Transport};

use super::clock::{Clock, DAY, STEP};
use super::model::{Crash, Model};
use super::oracle::Oracle;
use super::random::Random;
use super::verdict::Violation;
use crate::suite::{block_on, start, update};

/// The events that some histories keep.
const FEW_EVENTS: usize = 6;
/// Processes in the life of a history.
const PROCESSES: u64 = 5;
/// What `sync interval` promises to lose at most.
pub const INTERVAL: SyncMode = SyncMode::Interval(Duration::from_secs(10));

/// The life of one history.
pub struct Life {
    random: Random,
    pub model: Model,
    options: HistoryOptions,
    clock: Clock,
    was_wrong: bool,
    oracle: Oracle,
}

impl Life {
    pub fn new(seed: u64, mode: SyncMode) -> Self {
        let mut random = Random::new(seed);
        let clock = Clock::default();
        let reading = clock.clone();
        let mut options = HistoryOptions::new(Arc::new(move || reading.reading()));
        options.sync = mode;
        options.ring_bytes = 64 << 10;
        options.size = [None, Some(3), Some(40)][random.below(3) as usize];
        options.max_bytes = [None, Some(15_000), Some(100_000)][random.below(3) as usize];
        let ages = [None, None, Some(Duration::from_secs(60))];
        options.max_age = ages[random.below(3) as usize];
        if random.below(2) == 0 {
            options.events.count = FEW_EVENTS;
        }
        Self {
            model: Model::new(seed),
            oracle: Oracle::new(options.clone(), clock.clone()),
            options,
            clock,
            was_wrong: false,
            random,
        }
    }

    /// Runs the life to its end, or until a promise is broken.
    pub fn live(&mut self) -> Result<(), Violation> {
        for _ in 0..PROCESSES {
            if self.random.below(4) == 0 {
                self.model.crash_after(self.random.below(60));
            }
            if let Some(history) = self.open()? {
                self.oracle.check(&history, &self.model)?;
                self.publish(&history)?;
                if self.random.below(4) == 0 {
                    // A clean stop; a loss of power after it must not matter.
                    let is_ready = history.health() == Health::Ready;
                    drop(history);
                    if is_ready && self.model.is_alive() {
                        self.oracle.closed();
                    }
                    self.crash();
                } else {
                    self.crash();
                    drop(history);
                }
            } else {
                self.crash();
            }
        }
        let history = self.open()?;
        let history = history.ok_or_else(|| Violation("it opens after a crash".to_owned()))?;
        self.oracle.check(&history, &self.model)
    }

    /// Sets the clock by a little, as time servers do, or right. Once in a life it is wrong for a while, as on
    /// a machine that has lost the time.
    fn step(&mut self) {
        let little = [-500, -(STEP as i64)];
        let wrong = [-30 * DAY, 60 * DAY, 3_650 * DAY];
        if self.clock.is_wrong() && self.random.below(2) == 0 {
            self.clock.set(0);
        } else if self.random.below(12) == 0 {
            self.clock.set(little[self.random.below(2) as usize]);
        } else if !self.was_wrong && self.random.below(24) == 0 {
            self.was_wrong = true;
            self.clock.set(wrong[self.random.below(3) as usize]);
        }
    }

    fn crash(&mut self) {
        let crash = [Crash::Kill, Crash::PowerLoss][self.random.below(2) as usize];
        let names = self.model.names().into_iter();
        let newest = names.filter_map(|name| {
            let first = name.strip_suffix(".segment")?.split('-').nth(1)?;
            first.parse().ok().map(Position)
        });
        self.oracle.crashed(crash, newest.max().unwrap_or_default());
        self.model.crash(crash);
    }

    /// Opens the history, which may fail only if the process dies or the disk fails.
    fn open(&mut self) -> Result<Option<Arc<dyn Transport>>, Violation> {
        self.step();
        let mut faults = [self.random.below(150), 0][(self.random.below(4).min(1)) as usize];
        // Few enough that some openings succeed.
        let mut read_faults = [self.random.below(60), 0][(self.random.below(4).min(1)) as usize];
        loop {
            self.model.set_faults(faults);
            self.model.set_read_faults(read_faults);
            match History::open(self.model.mount(), self.options.clone()) {
                Ok(history) => {
                    self.model.set_faults(0);
                    self.model.set_read_faults(0);
                    let was_dying = self.model.live_on();
                    self.oracle
                        .opened(faults > 0 || read_faults > 0 || was_dying);
                    return Ok(Some(Arc::new(history)));
                }
                Err(OpenError::Io { source, .. }) if source.to_string().contains("dead") => {
                    return Ok(None);
                }
                // The same machine tries again, with the cache that a failed sync left.
                Err(OpenError::Io { source, .. }) if source.to_string().contains("fails") => {
                    faults = 0;
                }
                Err(OpenError::Io { source, .. }) if source.raw_os_error().is_some() => {
                    read_faults = 0;
                }
                Err(error) => {
                    return Err(Violation(format!(
                        "nothing durable is damaged, but: {error}"
                    )));
                }
            }
        }
    }

    fn publish(&mut self, history: &Arc<dyn Transport>) -> Result<(), Violation> {
        let recorder = start(history);
        let mut is_failing = self.random.below(3) == 0;
        if is_failing {
            let faults = [self.random.below(150), 1_000];
            self.model
                .set_faults(faults[(self.random.below(6) / 5) as usize]);
        }
        if self.random.below(3) == 0 {
            self.model.set_read_faults(self.random.below(300));
            // If the log has to read what it wrote, it may refuse to continue.
            is_failing = true;
        }
        if self.random.below(3) == 0 {
            self.model.crash_after(self.random.below(120));
        }
        for _ in 0..self.random.below(25) {
            self.step();
            // Some groups are so large that another thread syncs them while the next one is prepared.
            let is_burst = self.random.below(8) == 0;
            let count = 1 + self.random.below(if is_burst { 80 } else { 4 });
            // The first one is being routed while time passes and the others gather, so that a seed
            // is always the same life.
            recorder.shut();
            let entered = recorder.entered();
            let mut first = self.append(history, false);
            while recorder.entered() == entered && !first.poll() {
                std::thread::yield_now();
            }
            let passes = self.random.below(4_000);
            self.clock.pass(passes);
            let others: Vec<_> = (1..count).map(|_| self.append(history, is_burst)).collect();
            recorder.open();
            for asked in [first].into_iter().chain(others) {
                let number = asked.number;
                let outcome = asked.answer();
                let works = !is_failing && self.model.is_alive();
                self.oracle.answered(number, outcome, works)?;
            }
        }
        self.model.set_faults(0);
        self.model.set_read_faults(0);
        self.oracle.shown(&recorder.frames())
    }
}

/// An update that was appended.
struct Asked {
    number: u64,
    pending: Pending<'static, Outcome>,
    outcome: Option<Outcome>,
}

type Outcome = Result<Appended, AppendError>;

impl Asked {
    /// Whether its publisher has an answer.
    fn poll(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(outcome) = self.pending.as_mut().poll(&mut context) {
            self.outcome = Some(outcome);
        }
        self.outcome.is_some()
    }

    fn answer(self) -> Outcome {
        self.outcome.unwrap_or_else(|| block_on(self.pending))
    }
}

impl Life {
    fn append(&mut self, history: &Arc<dyn Transport>, is_burst: bool) -> Asked {
        let most = if is_burst && self.random.below(16) > 0 {
            2
        } else {
            3
        };
        let length = [0, 100, 6_000][self.random.below(most) as usize];
        if self.random.below(4) == 0 {
            return self.append_event(history);
        }
        let number = self.oracle.handed_over(length, false);
        let id = format!("chosen-{number}");
        let id = (self.random.below(4) == 0).then_some(&*id);
        let update = update(id, &format!("{number}:{}", "x".repeat(length)));
        Asked {
            number,
            pending: history.append(update),
            outcome: None,
        }
    }

    /// Appends the beginning or the end of a subscription.
    fn append_event(&mut self, history: &Arc<dyn Transport>) -> Asked {
        let number = self.oracle.handed_over(0, true);
        let subscription = self.random.below(4);
        let active = self.random.below(2) == 0;
        let mut update = update(None, "");
        update.data = format!("{{\"number\":{number},\"active\":{active}}}");
        update.by_hub = true;
        update
            .topics
            .insert(0, format!("subscription/{subscription}"));
        Asked {
            number,
            pending: history.append(update),
            outcome: None,
        }
    }
}

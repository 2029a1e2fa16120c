//! What a router measures of the groups that it routes.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use talaria_transport::Frame;

use crate::clock::Clock;
use crate::statistics::Histogram;

/// Bounds of how many updates a group has.
const SIZES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 4_096];

/// The moments at which frames were routed, and how many were routed at a time.
pub(crate) struct Measures {
    clock: Arc<dyn Clock>,
    began: Instant,
    groups: Histogram,
}

impl fmt::Debug for Measures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measures").finish_non_exhaustive()
    }
}

impl Measures {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            began: clock.now(),
            clock,
            groups: Histogram::new(SIZES, 1.0),
        }
    }

    /// Notes that a group was committed and is routed now.
    pub(super) fn stamp(&self, group: &[Arc<Frame>]) {
        let moment = self.moment(self.clock.now());
        for frame in group {
            frame.stamp.set(moment);
        }
        self.groups.observe(group.len() as u64);
    }

    /// How long ago a frame was routed; `None` if this router did not route it.
    pub(super) fn age(&self, frame: &Frame, now: Instant) -> Option<Duration> {
        let since = frame.stamp.get()?;
        Some(Duration::from_nanos(self.moment(now).saturating_sub(since)))
    }

    /// How many updates the groups had.
    pub(crate) fn groups(&self) -> &Histogram {
        &self.groups
    }

    /// Nanoseconds since the router began, and one more.
    fn moment(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.began);
        u64::try_from(passed.as_nanos()).map_or(u64::MAX, |passed| passed.saturating_add(1))
    }
}

//! Laws that the engine keeps for any sequence of operations, checked on the production types
//! against models that share no code with them.

mod alphabet;
mod bounds;
mod costs;
mod deadlines;
mod delivery;
mod index;
mod listing;
mod readers;
mod storm;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

use proptest::test_runner::Config;

use crate::engine::router::Effort;

/// The least effort, so that everything is done in as many parts as possible, and lanes of
/// `lane_positions` positions.
fn tiny_effort(lane_positions: usize) -> Effort {
    Effort {
        turns: usize::MAX,
        lane_positions,
        update_steps: 1,
        further_update_steps: 0,
        most_group_steps: 1,
        turn_steps: 1,
        page_steps: 1,
        hold: 1,
        many_patterns: 0,
        card_bytes: 2000,
    }
}

/// How many cases a property gets: 500, or 10,000 in the acceptance.
pub(crate) fn config() -> Config {
    config_of(500)
}

/// How many cases a property gets: `cases`, or up to twenty times as many in the acceptance.
pub(crate) fn config_of(cases: u32) -> Config {
    let full = std::env::var_os("TALARIA_FULL").is_some_and(|value| value == "1");
    Config::with_cases(if full { 10_000.min(20 * cases) } else { cases })
}

/// A bell that counts how often it rang.
#[derive(Debug, Default)]
pub(crate) struct Bell(AtomicUsize);

impl Bell {
    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        Arc::clone(self).into()
    }

    /// Whether it rang since the last call.
    fn rang(&self) -> bool {
        self.count() > 0
    }

    /// How often it rang since the last call.
    pub(crate) fn count(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

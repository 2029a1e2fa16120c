//! What the thread of a place follows, and a reload may change.

use std::sync::{Arc, Mutex, PoisonError};

use talaria_config::settings::RollSettings;
use tracing::Level;

use super::record::{Record, Value};
use super::style::Style;
use crate::serve::clock::unix_now;

/// What the thread of a place follows. A clone is the same.
#[derive(Clone)]
pub(super) struct Shared {
    /// When the file is moved away.
    roll: Arc<Mutex<Option<RollSettings>>>,
    /// How the line looks that says how many were dropped.
    style: Arc<Mutex<Style>>,
}

impl Shared {
    pub(super) fn new(roll: Option<RollSettings>, style: &Style) -> Self {
        Self {
            roll: Arc::new(Mutex::new(roll)),
            style: Arc::new(Mutex::new(style.clone())),
        }
    }

    /// When the file is moved away.
    pub(super) fn roll(&self) -> Option<RollSettings> {
        *self.roll.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says when the file is moved away from now on.
    pub(super) fn roll_by(&self, roll: Option<RollSettings>) {
        *self.roll.lock().unwrap_or_else(PoisonError::into_inner) = roll;
    }

    /// Says how the line looks from now on that says how many were dropped.
    pub(super) fn look_like(&self, style: &Style) {
        *self.style.lock().unwrap_or_else(PoisonError::into_inner) = style.clone();
    }

    /// The line that says how many lines were dropped. No level filters it, because the dropped lines had passed theirs.
    pub(super) fn notice(&self, what: &str, dropped: u64) -> String {
        let record = Record {
            level: Level::WARN,
            time: unix_now(),
            logger: "talaria".into(),
            event: "log_lines_dropped",
            message: format!("log lines were dropped: {what}"),
            fields: vec![("dropped".into(), Value::Unsigned(dropped))],
        };
        let style = self.style.lock().unwrap_or_else(PoisonError::into_inner);
        style.line(&record, &record.fields)
    }
}

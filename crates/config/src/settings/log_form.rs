//! How a line of a log looks.

use crate::settings::log_filter::FieldFilter;

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogForm {
    /// A JSON object.
    Json,
    /// A text for people.
    Console,
}

/// How a line looks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogStyle {
    /// Its form; `None` for what suits the place where it goes: a text on a terminal, else JSON.
    pub form: Option<LogForm>,
    /// Names and notations of its fields.
    pub notation: LogNotation,
    /// What is done to its fields, in this order.
    pub steps: Vec<LogStep>,
}

/// What is done to the fields of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum LogStep {
    /// A field is changed.
    Filter {
        /// Its path: the names of the groups around it, and its own.
        path: Vec<String>,
        /// How.
        filter: FieldFilter,
    },
    /// A field is added, with this value.
    Append {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
}

/// Names and notations of the fields that each line has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogNotation {
    /// The name of the message; empty to leave it out, as for the others.
    pub message: String,
    /// The name of the level.
    pub level: String,
    /// The name of the time.
    pub time: String,
    /// The name of the logger.
    pub logger: String,
    /// How levels are written; `None` for what suits the form.
    pub levels: Option<LevelNotation>,
    /// How times are written; `None` for what suits the form.
    pub times: Option<TimeNotation>,
    /// Whether times are those of this machine's zone, and not UTC.
    pub local: bool,
    /// How durations are written.
    pub durations: DurationNotation,
    /// What ends a line.
    pub ending: String,
}

impl Default for LogNotation {
    fn default() -> Self {
        Self {
            message: "msg".to_owned(),
            level: "level".to_owned(),
            time: "ts".to_owned(),
            logger: "logger".to_owned(),
            levels: None,
            times: None,
            local: false,
            durations: DurationNotation::default(),
            ending: "\n".to_owned(),
        }
    }
}

/// How a level is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LevelNotation {
    /// `info`.
    Lower,
    /// `INFO`.
    Upper,
    /// `INFO`, in the colour of the level.
    Color,
}

/// How a duration is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DurationNotation {
    /// Seconds, with their fraction.
    #[default]
    Seconds,
    /// Milliseconds, with their fraction.
    Milliseconds,
    /// Whole nanoseconds.
    Nanoseconds,
    /// `1.5s`.
    Text,
}

/// How a time is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeNotation {
    /// Seconds since 1970, with their fraction.
    Seconds,
    /// Milliseconds since 1970, with their fraction.
    Milliseconds,
    /// Whole nanoseconds since 1970.
    Nanoseconds,
    /// A text of these parts.
    Text(Vec<TimePart>),
}

/// A part of a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimePart {
    /// What `strftime` makes of this text.
    Formatted(String),
    /// The zone: `Z` for UTC, else `+01:00` or `+0100`.
    Zone {
        /// Whether hours and minutes have a colon between them.
        colon: bool,
    },
}

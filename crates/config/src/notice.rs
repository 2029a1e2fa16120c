//! What to tell the operator when the hub starts.

/// How urgent a [`Notice`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something has no effect, and none is needed.
    Info,
    /// The configuration probably does not do what its author wants.
    Warning,
}

/// Something to tell the operator once at start; it never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How urgent it is.
    pub level: Level,
    /// The message, one line.
    pub text: String,
}

impl Notice {
    /// An informative notice.
    pub fn info(text: impl Into<String>) -> Self {
        Self {
            level: Level::Info,
            text: text.into(),
        }
    }

    /// A warning.
    pub fn warning(text: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            text: text.into(),
        }
    }
}

//! What happened to one store.

use talaria_config::Error;

/// What happened to a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The root was put into it.
    Added,
    /// The root was in it already.
    Kept,
    /// The root was taken out of it.
    Removed,
    /// The root was not in it.
    Absent,
    /// It was left alone, for this reason.
    LeftAlone(String),
}

/// A store, and what happened to it.
#[derive(Debug)]
pub(crate) struct Visit {
    /// The store, with its place.
    pub store: String,
    /// The programs that read it.
    pub readers: &'static str,
    /// What happened.
    pub outcome: Result<Outcome, Error>,
}

impl Visit {
    /// A store that no program is known to read.
    pub(super) fn failed(store: &str, error: Error) -> Self {
        Self {
            store: store.to_owned(),
            readers: "",
            outcome: Err(error),
        }
    }

    /// Whether the store holds the root now.
    pub(crate) fn holds_root(&self) -> bool {
        matches!(self.outcome, Ok(Outcome::Added | Outcome::Kept))
    }
}

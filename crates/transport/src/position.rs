//! The only address in the log.

use std::fmt;

/// A place in the log: dense and strictly increasing from 1. Zero is the place before the first
/// update. As a reader's position it means that everything up to it was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl Position {
    /// The place before the first update.
    pub const ORIGIN: Self = Self(0);

    /// The place after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The place `count` earlier, at least the origin.
    #[must_use]
    pub fn back(self, count: u64) -> Self {
        Self(self.0.saturating_sub(count))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What retention keeps: the updates after `floor`, up to and including `head`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Where a cursor may start at the earliest. A reader under way goes on below it while the
    /// bytes are there.
    pub floor: Position,
    /// The newest committed position.
    pub head: Position,
}

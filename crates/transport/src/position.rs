//! Addresses in the log.

use std::fmt;

/// A place in the log. Positions increase from 1 without gaps; zero is the place before the first
/// update. A reader at a position has read everything up to it.
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

    /// The place `count` positions earlier, or the origin.
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

/// The updates that retention keeps: those after `floor`, up to and including `head`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The earliest position from which a subscriber may resume. A reader that is already below it
    /// continues while the log still has the bytes.
    pub floor: Position,
    /// The newest committed position.
    pub head: Position,
}

//! The openings of a log.

use crate::{Position, RunTag};

/// One opening for writing: a random tag and the first position that it could give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) tag: RunTag,
    pub(super) first: Position,
}

//! The openings of a log.

use crate::{Position, RunTag};

/// One opening for writing: its random tag and the first position that it can give to an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) tag: RunTag,
    pub(super) first: Position,
}

//! Which log it is, and the ids of its events.

use super::backend::Attached;
use crate::{EventIds, RunTag};

/// Which log it is.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) ids: EventIds,
    pub(super) tag: RunTag,
}

impl Identity {
    pub(super) fn of(attached: &Attached) -> Self {
        Self {
            ids: EventIds::new(&attached.key),
            tag: RunTag::from_u64(attached.tag),
        }
    }
}

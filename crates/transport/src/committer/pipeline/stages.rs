//! The stages in which a log on a disk stores a group.

use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::Update;

use crate::{AppendError, Frame};

/// A log that stores groups in stages. Called by the committer's thread.
pub(crate) trait Pipeline: Send + 'static {
    /// A group as it will be stored.
    type Prepared;
    /// A group that is being stored.
    type Begun;

    /// Turns updates into frames. They follow those that are `prepared` already, else those of the group
    /// that is `begun`, else the end of the log.
    fn prepare(
        &mut self,
        updates: Vec<Update>,
        prepared: Option<Self::Prepared>,
        begun: Option<&Self::Begun>,
    ) -> Self::Prepared;

    /// Begins to store a group; called when none is being stored.
    fn begin(&mut self, group: Self::Prepared) -> Result<Self::Begun, AppendError>;

    /// Waits for most of the time that storing a group takes; returns whether there is time to prepare
    /// the updates that have come meanwhile.
    fn is_long(&mut self, group: &Self::Begun) -> bool;

    /// Waits until a group is stored.
    fn finish(&mut self, group: Self::Begun) -> Result<Vec<Arc<Frame>>, AppendError>;

    /// Called after a group was routed.
    fn routed(&mut self);

    /// Does what is due while nothing waits; returns after what time to call it again.
    fn idle(&mut self) -> Option<Duration>;
}

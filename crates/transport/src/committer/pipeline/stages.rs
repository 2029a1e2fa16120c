//! What a log does with a group, stage by stage.

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

    /// Turns updates into frames behind those that are `prepared` already, else behind those of the
    /// group that is `begun`, if there is one.
    fn prepare(
        &mut self,
        updates: Vec<Update>,
        prepared: Option<Self::Prepared>,
        begun: Option<&Self::Begun>,
    ) -> Self::Prepared;

    /// Begins to store a group; called when none is being stored.
    fn begin(&mut self, group: Self::Prepared) -> Result<Self::Begun, AppendError>;

    /// Waits for most of the time that storing a group takes; whether it is worth while to prepare
    /// what has come meanwhile before waiting for the rest.
    fn is_long(&mut self, group: &Self::Begun) -> bool;

    /// Waits until a group is stored.
    fn finish(&mut self, group: Self::Begun) -> Result<Vec<Arc<Frame>>, AppendError>;

    /// Called after a group was routed.
    fn routed(&mut self);

    /// Does what is due when nothing waits; after what time to call it again.
    fn idle(&mut self) -> Option<Duration>;
}

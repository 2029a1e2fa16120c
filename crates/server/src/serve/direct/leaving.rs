//! A stream that leaves hyper, with what it holds until its end.

use axum::body::Body;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::serve::admission::UnderWay;

/// A stream that has left hyper.
pub(crate) struct Leaving {
    /// What it sends.
    pub body: Body,
    /// Counts the request until its last byte has left.
    pub under_way: Option<UnderWay>,
    /// Held until the stream has ended.
    pub open: Option<TaskTrackerToken>,
    /// Whether the client or the answer asks for the end of the connection.
    pub closes: bool,
}

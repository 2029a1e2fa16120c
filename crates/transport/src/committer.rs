//! Group commit: updates that wait are committed together, in the order in which they came.
//!
//! There are two committers. A log in memory is committed [inline], by the publisher that finds it
//! idle. A log on a disk is committed in a [pipeline], by a thread that prepares the next group while
//! the disk stores the one before it.

pub(crate) mod answers;
mod handle;
pub(crate) mod inline;
pub(crate) mod pipeline;
pub(crate) mod queue;
mod shared;
pub(crate) mod waiting;

pub(crate) use self::handle::Committer;

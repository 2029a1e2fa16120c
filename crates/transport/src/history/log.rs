//! The writer's side of the log: groups, segments, and what to do when the disk fails.

mod commit;
mod events;
mod failure;
mod group;
mod housekeeping;
mod roll;
mod space;
mod syncer;
mod writer;

pub(super) use self::syncer::Syncer;
pub(super) use self::writer::{GROUP_BYTES, Log};

//! The writer of the log: it appends groups, begins and deletes segments, and handles failures of the
//! disk.

mod commit;
mod events;
mod failure;
mod group;
mod housekeeping;
mod roll;
mod space;
mod syncer;
mod writer;

pub(super) use self::space::is_almost_full;
pub(super) use self::syncer::Syncer;
pub(super) use self::writer::{GROUP_BYTES, Log};

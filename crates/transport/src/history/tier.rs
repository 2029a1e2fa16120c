//! Tiers: one index over many sealed segments, so that what a resume or a look-up costs does not grow with
//! the number of segments (ADR 0030).
//!
//! A tier says in which of its segments a topic or a chosen id occurs. It is derived from the indexes of
//! its segments, written by a thread of the log when they are all sealed, never synced, and ignored when
//! it does not fit or is damaged.

mod blocks;
mod entry;
mod file;
mod give_up;
mod keeper;
mod list;
mod plan;
mod write;

pub(super) use self::file::{Row, Tier, is_whole};
pub(super) use self::give_up::give_up;
pub(super) use self::keeper::Keeper;
pub(super) use self::list::{Tiers, covering};

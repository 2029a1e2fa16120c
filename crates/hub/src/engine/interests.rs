//! Interests: what readers ask for and may receive. Readers with the same selection share one.

mod index;
mod interest;
mod judge;
mod keys;
mod members;
mod patterns;
mod selection;
mod table;

pub(crate) use self::index::{Condition, Family, Index, SetName};
pub(crate) use self::interest::{Interest, Number, Serial};
pub(crate) use self::judge::{Allowance, PageFilter, Progress};
pub(crate) use self::keys::{Hashing, Keys};
pub(crate) use self::members::Members;
pub(crate) use self::patterns::{Candidates, Place};
pub(crate) use self::selection::Selection;

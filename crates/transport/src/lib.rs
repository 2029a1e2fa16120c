//! The ordered log of updates and where it lives.
//!
//! A transport is one ordered log; a [`Position`] is its only address. Updates are appended, get a
//! position and an event id, become a [`Frame`] (their event stream bytes, made once and shared)
//! and are handed to a [`Route`] in commit order. Readers come by with a position.
#![forbid(unsafe_code)]

mod committer;
pub mod event_id;
mod events;
mod frame;
pub mod history;
mod memory;
mod position;
mod ring;
#[doc(hidden)]
pub mod sync;
mod transport;

pub use event_id::{EventIds, RunTag};
pub use events::EventBounds;
pub use frame::Frame;
pub use history::{History, HistoryOptions};
pub use memory::{Memory, MemoryOptions};
pub use position::{Bounds, Position};
pub use ring::Ring;
pub use transport::{
    Admit, AppendError, Appended, Health, Lookup, Page, Pending, ReadError, Route, Transport,
    Unavailable, Verdict,
};

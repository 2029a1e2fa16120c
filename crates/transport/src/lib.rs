//! The ordered log of a [Mercure](https://mercure.rocks) hub: where updates are stored until every
//! subscriber has read them.
//!
//! A [`Transport`] is one ordered log, and a [`Position`] is an address in it. An update that is
//! appended gets the next position and an event id, and becomes a [`Frame`]: the bytes of its event,
//! made once and shared by all readers. Committed frames go to a [`Route`] in the order of the log. A
//! reader asks for what follows its position.
//!
//! | Transport | Keeps updates |
//! |---|---|
//! | [`Memory`] | in memory, until the process ends |
//! | [`History`] | on a disk; an acknowledged update survives a loss of power |
//!
//! Both keep their newest updates in a [`Ring`], from which a hub serves live subscribers.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//!
//! use talaria_protocol::Update;
//! use talaria_transport::{Frame, Memory, MemoryOptions, Ring, Route, Transport};
//!
//! /// Puts committed updates where subscribers look.
//! struct Visible(Arc<Ring>);
//!
//! impl Route for Visible {
//!     fn route(&self, group: &[Arc<Frame>], acknowledge: &mut dyn FnMut()) {
//!         self.0.extend(group);
//!         acknowledge();
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let log = Memory::open(MemoryOptions::default())?;
//! log.start(Arc::new(Visible(Arc::clone(log.ring()))));
//!
//! let mut update = Update::default();
//! update.topics = vec!["https://example.com/books/1".to_owned()];
//! update.data = "sold out".to_owned();
//! let appended = log.append(update).await?;
//!
//! assert_eq!(appended.position, log.bounds().head);
//! assert_eq!(log.newest_id(), Some(appended.event_id));
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! # Compatibility
//!
//! Options and reports may get more fields, so they cannot be written as literals outside of this
//! crate. What an operation came to ([`AppendError`], [`ReadError`], [`Lookup`], [`Verdict`],
//! [`Health`]) has no further variants: a hub has to deal with each of them.
#![forbid(unsafe_code)]
#![warn(missing_debug_implementations, unreachable_pub)]

mod committer;
mod event_id;
mod events;
mod frame;
pub mod history;
pub mod measures;
mod memory;
mod position;
mod ring;
pub mod shared;
// The hub's own locks are of the same kind, so that loom explores both.
#[doc(hidden)]
pub mod sync;
mod transport;

pub(crate) use event_id::{EventIds, RunTag};
pub use events::EventBounds;
pub use frame::{Frame, Stamp};
pub use history::{History, HistoryOptions};
pub use memory::{Memory, MemoryOptions};
pub use position::{Bounds, Position};
pub use ring::Ring;
pub use transport::{
    Admit, AppendError, Appended, Health, Lookup, Nodes, Page, Pending, ReadError, RepeatKey,
    Route, Transport, Unavailable, Verdict,
};

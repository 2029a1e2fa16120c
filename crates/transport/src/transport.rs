//! What every transport offers, and the words that it answers in.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use talaria_protocol::Update;

use crate::frame::Frame;
use crate::position::{Bounds, Position};
use crate::ring::Ring;

/// A future that a transport returns; the trait stays object safe.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An ordered log of updates.
pub trait Transport: Send + Sync + 'static {
    /// The newest part of the log, in memory.
    fn ring(&self) -> &Arc<Ring>;

    /// Names the one who makes committed updates visible; called once, before the first append.
    fn start(&self, route: Arc<dyn Route>);

    /// Appends an update: it gets its position and id, is committed and routed. Completes even if
    /// the returned future is dropped.
    fn append(&self, update: Update) -> Pending<'static, Result<Appended, AppendError>>;

    /// Appends updates in this order and with one commit: all of them, or none. Completes even if
    /// the returned future is dropped.
    fn append_all(
        &self,
        updates: Vec<Update>,
    ) -> Pending<'static, Result<Vec<Appended>, AppendError>>;

    /// Reads committed updates after `from`, not beyond `up_to`, that the filter admits.
    ///
    /// At most `limit` bytes of them, or one. What a page looks at is bounded too, so it may end early
    /// and empty; the next one goes on from [`Page::looked_up_to`]. Subscription events that are no
    /// longer kept are passed over.
    fn read(
        &self,
        from: Position,
        up_to: Position,
        limit: usize,
        filter: Arc<dyn Admit>,
    ) -> Pending<'_, Result<Page, ReadError>>;

    /// Resolves a cursor. Never called with the reserved `earliest`.
    ///
    /// # Errors
    /// When the log cannot be read now, so that nothing is known about the id.
    fn position_of<'a>(&'a self, event_id: &'a str) -> Pending<'a, Result<Lookup, Unavailable>>;

    /// What retention keeps.
    fn bounds(&self) -> Bounds;

    /// The id of the newest committed update, `None` if there is none.
    fn newest_id(&self) -> Option<String>;

    /// Whether updates can be stored.
    fn health(&self) -> Health {
        Health::Ready
    }
}

/// Whether a transport can store updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It can.
    Ready,
    /// Updates are refused, and why.
    Refusing(&'static str),
}

/// Makes committed updates visible to readers.
pub trait Route: Send + Sync {
    /// Routes a group: afterwards its updates are in the ring and visible. `acknowledge` is called
    /// once they are, and before any reader is woken.
    fn route(&self, group: &[Arc<Frame>], acknowledge: &mut dyn FnMut());
}

/// Judges a frame for one reader: its matchers and its grants.
pub trait Admit: Send + Sync {
    /// Whether the reader may and wants to receive the frame. Frames are judged in the log's order.
    fn judge(&self, frame: &Frame) -> Verdict;

    /// Whose share of the readers a page takes: clients that are equal here wait for each other.
    fn client(&self) -> u64 {
        0
    }

    /// Whether only subscription events are admitted, which are then found without the updates: from
    /// any position on, since they are kept by bounds of their own ([`EventBounds`](crate::EventBounds)) and not by what
    /// [`Transport::bounds`] says.
    fn by_hub_only(&self) -> bool {
        false
    }

    /// The only topics whose updates may be admitted, compared byte for byte; `None` if they
    /// cannot be named.
    fn exact_topics(&self) -> Option<Vec<&str>> {
        None
    }
}

/// What a reader says of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It receives the frame.
    Admitted,
    /// It does not.
    Refused,
    /// Judging this page has cost enough: the page ends in front of the frame, and the next one goes
    /// on with it.
    Later,
}

impl From<bool> for Verdict {
    fn from(admitted: bool) -> Self {
        if admitted {
            Self::Admitted
        } else {
            Self::Refused
        }
    }
}

/// An acknowledged update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Its place in the log.
    pub position: Position,
    /// Its id: the publisher's, or one that the transport made.
    pub event_id: String,
}

/// Why an update has no acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Not stored, and never will be.
    #[error("the update was not stored: {0}")]
    Refused(&'static str),
    /// Nobody knows; the publisher must not be answered.
    #[error("whether the update was stored is unknown")]
    Unknown,
}

/// Part of the log, filtered.
#[derive(Debug)]
pub struct Page {
    /// The admitted frames, in order.
    pub frames: Vec<Arc<Frame>>,
    /// Everything up to here was looked at.
    pub looked_up_to: Position,
}

/// Why a page cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The log no longer holds what comes after the reader's position.
    #[error("the log no longer holds what follows position {0}")]
    Passed(Position),
    /// The log may hold it; the same read may succeed later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The log cannot be read now: the disk fails, or the process has no descriptor left. This says
/// nothing about what the log holds; the transport has logged the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the log cannot be read now")]
pub struct Unavailable;

/// What a cursor stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// A kept update.
    Found(Position),
    /// An id of this log whose update retention deleted.
    Deleted,
    /// An id that a run of this log gave to an update that did not survive it: resume from the
    /// run's last update.
    Past {
        /// The run's last position.
        position: Position,
        /// Its id.
        event_id: String,
    },
    /// No id of this log, or one whose record is gone.
    Unknown,
    /// The transport does not look ids up.
    Unsupported,
}

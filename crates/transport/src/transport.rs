//! The trait of all transports, and the types of its answers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::Update;

use crate::frame::Frame;
use crate::measures::Figures;
use crate::position::{Bounds, Position};
use crate::ring::Ring;

/// A future that a transport returns; the trait stays object safe.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An ordered log of updates.
pub trait Transport: Send + Sync + 'static {
    /// What the log is called in traces.
    fn name(&self) -> &'static str {
        "custom"
    }

    /// The newest part of the log, in memory.
    fn ring(&self) -> &Arc<Ring>;

    /// Sets where committed updates go to become visible; called once, before the first append.
    fn start(&self, route: Arc<dyn Route>);

    /// Appends an update: gives it a position and an id, commits it and routes it. The append completes
    /// even if the returned future is dropped.
    fn append(&self, update: Update) -> Pending<'static, Result<Appended, AppendError>>;

    /// Appends updates in this order and with one commit: all of them, or none. The append completes
    /// even if the returned future is dropped.
    fn append_all(
        &self,
        updates: Vec<Update>,
    ) -> Pending<'static, Result<Vec<Appended>, AppendError>>;

    /// Appends updates as [`Self::append_all`] does, except those with a key with which any process appended
    /// an update within `window`: for them it answers where that update is. `None` if the log does not remember
    /// keys, and the hub has to.
    fn append_once(
        &self,
        updates: Vec<(Update, Option<RepeatKey>)>,
        window: Duration,
    ) -> Option<Pending<'static, Result<Vec<Appended>, AppendError>>> {
        _ = (updates, window);
        None
    }

    /// The other processes that append to the log; `None` if the log has one process at a time.
    fn nodes(&self) -> Option<&dyn Nodes> {
        None
    }

    /// Reads the committed updates after `from`, up to and including `up_to`, that the filter admits.
    ///
    /// A page has at most `limit` bytes of them, or a single one that is larger. The updates that it
    /// looks at are bounded too, so it may end early and be empty; the next page continues from
    /// [`Page::looked_up_to`]. It skips subscription events that are no longer kept.
    fn read(
        &self,
        from: Position,
        up_to: Position,
        limit: usize,
        filter: Arc<dyn Admit>,
    ) -> Pending<'_, Result<Page, ReadError>>;

    /// Finds the update that has an event id, from which a subscriber resumes. Never called with the
    /// reserved `earliest`.
    ///
    /// # Errors
    /// If the log cannot be read now, so that nothing is known about the id.
    fn position_of<'a>(&'a self, event_id: &'a str) -> Pending<'a, Result<Lookup, Unavailable>>;

    /// The positions that retention keeps.
    fn bounds(&self) -> Bounds;

    /// The id of the newest committed update, `None` if there is none.
    fn newest_id(&self) -> Option<String>;

    /// Whether updates can be stored.
    fn health(&self) -> Health {
        Health::Ready
    }

    /// What the log holds, for metrics. May wait for a lock.
    fn figures(&self) -> Figures {
        Figures::default()
    }
}

/// What identifies a publish that its client may repeat: a hash of the publisher and the id.
pub type RepeatKey = [u8; 32];

/// The processes that append to one log.
///
/// The log keeps the subscriptions that they announce beside it. A subscription event that begins a
/// subscription stores it there; one that ends a subscription removes it, and is stored only if it was there,
/// so that several processes may end the same one. An append of an end that was stored before succeeds.
pub trait Nodes: Send + Sync {
    /// Waits until processes have died and have left subscriptions, and returns the events that began some of
    /// these. The caller appends their ends, and asks again.
    fn orphans(&self) -> Pending<'_, Vec<Update>>;
}

/// Whether a transport can store updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Updates are stored.
    Ready,
    /// Updates are refused, for this reason.
    Refusing(&'static str),
}

/// Makes committed updates visible to readers.
pub trait Route: Send + Sync {
    /// Routes a group of updates that were committed together: puts them into the ring and makes them
    /// visible, then calls `acknowledge`, and only then wakes readers.
    fn route(&self, group: &[Arc<Frame>], acknowledge: &mut dyn FnMut());

    /// Replaces what is known of active subscriptions by those that these events began. Called by a log of several
    /// processes ([`Transport::nodes`]) before the first group, and when the log has lost updates.
    fn restore(&self, begun: &[Update]) {
        _ = begun;
    }

    /// Goes on after `up_to`, although not all updates up to there were routed: the log of several processes has
    /// deleted them before this one had read them, and the ring has been restarted after them. Readers that have not
    /// passed `up_to` have to read the log, which tells them so.
    fn pass_over(&self, up_to: Position) {
        _ = up_to;
    }
}

/// Judges a frame for one reader: its matchers and its grants.
pub trait Admit: Send + Sync {
    /// Decides whether the reader receives the frame. Frames are judged in the order of the log.
    fn judge(&self, frame: &Frame) -> Verdict;

    /// The client that reads. Pages of the same client wait for each other, pages of others do not wait
    /// for them.
    fn client(&self) -> u64 {
        0
    }

    /// Whether the reader admits subscription events only. They are then read without the updates, from
    /// any position on: [`EventBounds`](crate::EventBounds) says how many are kept, not
    /// [`Transport::bounds`].
    fn by_hub_only(&self) -> bool {
        false
    }

    /// The only topics whose updates the reader may admit, compared byte for byte; `None` if it cannot
    /// name them.
    fn exact_topics(&self) -> Option<Vec<&str>> {
        None
    }
}

/// What a reader decides about a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The reader receives the frame.
    Admitted,
    /// The reader does not receive the frame.
    Refused,
    /// Judging this page has cost enough: the page ends before the frame, and the next page begins with
    /// it.
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
    /// Its event id: the publisher's, or one that the transport made.
    pub event_id: String,
}

/// Why an update was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The update is not stored, and never will be.
    #[error("the update was not stored: {0}")]
    Refused(&'static str),
    /// It is unknown whether the update is stored; a hub must not answer the publisher.
    #[error("whether the update was stored is unknown")]
    Unknown,
}

/// A part of the log, filtered for one reader.
#[derive(Debug)]
pub struct Page {
    /// The admitted frames, in order.
    pub frames: Vec<Arc<Frame>>,
    /// The position up to which the log was read.
    pub looked_up_to: Position,
}

/// Why a page could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The log no longer holds the updates after the reader's position.
    #[error("the log no longer holds what follows position {0}")]
    Passed(Position),
    /// The log may hold them; the same read may succeed later.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The log cannot be read now, because the disk fails or the process has no file descriptor left. This
/// does not say what the log holds. The transport has logged the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the log cannot be read now")]
pub struct Unavailable;

/// What an event id stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The update at this position, which is kept.
    Found(Position),
    /// An update of this log that retention has deleted.
    Deleted,
    /// An update that an earlier run of the log lost in a crash; the subscriber resumes from the last
    /// update of that run.
    Past {
        /// The last position of the run.
        position: Position,
        /// The event id of that position.
        event_id: String,
    },
    /// The log does not know the id.
    Unknown,
    /// The transport does not look up ids.
    Unsupported,
}

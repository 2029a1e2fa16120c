//! What a server that keeps a shared log has to do for the engine.

use std::future::Future;
use std::time::Duration;

use talaria_protocol::Update;

use crate::Position;

/// Where a shared log is kept. Several nodes use one at the same time.
///
/// Each call has a deadline: it answers within a few seconds, or fails with
/// [`BackendError::Away`]. A call that is dropped leaves no connection in a state in which the next call would
/// read its answer.
pub trait Backend: Send + Sync + 'static {
    /// What the log is called in traces and metrics.
    fn name(&self) -> &'static str;

    /// Enters a node as member, and creates the log if there is none. A log that is created begins with a run
    /// that is greater than `after` is in, so that no position is given twice although the log was lost.
    fn attach(
        &self,
        member: Member,
        after: Position,
    ) -> impl Future<Output = Result<Attached, BackendError>> + Send;

    /// Appends the entries of a batch in order, with nothing in between: all, or none, unless the server fails half-way.
    /// The number of a batch is one more than that of the member's last one; the same number again stores nothing, and
    /// returns where the batch is. Returns what became of each entry.
    fn append(
        &self,
        batch: &Batch,
    ) -> impl Future<Output = Result<Vec<Outcome>, BackendError>> + Send;

    /// Finds out whether a batch whose answer was lost is stored. If it is not, its number is used up, so that it
    /// never will be, on any copy of the log that may still be promoted. Never says so of a batch that failed half-way.
    fn settle(
        &self,
        member: Member,
        number: u64,
    ) -> impl Future<Output = Result<Settled, BackendError>> + Send;

    /// Waits up to about a second for records after a position, and returns them as soon as they are as durable as
    /// configured; none if there are none. At most about 1,000 records or 1 MiB, or one record.
    fn tail(
        &self,
        after: Position,
    ) -> impl Future<Output = Result<Vec<Record>, BackendError>> + Send;

    /// Reads records after `after`, up to and including `up_to`, in order: at most `most_records`, and at most about
    /// `most_bytes` or one record.
    fn page(
        &self,
        after: Position,
        up_to: Position,
        most_records: usize,
        most_bytes: usize,
    ) -> impl Future<Output = Result<Records, BackendError>> + Send;

    /// Reads the newest records up to `up_to`, of about `most_bytes` bytes in all; in order.
    fn newest(
        &self,
        up_to: Position,
        most_bytes: usize,
    ) -> impl Future<Output = Result<Records, BackendError>> + Send;

    /// The earliest kept update with an id that a publisher chose, or that there is none; both as durable as
    /// configured, because a server that was cut off knows neither.
    fn find(&self, id: &str)
    -> impl Future<Output = Result<Option<Position>, BackendError>> + Send;

    /// Adds one to the member's counter, does a slice of what retention asks for, and says what is known of the log
    /// and its members.
    fn beat(&self, member: Member) -> impl Future<Output = Result<Beat, BackendError>> + Send;

    /// Declares a member dead if its counter is still `counter`: it may append no more, and the subscriptions that it
    /// began may be ended by others. Returns whether it was a member with this counter.
    fn bury(
        &self,
        member: Member,
        counter: u64,
    ) -> impl Future<Output = Result<bool, BackendError>> + Send;

    /// Removes a member that leaves in an orderly way; its subscriptions, if any are left, are as those of a buried
    /// one.
    fn leave(&self, member: Member) -> impl Future<Output = Result<(), BackendError>> + Send;

    /// The stored subscriptions, of one member or of all, after `from` in an order of the backend's own; at most
    /// about 1,000 or 1 MiB.
    fn subscriptions(
        &self,
        of: Option<Member>,
        from: &Continue,
    ) -> impl Future<Output = Result<Subscriptions, BackendError>> + Send;
}

/// Identifies one membership of a node: a random number. A node that was buried comes back with another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Member(pub u128);

impl std::fmt::Display for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// What a node learns when it enters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Encrypts the positions in event ids; stored with the log.
    pub key: [u8; 16],
    /// Distinguishes this log from others: 58 bits, stored with the log.
    pub tag: u64,
    /// What the log keeps.
    pub bounds: crate::Bounds,
    /// Whether this call created the log.
    pub is_new: bool,
}

/// Updates that are stored together.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Who appends it.
    pub member: Member,
    /// 1, 2, 3 … within a membership.
    pub number: u64,
    /// What the member has read of the log. A log that is not as far goes on with a run that is greater than this
    /// one's: it is an older copy that took the place of a newer one, or has come back after it.
    pub after: Position,
    /// At most 1,000 of them or 1 MiB, unless a publisher wants more to be stored together.
    pub entries: Vec<Entry>,
}

/// An update and on what condition it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The update.
    pub update: Update,
    /// The condition.
    pub condition: Condition,
}

/// On what condition an update is stored; judged in the same atomic step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It always is.
    Always,
    /// The update begins the subscription that is its first topic: stored, and kept beside the log under the member
    /// too, with its position, unless it is kept there already. If it is kept under a dead member, it is so no more.
    Begins,
    /// The update ends that subscription: stored only if it is kept beside the log under this member, or under one
    /// that is not a member any more, and removed there.
    Ends,
    /// Stored unless another update was stored with the same key within this time.
    Once([u8; 32], Duration),
    /// The update comes from another log, where it was stored at this time, in milliseconds since 1970: stored with
    /// this time, unless an update with its id is kept.
    Imported(u64),
}

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored at this position.
    Stored(Position),
    /// An update with the same key, or for an imported one with the same id, is stored at this position.
    Repeated(Position),
    /// The subscription is not kept beside the log, so it has ended already.
    Ended,
}

/// What became of a batch whose answer was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// It is stored.
    Stored(Vec<Outcome>),
    /// It is not, and never will be.
    Never,
    /// It failed half-way: any of its entries may be stored, and none will be later.
    Partly,
}

/// A stored update.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its place.
    pub position: Position,
    /// Where the run before ended, if this is the first record of a run. The origin if this copy of
    /// the log never had a record before, nor a subscription beside it, and only then.
    pub run_before: Option<Position>,
    /// Who appended it, with which batch, and the place of the entry in it.
    pub origin: Origin,
    /// When it was stored by the backend's clock, in milliseconds since 1970.
    pub time: u64,
    /// The update; `id` is what its publisher chose, and `by_hub` marks subscription events.
    pub update: Update,
}

/// Which entry of which batch a record was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Who appended it.
    pub member: Member,
    /// The number of the batch.
    pub batch: u64,
    /// The place of the entry in the batch, from 0.
    pub index: u32,
}

/// Records, and what the log kept when they were read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Records {
    /// In order.
    pub records: Vec<Record>,
    /// The position before the oldest kept update when these were read, or a later one.
    pub floor: Position,
    /// Up to where the log was read: the last record's position if more may follow, else what was asked for.
    pub looked_up_to: Position,
}

/// What is known of the log and its members.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Beat {
    /// The tag of the log; another one than before is another log.
    pub tag: u64,
    /// What the log keeps.
    pub bounds: crate::Bounds,
    /// Each member's counter.
    pub members: Vec<(Member, u64)>,
    /// The buried members of which subscriptions are left to be ended.
    pub buried: Vec<Member>,
    /// The bytes that the log takes, if the backend says so.
    pub bytes: Option<u64>,
    /// Why the backend would refuse updates, although it permits beats.
    pub refusing: Option<&'static str>,
    /// How long the oldest update that was published past the nodes waits to be moved into the log, if the backend has
    /// such a way.
    pub outbox: Option<Duration>,
}

/// Where reading of stored subscriptions goes on; the default is the beginning.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Continue(pub Vec<u8>);

/// A part of the stored subscriptions. One may be there twice, if members change meanwhile.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Subscriptions {
    /// The update that began each, and its position.
    pub begun: Vec<(Position, Update)>,
    /// Where to go on; `None` at the end.
    pub next: Option<Continue>,
}

/// Why a backend did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// The server refused before it did anything, for a reason that may pass: its memory is full, it is read-only, it
    /// loads its data.
    #[error("{0}")]
    Refusing(&'static str),
    /// The server does not answer, or the connection broke. What was asked for may be done, or not.
    #[error("{0}")]
    Away(String),
    /// Done, but not yet as durable as configured; the same call again may find that it is.
    #[error("too few replicas have confirmed")]
    NotDurable,
    /// The member was buried, or is not known to this copy of the log.
    #[error("this node is not a member of the log any more")]
    NoMember,
    /// The number of the batch is not the next one.
    #[error("the batch is out of order")]
    OutOfOrder,
    /// There is no log, or it is another one than the node attached to.
    #[error("the log is gone")]
    NoLog,
    /// Waiting does not mend it: a wrong password, a newer format, a missing permission.
    #[error("{problem}")]
    Fatal {
        /// What is wrong. Holds no secret.
        problem: String,
        /// What to do.
        remedy: String,
    },
}

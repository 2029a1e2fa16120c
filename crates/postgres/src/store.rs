//! What all calls need: the connections, the names, and which log the node attached to.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use talaria_transport::Position;
use talaria_transport::shared::backend::{BackendError, Record};
use tokio::sync::Notify;
use tokio_postgres::Row;

use crate::connection::Parameter;
use crate::fault::Fault;
use crate::link::{Held, Link, Purpose};
use crate::names;
use crate::options::PostgresOptions;
use crate::own::Own;

/// No log has this tag, since a tag has 58 bits.
const NO_LOG: u64 = u64::MAX;

/// One log in one server.
pub(crate) struct Store {
    pub(crate) link: Link,
    pub(crate) options: PostgresOptions,
    /// The name of the schema, as SQL quotes it.
    schema: String,
    tag: AtomicU64,
    /// The furthest that this node has read, as far as is known.
    read_to: AtomicU64,
    /// Whether the server is known to give transactions different connections, so that it cannot ring.
    is_pooled: AtomicBool,
    /// Whether there are other members, to whom to ring.
    has_others: AtomicBool,
    /// What this node appended and its tail has not passed.
    pub(crate) own: Own,
    /// Notified when there is something new in the log that is not in `own`.
    pub(crate) news: Notify,
    /// Notified when the other nodes are to learn that.
    pub(crate) rings: Notify,
}

impl Store {
    pub(crate) fn new(link: Link, options: PostgresOptions) -> Self {
        Self {
            link,
            schema: names::quoted(&options.schema),
            options,
            tag: AtomicU64::new(NO_LOG),
            read_to: AtomicU64::new(0),
            is_pooled: AtomicBool::new(false),
            has_others: AtomicBool::new(true),
            own: Own::default(),
            news: Notify::new(),
            rings: Notify::new(),
        }
    }

    /// The tag of the log that the node attached to, as a column has it.
    pub(crate) fn tag(&self) -> i64 {
        i64::try_from(self.known_tag()).unwrap_or(-1)
    }

    pub(crate) fn known_tag(&self) -> u64 {
        self.tag.load(Ordering::Acquire)
    }

    pub(crate) fn attach(&self, tag: u64) {
        self.tag.store(tag, Ordering::Release);
    }

    pub(crate) fn read_to(&self) -> Position {
        Position(self.read_to.load(Ordering::Acquire))
    }

    pub(crate) fn has_read(&self, to: Position) {
        self.read_to.store(to.0, Ordering::Release);
    }

    pub(crate) fn is_pooled(&self, held: &Held) -> bool {
        held.is_pooled || self.is_pooled.load(Ordering::Relaxed)
    }

    pub(crate) fn note_pooler(&self) {
        self.is_pooled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn note_others(&self, has_others: bool) {
        self.has_others.store(has_others, Ordering::Relaxed);
    }

    /// There is something new in the log with this tag: these records, or some that are not known.
    pub(crate) fn appended(&self, tag: i64, records: Option<Vec<Record>>) {
        match records {
            Some(records) => self.own.add(tag, records),
            None => self.news.notify_one(),
        }
        if self.has_others.load(Ordering::Relaxed) {
            self.rings.notify_one();
        }
    }

    /// A call of a function of the schema: `what` is its name and its arguments.
    pub(crate) fn call(&self, what: &str) -> String {
        format!("SELECT * FROM {}.{what}", self.schema)
    }

    /// A name of a table, as SQL has it.
    pub(crate) fn table(&self, name: &str) -> String {
        format!("{}.{name}", self.schema)
    }

    /// Calls a function of the schema on the connection for a purpose.
    ///
    /// # Errors
    /// As [`Connection::ask`](crate::connection::Connection::ask).
    pub(crate) async fn ask(
        &self,
        purpose: Purpose,
        what: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Fault> {
        let held = self.link.shared(purpose).await?;
        let answer = held.connection.ask(&self.call(what), parameters).await;
        self.link.judge(&held, answer)
    }

    /// Compares a tag that is stored with that of the log that the node attached to.
    ///
    /// # Errors
    /// [`BackendError::NoLog`] if they differ.
    pub(crate) fn check_tag(&self, stored: Option<i64>) -> Result<(), BackendError> {
        match stored {
            Some(tag) if tag == self.tag() => Ok(()),
            _ => Err(BackendError::NoLog),
        }
    }
}

/// The error that a word of a function stands for.
pub(crate) fn refused(word: &str) -> BackendError {
    match word {
        "nolog" => BackendError::NoLog,
        "nomember" => BackendError::NoMember,
        "order" => BackendError::OutOfOrder,
        _ => Fault::Unexpected("a word that this version knows").later(),
    }
}

//! Waiting for new records, on a separate connection.

use std::future::pending;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use talaria_transport::Position;
use talaria_transport::shared::backend::{BackendError, Record};
use tokio::time::{Instant, sleep};

use crate::fault::Fault;
use crate::link::Held;
use crate::own::Next;
use crate::record::{Wanted, part};
use crate::row::read;
use crate::store::Store;

/// How long a call waits for a record.
const WAIT: Duration = Duration::from_secs(1);
/// How long others are expected to append more, once they have.
const BUSY: Duration = Duration::from_millis(100);
/// How often to look while they do.
const BUSY_PAUSE: Duration = Duration::from_millis(5);
/// How often to look although the server has not rung: a connection may be half-open.
const PAUSE: Duration = Duration::from_millis(100);
/// How often to look if the server cannot ring.
const POOLED_PAUSE: Duration = Duration::from_millis(25);
const MOST_RECORDS: usize = 1_000;
const MOST_BYTES: usize = 1 << 20;

/// Reads what is appended, as soon as it is durable: no reader sees what waits for a standby.
#[derive(Default)]
pub(crate) struct Tail(Mutex<Option<Line>>);

/// The connection, while no call uses it: a call that is dropped takes it along.
struct Line {
    held: Held,
    /// Whether the server rings.
    listens: bool,
    /// The process of the server that answered first.
    backend: Option<i32>,
    /// Until when more is expected.
    busy_until: Instant,
    /// Up to where all was read at the last look.
    looked_up_to: Option<Position>,
}

impl Tail {
    /// See [`Backend::tail`](talaria_transport::shared::Backend::tail).
    pub(crate) async fn read(
        &self,
        store: &Store,
        after: Position,
    ) -> Result<Vec<Record>, BackendError> {
        store.has_read(after);
        let line = self.slot().take();
        let mut line = match line {
            Some(line) if store.link.is_current(&line.held) => line,
            _ => Line::open(store).await.map_err(Fault::later)?,
        };
        let records = line.wait(store, after).await?;
        *self.slot() = Some(line);
        Ok(records)
    }

    fn slot(&self) -> MutexGuard<'_, Option<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    async fn open(store: &Store) -> Result<Self, Fault> {
        let (held, _) = store.link.own().await?;
        let listens = !store.is_pooled(&held);
        if listens {
            let name = "SELECT quote_ident('talaria_' || $1::text::regclass::oid)";
            let log = store.table("log");
            let parameters = [(&log as _, tokio_postgres::types::Type::TEXT)];
            let rows = held.connection.ask(name, &parameters).await?;
            let row = rows.first().ok_or(Fault::Unexpected("a row"))?;
            let channel: String = read(row, 0)?;
            held.connection
                .ask(&format!("LISTEN {channel}"), &[])
                .await?;
        }
        Ok(Self {
            held,
            listens,
            backend: None,
            busy_until: Instant::now(),
            looked_up_to: None,
        })
    }

    async fn wait(&mut self, store: &Store, after: Position) -> Result<Vec<Record>, BackendError> {
        let end = Instant::now() + WAIT;
        let mut from = after;
        // A look after one that found all finds nothing yet, and costs as much.
        let mut is_due = self.looked_up_to != Some(after);
        loop {
            match store.own.take_after(store.tag(), from) {
                Next::Known(records) => {
                    self.looked_up_to = records.last().map(|record| record.position);
                    return Ok(records);
                }
                Next::Others => is_due = true,
                Next::Nothing => {}
            }
            let mut records = Vec::new();
            if is_due {
                (from, records) = self.look(store, from).await?;
            }
            if !records.is_empty() || Instant::now() >= end {
                return Ok(records);
            }
            is_due = self.pause(store).await;
        }
    }

    /// Reads what follows a position, and returns up to where.
    async fn look(
        &mut self,
        store: &Store,
        from: Position,
    ) -> Result<(Position, Vec<Record>), BackendError> {
        let wanted = Wanted {
            after: from,
            up_to: Position(u64::MAX),
            most_records: MOST_RECORDS,
            most_bytes: MOST_BYTES,
            backwards: false,
        };
        let part = part(store, &self.held, &wanted).await?;
        if *self.backend.get_or_insert(part.backend) != part.backend {
            // Transactions have different connections, so none is ours to listen on.
            self.listens = false;
            store.note_pooler();
        }
        if part.rows > 0 {
            self.busy_until = Instant::now() + BUSY;
        }
        let end = part.end.unwrap_or(from);
        let is_all = part.rows < MOST_RECORDS && part.bytes < MOST_BYTES;
        self.looked_up_to = is_all.then_some(end);
        Ok((end, part.records))
    }

    /// Waits until it is worth a look: whether in the server, or only at what this node appended.
    async fn pause(&self, store: &Store) -> bool {
        let pause = match (Instant::now() < self.busy_until, self.listens) {
            (true, _) => BUSY_PAUSE,
            (false, true) => PAUSE,
            (false, false) => POOLED_PAUSE,
        };
        let rung = async {
            match self.listens {
                true => self.held.connection.rings().await,
                false => pending().await,
            }
        };
        tokio::select! {
            () = store.own.added() => false,
            () = store.news.notified() => true,
            () = rung => true,
            () = sleep(pause) => true,
        }
    }
}

//! Reading the log: rows as records.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use talaria_protocol::{TraceContext, Update};
use talaria_transport::Position;
use talaria_transport::shared::backend::{BackendError, Origin, Record};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::fault::Fault;
use crate::link::Held;
use crate::row::{Id, number, position, read};
use crate::store::Store;

/// What an entry is taken to have besides its texts, in bytes, as the function `read` does.
const OVERHEAD: usize = 200;

/// What to read.
pub(crate) struct Wanted {
    pub(crate) after: Position,
    pub(crate) up_to: Position,
    pub(crate) most_records: usize,
    pub(crate) most_bytes: usize,
    /// From the newest on.
    pub(crate) backwards: bool,
}

/// What was read.
pub(crate) struct Part {
    pub(crate) floor: Position,
    /// The process of the server that answered.
    pub(crate) backend: i32,
    /// How many rows there were, those that cannot be read included.
    pub(crate) rows: usize,
    /// The position of the last row.
    pub(crate) end: Option<Position>,
    pub(crate) bytes: usize,
    pub(crate) records: Vec<Record>,
}

/// Reads a part of the log.
///
/// # Errors
/// [`BackendError::NoLog`] if it is another one, or why the server did not answer.
pub(crate) async fn part(
    store: &Store,
    held: &Held,
    wanted: &Wanted,
) -> Result<Part, BackendError> {
    let most_records = i32::try_from(wanted.most_records).unwrap_or(i32::MAX);
    let most_bytes = i64::try_from(wanted.most_bytes).unwrap_or(i64::MAX);
    let (after, up_to) = (number(wanted.after), number(wanted.up_to));
    let parameters = [
        (&after as _, Type::INT8),
        (&up_to as _, Type::INT8),
        (&most_records as _, Type::INT4),
        (&most_bytes as _, Type::INT8),
        (&wanted.backwards as _, Type::BOOL),
    ];
    let statement = store.call("read($1, $2, $3, $4, $5)");
    let answer = held.connection.ask(&statement, &parameters).await;
    let rows = store.link.judge(held, answer).map_err(Fault::later)?;
    let mut rows = rows.iter();
    let known = rows.next().ok_or(Fault::Unexpected("a row").later())?;
    let is_standby: Result<bool, Fault> = read(known, 2);
    if is_standby.map_err(Fault::later)? {
        let standby: Result<(), Fault> = Err(Fault::Standby);
        store.link.judge(held, standby).map_err(Fault::later)?;
    }
    store.check_tag(read(known, 0).map_err(Fault::later)?)?;
    let floor = read(known, 1).and_then(position).map_err(Fault::later)?;
    let mut part = Part {
        floor,
        backend: read(known, 3).map_err(Fault::later)?,
        rows: rows.len(),
        end: None,
        bytes: 0,
        records: Vec::with_capacity(rows.len()),
    };
    for row in rows {
        let place = read(row, 4).and_then(position).map_err(Fault::later)?;
        part.end = Some(place);
        match record(row, place) {
            Ok(record) => {
                part.bytes += size(&record.update);
                part.records.push(record);
            }
            Err(_) => tracing::warn!(
                name: "log_entry_unreadable",
                reason = "update",
                stored = place.0,
                "the log has an entry that this version cannot read, and leaves out"
            ),
        }
    }
    Ok(part)
}

/// The time of a record.
pub(crate) fn milliseconds(at: SystemTime) -> u64 {
    let time = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn size(update: &Update) -> usize {
    let texts = update.topics.iter().chain(&update.id);
    let texts = texts.chain(&update.event_type).map(String::len);
    OVERHEAD + update.data.len() + texts.sum::<usize>()
}

fn record(row: &Row, position: Position) -> Result<Record, Fault> {
    let at: SystemTime = read(row, 5)?;
    let before: Option<i64> = read(row, 6)?;
    let Id(member) = read(row, 7)?;
    let whole = |number: i64| u64::try_from(number).map_err(|_| Fault::Unexpected("a number"));
    let index: i32 = read(row, 9)?;
    let retry: Option<&str> = read(row, 12)?;
    let trace: Option<&str> = read(row, 16)?;
    let (text, bytes): (Option<String>, Option<&[u8]>) = (read(row, 17)?, read(row, 18)?);
    let data = match (text, bytes) {
        (Some(text), _) => text,
        (None, Some(bytes)) => {
            String::from_utf8(bytes.to_vec()).map_err(|_| Fault::Unexpected("a text in UTF-8"))?
        }
        (None, None) => String::new(),
    };
    Ok(Record {
        position,
        run_before: before.map(crate::row::position).transpose()?,
        origin: Origin {
            member,
            batch: whole(read(row, 8)?)?,
            index: u32::try_from(index).map_err(|_| Fault::Unexpected("a number"))?,
        },
        time: milliseconds(at),
        update: Update {
            topics: read(row, 13)?,
            data,
            id: read(row, 14)?,
            event_type: read(row, 15)?,
            retry: retry
                .map(|retry| retry.parse().map_err(|_| Fault::Unexpected("a number")))
                .transpose()?,
            private: read(row, 10)?,
            by_hub: read(row, 11)?,
            trace: trace
                .and_then(|trace| TraceContext::from_stored(trace.as_bytes()))
                .map(Arc::new),
        },
    })
}

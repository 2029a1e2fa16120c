//! Entering the log, and appending to it.

use std::time::SystemTime;

use talaria_transport::shared::backend::{
    Attached, BackendError, Batch, Member, Origin, Outcome, Record, Settled,
};
use talaria_transport::shared::outcomes;
use talaria_transport::{Bounds, Position};
use tokio_postgres::types::Type;

use crate::entries::Entries;
use crate::fault::Fault;
use crate::link::Purpose;
use crate::record::milliseconds;
use crate::row::{Id, number, position, read};
use crate::schema;
use crate::store::{Store, refused};
use crate::stream::LARGEST_UPDATE;

/// Bits of a log's tag.
const TAG_BITS: u32 = 58;

/// See [`Backend::attach`](talaria_transport::shared::Backend::attach).
pub(crate) async fn attach(
    store: &Store,
    member: Member,
    after: Position,
) -> Result<Attached, BackendError> {
    let (tag, key) = random()?;
    schema::install(store).await?;
    let rows = store
        .ask(
            Purpose::Writes,
            "attach($1, $2, $3, $4)",
            &[
                (&Id(member), Type::UUID),
                (&tag, Type::INT8),
                (&key.as_slice(), Type::BYTEA),
                (&number(after), Type::INT8),
            ],
        )
        .await
        .map_err(Fault::at_start)?;
    let row = rows.first().ok_or(Fault::Unexpected("a row").later())?;
    let word: String = read(row, 0).map_err(Fault::later)?;
    if word != "ok" {
        return Err(refused(&word));
    }
    let known = || {
        let key: &[u8] = read(row, 2)?;
        Ok(Attached {
            tag: u64::try_from(read::<i64>(row, 1)?)
                .map_err(|_| Fault::Unexpected("the tag of a log"))?,
            key: key
                .try_into()
                .map_err(|_| Fault::Unexpected("the key of a log"))?,
            bounds: Bounds {
                head: position(read(row, 3)?)?,
                floor: position(read(row, 4)?)?,
            },
            is_new: read(row, 5)?,
        })
    };
    let attached: Attached = known().map_err(Fault::later)?;
    store.attach(attached.tag);
    store.has_read(after);
    Ok(attached)
}

/// See [`Backend::append`](talaria_transport::shared::Backend::append).
pub(crate) async fn append(store: &Store, batch: &Batch) -> Result<Vec<Outcome>, BackendError> {
    let entries = Entries::new(&batch.entries)?;
    if entries.largest > LARGEST_UPDATE {
        return Err(BackendError::Refusing("an update is larger than 32 MiB"));
    }
    let (tag, member) = (store.tag(), Id(batch.member));
    let number_of_batch = i64::try_from(batch.number).unwrap_or(i64::MAX);
    let after = number(batch.after);
    let rows = store
        .ask(
            Purpose::Writes,
            "append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
            &[
                (&tag, Type::INT8),
                (&member, Type::UUID),
                (&number_of_batch, Type::INT8),
                (&after, Type::INT8),
                (&entries.topics, Type::TEXT_ARRAY),
                (&entries.data, Type::TEXT_ARRAY),
                (&entries.flags, Type::INT2_ARRAY),
                (&entries.ids, Type::TEXT_ARRAY),
                (&entries.types, Type::TEXT_ARRAY),
                (&entries.retries, Type::TEXT_ARRAY),
                (&entries.traces, Type::TEXT_ARRAY),
                (&entries.bytes, Type::BYTEA_ARRAY),
                (&entries.conditions, Type::INT2_ARRAY),
                (&entries.names, Type::TEXT_ARRAY),
                (&entries.keys, Type::BYTEA_ARRAY),
                (&entries.details, Type::INT8_ARRAY),
            ],
        )
        .await
        .map_err(Fault::later)?;
    let outcomes = stored(&rows)?;
    if outcomes.len() != batch.entries.len() {
        return Err(Fault::Unexpected("one outcome for each entry").later());
    }
    let at = rows.first().map(|row| read::<Option<SystemTime>>(row, 1));
    let at = at.transpose().map_err(Fault::later)?.flatten();
    let at = at.filter(|_| entries.conditions.is_none());
    store.appended(
        tag,
        at.and_then(|at| records(batch, &outcomes, milliseconds(at))),
    );
    Ok(outcomes)
}

/// The records of a batch whose entries have no conditions, as they are read from the log, except that the first of a
/// run says so there.
fn records(batch: &Batch, outcomes: &[Outcome], time: u64) -> Option<Vec<Record>> {
    let entries = batch.entries.iter().zip(outcomes);
    let records = entries.zip(0..).map(|((entry, outcome), index)| {
        let Outcome::Stored(position) = *outcome else {
            return None;
        };
        Some(Record {
            position,
            run_before: None,
            origin: Origin {
                member: batch.member,
                batch: batch.number,
                index,
            },
            time,
            update: entry.update.clone(),
        })
    });
    records.collect()
}

/// See [`Backend::settle`](talaria_transport::shared::Backend::settle).
pub(crate) async fn settle(
    store: &Store,
    member: Member,
    number: u64,
) -> Result<Settled, BackendError> {
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    let rows = store
        .ask(
            Purpose::Writes,
            "settle($1, $2, $3)",
            &[
                (&store.tag(), Type::INT8),
                (&Id(member), Type::UUID),
                (&number, Type::INT8),
            ],
        )
        .await
        .map_err(Fault::later)?;
    if said(&rows)? == "never" {
        return Ok(Settled::Never);
    }
    stored(&rows).map(Settled::Stored)
}

/// What a function said.
pub(crate) fn said(rows: &[tokio_postgres::Row]) -> Result<&str, BackendError> {
    let row = rows.first().ok_or(Fault::Unexpected("a row").later())?;
    read(row, 0).map_err(Fault::later)
}

/// The outcomes that follow the word "ok".
fn stored(rows: &[tokio_postgres::Row]) -> Result<Vec<Outcome>, BackendError> {
    let said = said(rows)?;
    match said.strip_prefix("ok ") {
        Some(stored) => {
            let position = |place: &str| place.parse().ok().map(Position);
            let outcomes = outcomes::parse(stored, position);
            outcomes.ok_or_else(|| Fault::Unexpected("the outcomes of a batch").later())
        }
        None if said == "ok" => Ok(Vec::new()),
        None => Err(refused(said)),
    }
}

/// The tag and the key of a log, if this node creates it.
fn random() -> Result<(i64, [u8; 16]), BackendError> {
    let read = || {
        let mut key = [0; 16];
        getrandom::fill(&mut key)?;
        let tag = getrandom::u64()? >> (u64::BITS - TAG_BITS);
        Ok((i64::try_from(tag).unwrap_or(1), key))
    };
    read().map_err(|error: getrandom::Error| BackendError::Fatal {
        problem: format!("the system provides no randomness: {error}"),
        remedy: "give the process access to /dev/urandom".to_owned(),
    })
}

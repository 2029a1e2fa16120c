//! The members of the log, and the subscriptions that they began.

use std::time::Duration;

use talaria_protocol::Update;
use talaria_transport::Bounds;
use talaria_transport::shared::backend::{BackendError, Beat, Continue, Member, Subscriptions};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::fault::Fault;
use crate::link::Purpose;
use crate::row::{Id, position, read};
use crate::store::{Store, refused};
use crate::writes::said;

/// How many stored subscriptions, and about how many bytes of them, are read at a time.
const MOST: i32 = 1_000;
const MOST_BYTES: i64 = 1 << 20;
/// What each is taken to have besides, in bytes, as the function does.
const OVERHEAD: usize = 200;
const WAITS: &str = "no standby confirms what is stored";

/// See [`Backend::beat`](talaria_transport::shared::Backend::beat).
pub(crate) async fn beat(store: &Store, member: Member) -> Result<Beat, BackendError> {
    let parameters = [
        (&store.tag() as _, Type::INT8),
        (&Id(member) as _, Type::UUID),
    ];
    let held = store
        .link
        .shared(Purpose::Reads)
        .await
        .map_err(Fault::later)?;
    let statement = store.call("beat($1, $2)");
    let answer = held.connection.ask(&statement, &parameters).await;
    let rows = store.link.judge(&held, answer).map_err(Fault::later)?;
    let word = said(&rows)?;
    if word != "ok" {
        return Err(refused(word));
    }
    let row = rows.first().ok_or(Fault::Unexpected("a row").later())?;
    let beat = known(store, row).map_err(Fault::later)?;
    store.note_others(beat.members.len() > 1);
    if beat.refusing.is_some() {
        store.link.follow(&held).await;
    }
    Ok(beat)
}

fn known(store: &Store, row: &Row) -> Result<Beat, Fault> {
    let members: Vec<Id> = read(row, 3)?;
    let counters: Vec<i64> = read(row, 4)?;
    let buried: Vec<Id> = read(row, 5)?;
    let bytes: Option<i64> = read(row, 6)?;
    let is_waiting: bool = read(row, 7)?;
    let oldest: f64 = read(row, 8)?;
    let counters = counters
        .into_iter()
        .map(|counter| u64::try_from(counter).unwrap_or(0));
    Ok(Beat {
        tag: store.known_tag(),
        bounds: Bounds {
            head: position(read(row, 1)?)?,
            floor: position(read(row, 2)?)?,
        },
        members: members.into_iter().map(|id| id.0).zip(counters).collect(),
        buried: buried.into_iter().map(|id| id.0).collect(),
        bytes: bytes.and_then(|bytes| u64::try_from(bytes).ok()),
        refusing: is_waiting.then_some(WAITS),
        // A clock that was set back may make it negative.
        outbox: Some(Duration::try_from_secs_f64(oldest).unwrap_or_default()),
    })
}

/// Buries a member whose counter is `counter`, or any; returns whether it did.
pub(crate) async fn bury(
    store: &Store,
    member: Member,
    counter: Option<u64>,
) -> Result<bool, BackendError> {
    let counter = counter.map(|counter| i64::try_from(counter).unwrap_or(i64::MAX));
    let parameters = [
        (&store.tag() as _, Type::INT8),
        (&Id(member) as _, Type::UUID),
        (&counter as _, Type::INT8),
    ];
    let rows = store
        .ask(Purpose::Reads, "bury($1, $2, $3)", &parameters)
        .await
        .map_err(Fault::later)?;
    match said(&rows)? {
        "ok" => Ok(true),
        "not" => Ok(false),
        word => Err(refused(word)),
    }
}

/// See [`Backend::subscriptions`](talaria_transport::shared::Backend::subscriptions).
pub(crate) async fn subscriptions(
    store: &Store,
    of: Option<Member>,
    from: &Continue,
) -> Result<Subscriptions, BackendError> {
    let after = from.0.as_slice().try_into().map_or(0, i64::from_be_bytes);
    let parameters = [
        (&of.map(Id) as _, Type::UUID),
        (&after as _, Type::INT8),
        (&MOST as _, Type::INT4),
        (&MOST_BYTES as _, Type::INT8),
    ];
    let rows = store
        .ask(Purpose::Reads, "subscriptions($1, $2, $3, $4)", &parameters)
        .await
        .map_err(Fault::later)?;
    let mut rows = rows.iter();
    let known = rows.next().ok_or(BackendError::NoLog)?;
    store.check_tag(read(known, 0).map_err(Fault::later)?)?;
    let mut found = Subscriptions::default();
    let (mut end, mut bytes) = (0, 0);
    for row in rows {
        let place: i64 = read(row, 1).map_err(Fault::later)?;
        end = place;
        let update = begun(row).map_err(Fault::later)?;
        let place = position(place).map_err(Fault::later)?;
        bytes += update.data.len() + update.topics.first().map_or(0, String::len) + OVERHEAD;
        found.begun.push((place, update));
    }
    if found.begun.len() >= MOST as usize || bytes >= MOST_BYTES as usize {
        found.next = Some(Continue(end.to_be_bytes().to_vec()));
    }
    Ok(found)
}

fn begun(row: &Row) -> Result<Update, Fault> {
    Ok(Update {
        topics: read(row, 2)?,
        data: read(row, 5)?,
        event_type: read(row, 4)?,
        private: read(row, 3)?,
        by_hub: true,
        ..Update::default()
    })
}

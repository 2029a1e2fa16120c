//! Reading the log.

use talaria_transport::Position;
use talaria_transport::shared::backend::{BackendError, Record, Records};
use talaria_transport::shared::flight::Flight;
use tokio_postgres::types::Type;

use crate::fault::Fault;
use crate::link::{Held, Purpose};
use crate::record::{Part, Wanted, part};
use crate::row::{position, read};
use crate::store::Store;

/// The most records and bytes that are asked for at once.
const CHUNK: usize = 5_000;
const CHUNK_BYTES: usize = 4 << 20;

/// See [`Backend::page`](talaria_transport::shared::Backend::page).
pub(crate) async fn page(
    store: &Store,
    (after, up_to): (Position, Position),
    most_records: usize,
    most_bytes: usize,
) -> Result<Records, BackendError> {
    let mut found = Found::new(store).await?;
    let mut from = after;
    loop {
        let asked = most_records.saturating_sub(found.records.len());
        let asked = asked.clamp(1, CHUNK);
        let bytes = most_bytes.saturating_sub(found.bytes).clamp(1, CHUNK_BYTES);
        let part = found.read(from, up_to, asked, bytes, false).await?;
        from = part.end.unwrap_or(from);
        let is_all = part.rows == 0 || from >= up_to;
        found.close_gap(part.floor);
        found.take(part);
        if is_all || found.records.len() >= most_records || found.bytes >= most_bytes {
            let looked_up_to = if is_all { up_to.max(after) } else { from };
            return Ok(found.into_records(looked_up_to));
        }
    }
}

/// See [`Backend::newest`](talaria_transport::shared::Backend::newest).
pub(crate) async fn newest(
    store: &Store,
    up_to: Position,
    most_bytes: usize,
) -> Result<Records, BackendError> {
    let mut found = Found::new(store).await?;
    let mut to = up_to;
    loop {
        let bytes = most_bytes.saturating_sub(found.bytes).clamp(1, CHUNK_BYTES);
        let part = found.read(Position::ORIGIN, to, CHUNK, bytes, true).await?;
        let end = part.end;
        found.take(part);
        match end {
            Some(end) if end > Position::ORIGIN && found.bytes < most_bytes => {
                to = Position(end.0 - 1);
            }
            _ => {
                found.records.reverse();
                return Ok(found.into_records(up_to));
            }
        }
    }
}

/// See [`Backend::find`](talaria_transport::shared::Backend::find).
pub(crate) async fn find(
    store: &Store,
    confirms: &Flight<Result<(), BackendError>>,
    id: &str,
) -> Result<Option<Position>, BackendError> {
    if id.contains('\0') {
        return Ok(None);
    }
    let rows = store
        .ask(Purpose::Finds, "find($1)", &[(&id, Type::TEXT)])
        .await
        .map_err(Fault::later)?;
    let row = rows.first().ok_or(Fault::Unexpected("a row").later())?;
    store.check_tag(read(row, 0).map_err(Fault::later)?)?;
    let place: Option<i64> = read(row, 1).map_err(Fault::later)?;
    let place = place.map(position).transpose().map_err(Fault::later)?;
    if read(row, 2).map_err(Fault::later)? {
        // A primary that was cut off does not know what the next one has.
        let confirm = async {
            let confirmed = store.ask(Purpose::Finds, "confirm()", &[]).await;
            confirmed.map(drop).map_err(Fault::later)
        };
        confirms.join_next(confirm).await?;
    }
    Ok(place)
}

/// What was read so far.
struct Found<'a> {
    store: &'a Store,
    held: Held,
    records: Vec<Record>,
    bytes: usize,
    floor: Position,
}

impl<'a> Found<'a> {
    async fn new(store: &'a Store) -> Result<Self, BackendError> {
        let held = store.link.shared(Purpose::Reads).await;
        Ok(Self {
            store,
            held: held.map_err(Fault::later)?,
            records: Vec::new(),
            bytes: 0,
            floor: Position::ORIGIN,
        })
    }

    async fn read(
        &mut self,
        after: Position,
        up_to: Position,
        most_records: usize,
        most_bytes: usize,
        backwards: bool,
    ) -> Result<Part, BackendError> {
        let wanted = Wanted {
            after,
            up_to,
            most_records,
            most_bytes,
            backwards,
        };
        part(self.store, &self.held, &wanted).await
    }

    /// Drops what was read, if retention has deleted what follows it before that was read.
    fn close_gap(&mut self, floor: Position) {
        if self
            .records
            .last()
            .is_some_and(|last| last.position < floor)
        {
            self.records.clear();
            self.bytes = 0;
        }
    }

    fn take(&mut self, part: Part) {
        self.floor = part.floor;
        self.bytes += part.bytes;
        self.records.extend(part.records);
    }

    fn into_records(self, looked_up_to: Position) -> Records {
        Records {
            records: self.records,
            floor: self.floor,
            looked_up_to,
        }
    }
}

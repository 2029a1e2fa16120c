//! Reading the log.

use redis::{Pipeline, Value};
use talaria_transport::Position;
use talaria_transport::shared::backend::{BackendError, Record, Records};

use crate::connection::checked;
use crate::fault::Fault;
use crate::link::{Held, Purpose};
use crate::pace::Pace;
use crate::record::Entry;
use crate::store::Store;
use crate::{record, reply};

/// The most bytes that are asked for at once.
const CHUNK_BYTES: usize = 4 << 20;
/// The characters of a position in the index of ids.
const POSITION: usize = 21;

/// See [`Backend::page`](talaria_transport::shared::Backend::page).
pub(crate) async fn page(
    store: &Store,
    pace: &Pace,
    (after, up_to): (Position, Position),
    most_records: usize,
    most_bytes: usize,
) -> Result<Records, BackendError> {
    let mut found = Found::new(store, pace).await?;
    let mut from = format!("({}", reply::id(after));
    loop {
        let left = most_records.saturating_sub(found.records.len()).max(1);
        let asked = found.count(most_bytes).min(left);
        let before = found.records.len();
        let (read, end) = found
            .read("XRANGE", &from, &reply::id(up_to), asked)
            .await?;
        from = end.unwrap_or(from);
        found.close_gap(before);
        let last = found.records.last().map_or(after, |record| record.position);
        let is_all = read < asked || last >= up_to;
        if is_all || found.records.len() >= most_records || found.bytes >= most_bytes {
            let looked_up_to = if is_all { up_to.max(after) } else { last };
            return Ok(found.into_records(looked_up_to));
        }
    }
}

/// See [`Backend::newest`](talaria_transport::shared::Backend::newest).
pub(crate) async fn newest(
    store: &Store,
    pace: &Pace,
    up_to: Position,
    most_bytes: usize,
) -> Result<Records, BackendError> {
    let mut found = Found::new(store, pace).await?;
    let mut from = reply::id(up_to);
    loop {
        let asked = found.count(most_bytes);
        let (read, end) = found.read("XREVRANGE", &from, "-", asked).await?;
        if read < asked || found.bytes >= most_bytes {
            found.records.reverse();
            // A node that starts shows these, so they have to be as durable as what a tail passes.
            store.confirm(&found.held).await?;
            return Ok(found.into_records(up_to));
        }
        from = end.unwrap_or(from);
    }
}

/// See [`Backend::find`](talaria_transport::shared::Backend::find).
pub(crate) async fn find(store: &Store, id: &str) -> Result<Option<Position>, BackendError> {
    let held = store
        .link
        .shared(Purpose::Finds)
        .await
        .map_err(Fault::later)?;
    let mut pipeline = redis::pipe();
    let (from, to) = (format!("[{id}\0"), format!("({id}\x01"));
    pipeline.cmd("HGET").arg(&store.keys.meta).arg("tag");
    pipeline
        .cmd("ZRANGEBYLEX")
        .arg(&store.keys.ids)
        .arg(from)
        .arg(to);
    // Only an id with a zero character may have others in the way.
    pipeline.arg("LIMIT").arg(0).arg(16);
    let answers = store
        .link
        .judge(&held, held.connection.ask_all(&pipeline).await);
    let [tag, members] = answers.and_then(reply::first).map_err(Fault::later)?;
    store.check_tag(tag)?;
    let members = store
        .link
        .judge(&held, checked(members))
        .and_then(reply::array);
    let place = members.and_then(|members| place_of(id, members));
    let place = place.map_err(Fault::later)?;
    // A primary that was cut off does not know what the next one has, and may name a place that is not in the log.
    store.confirm(&held).await?;
    Ok(place)
}

/// The first place of an id among the members of the index.
fn place_of(id: &str, members: Vec<Value>) -> Result<Option<Position>, Fault> {
    for member in members {
        let member = reply::text(member)?;
        let place = member
            .strip_prefix(id)
            .and_then(|rest| rest.strip_prefix('\0'));
        if let Some(place) = place.filter(|place| place.len() == POSITION) {
            return reply::position(place).map(Some);
        }
    }
    Ok(None)
}

/// What was read so far.
struct Found<'a> {
    store: &'a Store,
    pace: &'a Pace,
    held: Held,
    records: Vec<Record>,
    bytes: usize,
    floor: Position,
}

impl<'a> Found<'a> {
    async fn new(store: &'a Store, pace: &'a Pace) -> Result<Self, BackendError> {
        let held = store
            .link
            .shared(Purpose::Reads)
            .await
            .map_err(Fault::later)?;
        let (records, floor) = (Vec::new(), Position::ORIGIN);
        Ok(Self {
            store,
            pace,
            held,
            records,
            bytes: 0,
            floor,
        })
    }

    fn count(&self, most_bytes: usize) -> usize {
        self.pace
            .count(most_bytes.saturating_sub(self.bytes).min(CHUNK_BYTES))
    }

    /// Reads a range, and then the floor, so that what was deleted before is below it. Returns how many entries there
    /// were, and where to go on.
    async fn read(
        &mut self,
        command: &str,
        from: &str,
        to: &str,
        count: usize,
    ) -> Result<(usize, Option<String>), BackendError> {
        let keys = &self.store.keys;
        let mut pipeline = Pipeline::new();
        pipeline
            .cmd(command)
            .arg(&keys.log)
            .arg(from)
            .arg(to)
            .arg("COUNT")
            .arg(count);
        pipeline
            .cmd("HMGET")
            .arg(&keys.meta)
            .arg("tag")
            .arg("floor");
        let answers = self.held.connection.ask_all(&pipeline).await;
        let answers = self.store.link.judge(&self.held, self.pace.judge(answers));
        let [entries, known] = answers.and_then(reply::first).map_err(Fault::later)?;
        let known = self
            .store
            .link
            .judge(&self.held, checked(known))
            .and_then(reply::array);
        let [tag, floor] = known.and_then(reply::first).map_err(Fault::later)?;
        self.store.check_tag(tag)?;
        let floor = reply::text(floor).and_then(|floor| reply::position(&floor));
        self.floor = floor.map_err(Fault::later)?;
        let entries = self.store.link.judge(&self.held, checked(entries));
        self.take(entries).map_err(Fault::later)
    }

    fn take(&mut self, entries: Result<Value, Fault>) -> Result<(usize, Option<String>), Fault> {
        let entries = record::entries(entries?)?;
        let count = entries.len();
        let end = entries.last().map(|entry| format!("({}", entry.id));
        self.pace
            .saw(count, entries.iter().map(|entry| entry.bytes).sum());
        for Entry { bytes, record, .. } in entries {
            // What cannot be read does not count: a page has a record, or is all that there is.
            self.bytes += record.as_ref().map_or(0, |_| bytes);
            self.records.extend(record);
        }
        Ok((count, end))
    }

    /// Drops the first records, if retention has deleted what follows them before that was read.
    fn close_gap(&mut self, before: usize) {
        let last = before.checked_sub(1).and_then(|at| self.records.get(at));
        if last.is_some_and(|last| last.position < self.floor) {
            self.records.drain(..before);
            self.bytes = 0;
        }
    }

    fn into_records(self, looked_up_to: Position) -> Records {
        Records {
            records: self.records,
            floor: self.floor,
            looked_up_to,
        }
    }
}

//! Moves what applications have published by SQL into the log.

use talaria_protocol::form::Pair;
use talaria_protocol::{ProtocolError, Update};
use talaria_transport::shared::backend::BackendError;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::fault::Fault;
use crate::link::Purpose;
use crate::options::Rules;
use crate::row::{number, read};
use crate::store::Store;
use crate::stream::LARGEST_UPDATE;

/// The most updates, and about the most bytes of them, that are moved at a time.
const MOST: i32 = 1_000;
const MOST_BYTES: usize = 4 << 20;

/// What was done.
pub(crate) struct Moved {
    /// Whether there was no more than that.
    pub(crate) all: bool,
    pub(crate) count: usize,
}

/// Moves the oldest updates that wait and are committed.
///
/// # Errors
/// The server does not answer, or refuses.
pub(crate) async fn move_some(store: &Store) -> Result<Moved, BackendError> {
    if store.tag() < 0 {
        return Ok(Moved {
            all: true,
            count: 0,
        });
    }
    let rows = store
        .ask(
            Purpose::Chores,
            "waiting($1, $2)",
            &[(&MOST, Type::INT4), (&(MOST_BYTES as i64), Type::INT8)],
        )
        .await
        .map_err(Fault::later)?;
    let rules = store.options.rules.borrow().clone();
    let mut batch = Batch::default();
    let mut bytes = 0;
    for row in &rows {
        if bytes >= MOST_BYTES {
            break;
        }
        bytes += batch.add(row, &rules).map_err(Fault::later)?;
    }
    let count = batch.good.len() + batch.bad.len();
    if count == 0 {
        return Ok(Moved { all: true, count });
    }
    for (k, reason) in batch.bad.iter().zip(&batch.reasons) {
        tracing::warn!(
            name: "outbox_update_rejected",
            row = k,
            reason,
            "an update that was published by SQL is rejected; it is in the table `rejected`"
        );
    }
    let after = number(store.read_to());
    let parameters = [
        (&store.tag() as _, Type::INT8),
        (&after as _, Type::INT8),
        (&batch.good as _, Type::INT8_ARRAY),
        (&batch.bad as _, Type::INT8_ARRAY),
        (&batch.reasons as _, Type::TEXT_ARRAY),
    ];
    let moved = store
        .ask(Purpose::Chores, "move($1, $2, $3, $4, $5)", &parameters)
        .await
        .map_err(Fault::later)?;
    let moved = moved.first().map(|row| read::<Option<i32>>(row, 0));
    let moved = moved.transpose().map_err(Fault::later)?.flatten();
    if moved.is_some_and(|moved| moved > 0) {
        store.appended(store.tag(), None);
    }
    // Another node that moves them is to get on with it.
    let all = moved.is_none() || count == rows.len() && count < MOST as usize;
    Ok(Moved { all, count })
}

#[derive(Default)]
struct Batch {
    good: Vec<i64>,
    bad: Vec<i64>,
    reasons: Vec<String>,
}

impl Batch {
    /// Judges an update; returns how many bytes it has.
    fn add(&mut self, row: &Row, rules: &Rules) -> Result<usize, Fault> {
        let k: i64 = read(row, 0)?;
        let bytes: i64 = read(row, 6)?;
        let bytes = usize::try_from(bytes).unwrap_or(0);
        match check(row, bytes, rules)? {
            Ok(()) => self.good.push(k),
            Err(error) => {
                self.bad.push(k);
                self.reasons.push(error.to_string());
            }
        }
        Ok(bytes)
    }
}

/// Judges an update as the hub judges one that a client publishes.
fn check(row: &Row, bytes: usize, rules: &Rules) -> Result<Result<(), ProtocolError>, Fault> {
    let (topics, is_list): (Vec<&str>, bool) = (read(row, 1)?, read(row, 7)?);
    if !is_list {
        let problem =
            "the topics are not a list of texts; give an array with one dimension and no null";
        return Ok(Err(ProtocolError::malformed("topics", problem)));
    }
    let (private, id): (bool, &str) = (read(row, 2)?, read(row, 3)?);
    let (event_type, retry): (Option<&str>, Option<i64>) = (read(row, 4)?, read(row, 5)?);
    let mut pairs: Vec<Pair<'_>> = vec![("id".into(), id.into())];
    pairs.extend(
        topics
            .into_iter()
            .map(|topic| ("topic".into(), topic.into())),
    );
    pairs.extend(event_type.map(|event_type| ("type".into(), event_type.into())));
    pairs.extend(retry.map(|retry| ("retry".into(), retry.to_string().into())));
    if private {
        pairs.push(("private".into(), "on".into()));
    }
    let all: usize = pairs.iter().map(|(_, value)| value.len()).sum::<usize>() + bytes;
    let most = rules.update_bytes.min(LARGEST_UPDATE);
    if all > most {
        let problem = format!("{all} bytes are more than the {most} of one publish; shorten it");
        return Ok(Err(ProtocolError::too_large("update", problem)));
    }
    Ok(Update::from_form(&pairs, rules.checks, &rules.base, &rules.limits).map(drop))
}

//! Waiting for new records, on a separate connection.

use std::sync::{Mutex, PoisonError};

use redis::Value;
use talaria_transport::Position;
use talaria_transport::shared::backend::{BackendError, Record};

use crate::connection::checked;
use crate::fault::Fault;
use crate::link::Held;
use crate::pace::Pace;
use crate::record::Entry;
use crate::store::Store;
use crate::{record, reply};

/// How long the server waits for a record.
const BLOCK_MS: u64 = 1_000;
/// About how many bytes an answer may have.
const MOST_BYTES: usize = 1 << 20;

/// Reads what is appended, as soon as it is durable.
#[derive(Default)]
pub(crate) struct Tail {
    line: Mutex<Option<Line>>,
    pace: Pace,
}

/// The connection, while no call uses it: a call that is dropped takes it along.
struct Line {
    held: Held,
    /// What was read last, unless records were handed on.
    kept: Option<Kept>,
    /// Whether the last read has returned records, so that the next one probably will.
    is_busy: bool,
}

struct Kept {
    /// The log that this is of.
    tag: u64,
    /// After which position it was read.
    after: Position,
    /// Records that too few replicas have confirmed.
    records: Vec<Record>,
    /// The id of the last entry. It may hold no record.
    last: String,
}

impl Tail {
    /// See [`Backend::tail`](talaria_transport::shared::Backend::tail).
    pub(crate) async fn read(
        &self,
        store: &Store,
        after: Position,
    ) -> Result<Vec<Record>, BackendError> {
        let line = self.slot().take();
        let mut line = match line {
            Some(line) if store.link.is_current(&line.held) => line,
            _ => {
                let (held, _) = store.link.own().await.map_err(Fault::later)?;
                Line {
                    held,
                    kept: None,
                    is_busy: false,
                }
            }
        };
        let tag = store.tag();
        let kept = line.kept.take();
        let kept = kept.filter(|kept| kept.tag == tag && kept.after == after);
        let (kept, confirmation) = match kept {
            Some(kept) if !kept.records.is_empty() => (kept, None),
            passed => {
                let from = passed.map_or_else(|| reply::id(after), |passed| passed.last);
                let (entries, confirmation) = self.wait(store, &line, &from).await?;
                let last = entries.last().map_or(from, |entry| entry.id.clone());
                let records = entries.into_iter().filter_map(|entry| entry.record);
                let records = records.collect();
                let kept = Kept {
                    tag,
                    after,
                    records,
                    last,
                };
                (kept, confirmation)
            }
        };
        line.is_busy = !kept.records.is_empty();
        let confirmed = match confirmation {
            _ if kept.records.is_empty() => Ok(()),
            Some(answers) => store.confirmed(&line.held, answers).await,
            None => store.confirm(&line.held).await,
        };
        let read = match confirmed {
            Ok(()) if kept.records.is_empty() => {
                line.kept = Some(kept);
                Ok(Vec::new())
            }
            Ok(()) => Ok(kept.records),
            Err(error @ (BackendError::NotDurable | BackendError::Refusing(_))) => {
                line.kept = Some(kept);
                Err(error)
            }
            Err(error) => return Err(error),
        };
        *self.slot() = Some(line);
        read
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Line>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait(
        &self,
        store: &Store,
        line: &Line,
        from: &str,
    ) -> Result<(Vec<Entry>, Option<[Value; 2]>), BackendError> {
        let held = &line.held;
        let count = self.pace.count(MOST_BYTES);
        let mut pipeline = redis::pipe();
        pipeline
            .cmd("XREAD")
            .arg("COUNT")
            .arg(count)
            .arg("BLOCK")
            .arg(BLOCK_MS);
        pipeline.arg("STREAMS").arg(&store.keys.log).arg(from);
        // Asked after the records were read: another log's, or a replica's, are not shown.
        pipeline.cmd("HGET").arg(&store.keys.meta).arg("tag");
        pipeline.cmd("ROLE");
        // While much comes, in the same breath: this saves a way to the server and back for each group.
        let confirms = store.replicas > 0 && line.is_busy;
        if confirms {
            store.add_confirmation(&mut pipeline);
        }
        let answers = self.pace.judge(held.connection.ask_all(&pipeline).await);
        let mut answers = store.link.judge(held, answers).map_err(Fault::later)?;
        let confirmation = confirms.then(|| answers.split_off(3.min(answers.len())));
        let [streams, tag, role] = reply::first(answers).map_err(Fault::later)?;
        let confirmation = confirmation.map(reply::first).transpose();
        let confirmation = confirmation.map_err(Fault::later)?;
        let judged = store.link.judge(held, checked(role).and_then(is_primary));
        judged.map_err(Fault::later)?;
        let streams = store
            .link
            .judge(held, checked(streams))
            .map_err(Fault::later)?;
        store.check_tag(tag)?;
        let entries = self.entries(streams).map_err(Fault::later)?;
        Ok((entries, confirmation))
    }

    fn entries(&self, streams: Value) -> Result<Vec<Entry>, Fault> {
        let Some(stream) = reply::array(streams)?.into_iter().next() else {
            return Ok(Vec::new());
        };
        let [_, entries] = reply::first(reply::array(stream)?)?;
        let entries = record::entries(entries)?;
        let bytes = entries.iter().map(|entry| entry.bytes).sum();
        self.pace.saw(entries.len(), bytes);
        Ok(entries)
    }
}

fn is_primary(role: Value) -> Result<(), Fault> {
    let [role] = reply::first(reply::array(role)?)?;
    if reply::text(role)? == "master" {
        return Ok(());
    }
    Err(Fault::Server {
        code: "READONLY".to_owned(),
        text: "the server has become a replica".to_owned(),
    })
}

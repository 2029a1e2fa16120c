//! Entering the log, and appending to it.

use redis::Cmd;
use talaria_transport::Position;
use talaria_transport::shared::backend::{
    Attached, BackendError, Batch, Condition, Entry, Member, Outcome, Settled,
};
use talaria_transport::shared::outcomes;

use crate::fault::Fault;
use crate::scripts::{APPEND, ATTACH, SETTLE};
use crate::store::{Store, bounds};
use crate::stream::LARGEST_UPDATE;
use crate::survey::{self, FORMAT};
use crate::{record, reply};

/// The condition that the script takes an entry to have which names none.
const ALWAYS: &str = "always";
/// Bits of a log's tag.
const TAG_BITS: u32 = 58;

/// See [`Backend::attach`](talaria_transport::shared::Backend::attach).
pub(crate) async fn attach(
    store: &Store,
    member: Member,
    after: Position,
) -> Result<Attached, BackendError> {
    let (tag, key) = random()?;
    let keys = &store.keys;
    let said = store
        .run(&ATTACH, &[&keys.log, &keys.meta], |command| {
            command.arg(member.to_string()).arg(FORMAT).arg(tag);
            command.arg(hex(key)).arg(after.0 >> 32);
        })
        .await
        .map_err(Fault::at_start)?;
    if said.is("foreign") {
        let key = said.rest.into_iter().next().map(reply::text);
        let key = key.unwrap_or(Err(Fault::Unexpected("a key")));
        return Err(survey::foreign(&key.map_err(Fault::later)?));
    }
    if said.is("format") {
        return Err(survey::newer(&keys.meta));
    }
    // A node that enters a log on a primary that was cut off is not a member of the log that goes on.
    store.confirm(&said.held).await?;
    let [tag, key, run, number, floor, is_new] = said.ok()?;
    let read = || {
        let tag = reply::number(tag)?;
        let key = reply::text(key)?;
        let key = u128::from_str_radix(&key, 16);
        Ok(Attached {
            tag,
            key: key
                .map_err(|_| Fault::Unexpected("the key of a log"))?
                .to_be_bytes(),
            bounds: bounds(run, number, floor)?,
            is_new: reply::number(is_new)? == 1,
        })
    };
    let attached = read().map_err(Fault::later)?;
    store.attach(attached.tag);
    Ok(attached)
}

/// See [`Backend::append`](talaria_transport::shared::Backend::append).
pub(crate) async fn append(store: &Store, batch: &Batch) -> Result<Vec<Outcome>, BackendError> {
    let keys = &store.keys;
    let member = batch.member.to_string();
    let own = format!("{}{member}", keys.subscriptions);
    let entries: Vec<Written> = batch
        .entries
        .iter()
        .map(|entry| Written::new(entry, &keys.once))
        .collect();
    if entries.iter().any(|entry| entry.bytes() > LARGEST_UPDATE) {
        return Err(BackendError::Refusing("an update is larger than 32 MiB"));
    }
    let said = store
        .run(
            &APPEND,
            &[&keys.log, &keys.meta, &keys.ids, &keys.events, &own],
            |command| {
                command.arg(store.tag()).arg(&member).arg(batch.number);
                command
                    .arg(batch.after.0 >> 32)
                    .arg(batch.after.0 & u64::from(u32::MAX));
                store.add_limits(command);
                command.arg(&keys.subscriptions).arg(entries.len());
                for entry in &entries {
                    entry.add(command);
                }
            },
        )
        .await
        .map_err(Fault::half_way)?;
    let [stored] = said.ok()?;
    let outcomes = reply::text(stored).and_then(|stored| outcomes(&stored));
    let outcomes = outcomes.map_err(Fault::later)?;
    if outcomes.len() != batch.entries.len() {
        return Err(Fault::Unexpected("one outcome for each entry").later());
    }
    Ok(outcomes)
}

/// See [`Backend::settle`](talaria_transport::shared::Backend::settle).
pub(crate) async fn settle(
    store: &Store,
    member: Member,
    number: u64,
) -> Result<Settled, BackendError> {
    let said = store
        .run(&SETTLE, &[&store.keys.meta], |command| {
            command.arg(store.tag()).arg(member.to_string()).arg(number);
        })
        .await
        .map_err(Fault::later)?;
    if said.is("never") {
        // An old primary that was cut off may hold the batch; it cannot be promoted over replicas that have this.
        if store.replicas > 0 {
            store.wait_for_replicas(&said.held).await?;
        }
        return Ok(Settled::Never);
    }
    if said.is("partly") {
        return Ok(Settled::Partly);
    }
    store.confirm_refusal(&said).await?;
    let [stored] = said.ok()?;
    let outcomes = reply::text(stored).and_then(|stored| outcomes(&stored));
    outcomes.map(Settled::Stored).map_err(Fault::later)
}

/// Reads what became of the entries of a batch. In its place the log has `N` for a number that is used up without a batch,
/// and `P` for a batch that began and did not come to its end.
fn outcomes(text: &str) -> Result<Vec<Outcome>, Fault> {
    let outcomes = outcomes::parse(text, |id| reply::position(id).ok());
    outcomes.ok_or(Fault::Unexpected("the outcomes of a batch"))
}

/// An entry as the script takes it.
struct Written {
    condition: &'static str,
    key: String,
    detail: String,
    flags: String,
    fields: Vec<(&'static str, String)>,
}

impl Written {
    fn new(entry: &Entry, once: &str) -> Self {
        let update = &entry.update;
        let subscription = || update.topics.first().cloned().unwrap_or_default();
        let (condition, key, detail) = match entry.condition {
            Condition::Always => (ALWAYS, String::new(), String::new()),
            Condition::Begins => ("begins", subscription(), record::document(update)),
            Condition::Ends => ("ends", subscription(), String::new()),
            Condition::Once(key, window) => {
                let milliseconds = window.as_millis().clamp(1, 1 << 40);
                (
                    "once",
                    format!("{once}{}", hex(key)),
                    milliseconds.to_string(),
                )
            }
            Condition::Imported(time) => (
                "imported",
                update.id.clone().unwrap_or_default(),
                time.min(1 << 52).to_string(),
            ),
        };
        let fields = record::fields(update);
        let mut flags = String::new();
        if let Some(at) = fields.iter().position(|(name, _)| *name == "id")
            && !update.by_hub
        {
            flags = format!("i{}", 2 * at + 1);
        }
        if update.by_hub {
            flags.push('h');
        }
        Self {
            condition,
            key,
            detail,
            flags,
            fields,
        }
    }

    fn bytes(&self) -> usize {
        self.fields.iter().map(|(_, value)| value.len()).sum()
    }

    fn add(&self, command: &mut Cmd) {
        if self.condition != ALWAYS || !self.flags.is_empty() {
            command
                .arg(self.condition)
                .arg(&self.key)
                .arg(&self.detail)
                .arg(&self.flags);
        }
        command.arg(2 * self.fields.len());
        for (name, value) in &self.fields {
            command.arg(name).arg(value);
        }
    }
}

/// The tag and the key of a log, if this node creates it.
fn random() -> Result<(u64, [u8; 16]), BackendError> {
    let read = || {
        let mut key = [0; 16];
        getrandom::fill(&mut key)?;
        Ok((getrandom::u64()? >> (u64::BITS - TAG_BITS), key))
    };
    read().map_err(|error: getrandom::Error| BackendError::Fatal {
        problem: format!("the system provides no randomness: {error}"),
        remedy: "give the process access to /dev/urandom".to_owned(),
    })
}

fn hex<const N: usize>(bytes: [u8; N]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! The entries of a batch as arrays, one for each column.

use std::collections::HashSet;

use talaria_transport::shared::backend::{BackendError, Condition, Entry};

/// A topic that is longer does not fit an index.
const LONGEST_INDEXED: usize = 2_000;
const PRIVATE: i16 = 1;
const BY_HUB: i16 = 2;
const INDEXED: i16 = 4;

/// A column, which is left out if all its values are null.
type Column<T> = Option<Vec<Option<T>>>;

/// The columns of a batch.
#[derive(Debug, Default)]
pub(crate) struct Entries<'a> {
    /// The topics of an entry as the text of an array.
    pub(crate) topics: Vec<String>,
    pub(crate) data: Vec<Option<&'a str>>,
    pub(crate) flags: Vec<i16>,
    pub(crate) ids: Column<&'a str>,
    pub(crate) types: Column<&'a str>,
    pub(crate) retries: Column<String>,
    pub(crate) traces: Column<String>,
    /// The data that does not fit the type `text`.
    pub(crate) bytes: Column<&'a [u8]>,
    /// None if all are updates without a condition.
    pub(crate) conditions: Option<Vec<i16>>,
    pub(crate) names: Column<&'a str>,
    pub(crate) keys: Column<Vec<u8>>,
    pub(crate) details: Column<i64>,
    /// The bytes of the largest entry.
    pub(crate) largest: usize,
}

impl<'a> Entries<'a> {
    /// # Errors
    /// [`BackendError::Refusing`] if an update has a zero character where a column cannot have one.
    pub(crate) fn new(entries: &'a [Entry]) -> Result<Self, BackendError> {
        let count = entries.len();
        let mut columns = Self::default();
        let mut seen = HashSet::new();
        for (at, entry) in entries.iter().enumerate() {
            let update = &entry.update;
            let texts = update
                .topics
                .iter()
                .chain(&update.id)
                .chain(&update.event_type);
            let longest = update.topics.iter().map(String::len).max();
            let mut size = update.data.len();
            for text in texts {
                size += text.len();
                if text.contains('\0') {
                    return Err(BackendError::Refusing(
                        "an update has a zero character in its topic, id or type",
                    ));
                }
            }
            columns.largest = columns.largest.max(size);
            columns.topics.push(array(&update.topics));
            let mut flags = 0;
            for (flag, is_set) in [
                (PRIVATE, update.private),
                (BY_HUB, update.by_hub),
                (
                    INDEXED,
                    longest.is_none_or(|longest| longest <= LONGEST_INDEXED),
                ),
            ] {
                flags |= if is_set { flag } else { 0 };
            }
            columns.flags.push(flags);
            let is_text = !update.data.contains('\0');
            columns.data.push(is_text.then_some(&*update.data));
            if !is_text {
                put(&mut columns.bytes, count, at, update.data.as_bytes());
            }
            if let Some(id) = &update.id {
                put(&mut columns.ids, count, at, id.as_str());
            }
            if let Some(event_type) = &update.event_type {
                put(&mut columns.types, count, at, event_type.as_str());
            }
            if let Some(retry) = update.retry {
                put(&mut columns.retries, count, at, retry.to_string());
            }
            if let Some(trace) = &update.trace {
                put(&mut columns.traces, count, at, trace.stored());
            }
            columns.add_condition(entry, at, count, is_text)?;
            // The id may be that of a later entry that is imported.
            let is_known = update.id.as_ref().is_some_and(|id| !seen.insert(id));
            if is_known && matches!(entry.condition, Condition::Imported(_)) {
                put(&mut columns.keys, count, at, Vec::new());
            }
        }
        Ok(columns)
    }

    fn add_condition(
        &mut self,
        entry: &'a Entry,
        at: usize,
        count: usize,
        is_text: bool,
    ) -> Result<(), BackendError> {
        let kind = match entry.condition {
            Condition::Always if !entry.update.by_hub => return Ok(()),
            Condition::Always => 0,
            Condition::Begins if !is_text => {
                return Err(BackendError::Refusing(
                    "a subscription event has a zero character",
                ));
            }
            Condition::Begins => 1,
            Condition::Ends => 2,
            Condition::Once(key, window) => {
                let milliseconds = window.as_millis().clamp(1, 1 << 40);
                put(&mut self.keys, count, at, key.to_vec());
                put(&mut self.details, count, at, milliseconds as i64);
                3
            }
            Condition::Imported(time) => {
                put(&mut self.details, count, at, time.min(1 << 47) as i64);
                4
            }
        };
        if kind == 1 || kind == 2 {
            let topic = entry.update.topics.first();
            put(&mut self.names, count, at, topic.map_or("", String::as_str));
        }
        self.conditions.get_or_insert_with(|| vec![0; count])[at] = kind;
        Ok(())
    }
}

fn put<T: Clone>(column: &mut Column<T>, count: usize, at: usize, value: T) {
    column.get_or_insert_with(|| vec![None; count])[at] = Some(value);
}

/// The text of an array of texts.
fn array(texts: &[String]) -> String {
    let length: usize = texts.iter().map(|text| text.len() + 3).sum();
    let mut written = String::with_capacity(length + 2);
    written.push('{');
    for (at, text) in texts.iter().enumerate() {
        written.push_str(if at == 0 { "\"" } else { ",\"" });
        for c in text.chars() {
            if matches!(c, '"' | '\\') {
                written.push('\\');
            }
            written.push(c);
        }
        written.push('"');
    }
    written.push('}');
    written
}

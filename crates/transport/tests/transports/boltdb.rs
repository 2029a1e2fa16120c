//! Databases of the existing hub are read as they are (B-520, B-521, B-1034), imported once, and
//! never written.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;
use talaria_protocol::{Update, event};
use talaria_transport::boltdb::{BoltError, Source};
use talaria_transport::history::{Directory, History, HistoryOptions, Imported};
use talaria_transport::{Lookup, Position, Transport};

use crate::folder::Folder;
use crate::suite::{Everything, append, look_up, read, start};

const FIXTURES: [&str; 3] = [
    "hub-0.24.2-mixed",
    "hub-0.24.2-pruned",
    "hub-1.0.0-alpha.3-mixed",
];

fn fixture(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    folder.join(format!("{name}.db"))
}

/// What the database holds, as its author wrote it down.
fn expected(name: &str) -> Vec<Update> {
    let json = fs::read(fixture(name).with_extension("json")).expect("the fixture's content");
    let entries: Vec<Value> = serde_json::from_slice(&json).expect("JSON");
    let text = |entry: &Value, field: &str| entry[field].as_str().expect("a text").to_owned();
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    let update = |entry: &Value| Update {
        topics: entry["topics"]
            .as_array()
            .expect("topics")
            .iter()
            .map(|topic| topic.as_str().expect("a topic").to_owned())
            .collect(),
        data: text(entry, "data"),
        id: some(text(entry, "id")),
        event_type: some(text(entry, "type")),
        retry: entry["retry"].as_u64().filter(|retry| *retry > 0),
        private: entry["private"].as_bool().expect("a flag"),
    };
    entries.iter().map(update).collect()
}

fn entries(path: &Path, after: u64) -> Result<Vec<Imported>, BoltError> {
    let source = Source::open(path, "updates")?.expect("a database");
    source.entries(after)?.collect()
}

/// B-520: every entry, in order, as it was stored.
#[test]
fn a_database_reads_as_it_was_written() {
    for name in FIXTURES {
        let found = entries(&fixture(name), 0).expect("it is readable");
        assert!(found.is_sorted_by(|one, next| one.sequence < next.sequence));
        let updates: Vec<_> = found.iter().map(|entry| entry.update.clone()).collect();
        assert_eq!(updates, expected(name), "{name}");
        let middle = found[found.len() / 2].sequence;
        let later = entries(&fixture(name), middle).expect("it is readable");
        assert_eq!(later, found[found.len() / 2 + 1..], "{name}");
        let none = entries(&fixture(name), u64::MAX).expect("it is readable");
        assert_eq!(none, []);
    }
}

/// What is no database, or none yet, is told apart.
#[test]
fn what_is_no_database_is_refused_with_a_remedy() {
    let folder = Folder::new();
    let path = folder.path().join("mercure.db");
    assert!(Source::open(&path, "updates").expect("nothing").is_none());
    fs::write(&path, "").expect("a file");
    assert!(Source::open(&path, "updates").expect("nothing").is_none());
    fs::write(&path, "x".repeat(100_000)).expect("a file");
    let refused = |path: &Path| {
        let error = Source::open(path, "updates").err().expect("it is refused");
        assert!(matches!(error, BoltError::Foreign { .. }), "{error}");
        assert!(error.to_string().contains("give `transport bolt` another"));
    };
    refused(&path);
    refused(folder.path());
    fs::copy(fixture(FIXTURES[0]), &path).expect("a copy");
    let source = Source::open(&path, "other").expect("it is readable");
    let entries = source.expect("a database").entries(0).expect("no bucket");
    assert_eq!(entries.count(), 0);
}

/// A database that the existing hub has open is refused.
#[test]
fn a_database_in_use_is_refused() {
    let folder = Folder::new();
    let path = folder.path().join("mercure.db");
    fs::copy(fixture(FIXTURES[0]), &path).expect("a copy");
    let other = fs::File::open(&path).expect("the file");
    other.lock().expect("the lock");
    let error = Source::open(&path, "updates").err().expect("it is refused");
    assert!(error.to_string().contains("stop the hub"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever a file holds, reading it ends, without a panic.
    #[test]
    fn a_damaged_database_is_read_without_harm(
        fixture_index in 0..FIXTURES.len(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        cut: Option<prop::sample::Index>,
    ) {
        let mut bytes = fs::read(fixture(FIXTURES[fixture_index])).expect("the fixture");
        // Most of the file is content and free pages; its structure is at the front of pages.
        for (index, value) in flips {
            let at = index.index(bytes.len() / 64) * 64 + usize::from(value) % 64;
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let folder = Folder::new();
        let path = folder.path().join("mercure.db");
        fs::write(&path, bytes).expect("a file");
        if let Ok(Some(source)) = Source::open(&path, "updates")
            && let Ok(entries) = source.entries(0)
        {
            prop_assert!(entries.count() < 100_000);
        }
    }
}

fn open_importing(folder: &Folder, database: &Path) -> Arc<History> {
    let directory = Directory::open(folder.path()).expect("a directory");
    let source = Source::open(database, "updates").expect("it is readable");
    let mut from = |after| {
        let entries = source.as_ref().map(|source| source.entries(after));
        let entries = entries.transpose().map_err(|error| error.to_string())?;
        let entries = entries.into_iter().flatten();
        Ok(Box::new(entries.map(|entry| entry.map_err(|error| error.to_string()))) as _)
    };
    let options = HistoryOptions::new(Arc::new(|| 1_000));
    let opened = History::open_importing(Arc::new(directory), options, Some(&mut from));
    Arc::new(opened.expect("a history"))
}

/// The updates of a database are there in order, with their ids, once each; each id is resumed
/// from; the file stays as it is.
#[test]
fn a_database_is_imported_once() {
    for name in FIXTURES {
        let folder = Folder::new();
        let before = fs::read(fixture(name)).expect("the fixture");
        let expected = expected(name);
        for (round, count) in [expected.len() as u64, 0, 0].into_iter().enumerate() {
            let history = open_importing(&folder, &fixture(name));
            assert_eq!(history.imported(), count);
            let history: Arc<dyn Transport> = history;
            let _recorder = start(&history);
            let head = (expected.len() + round) as u64;
            assert_eq!(history.bounds().head, Position(head));
            let page = read(&history, 0, head, usize::MAX, Everything).expect("a page");
            for (frame, update) in page.frames.iter().zip(&expected) {
                assert_eq!(frame.private, update.private);
                assert!(frame.topics.iter().map(AsRef::as_ref).eq(&update.topics));
                let id = update.id.as_deref().expect("an id");
                assert_eq!(&*frame.event_id, id);
                assert_eq!(frame.bytes, event::encode(update, id));
                let first = expected
                    .iter()
                    .position(|update| update.id.as_deref() == Some(id));
                let first = Position(first.expect("it is there") as u64 + 1);
                assert_eq!(look_up(&history, id), Lookup::Found(first));
            }
            append(&history, None);
        }
        assert_eq!(fs::read(fixture(name)).expect("the fixture"), before);
    }
}

/// What the old hub writes after a step back is imported at the next start.
#[test]
fn what_comes_later_is_imported_later() {
    let folder = Folder::new();
    let all = entries(&fixture(FIXTURES[0]), 0).expect("it is readable");
    let half = all.len() / 2;
    let open = |count: usize| {
        let directory = Directory::open(folder.path()).expect("a directory");
        let all = all[..count].to_vec();
        let mut from = move |after| {
            let later = all
                .clone()
                .into_iter()
                .filter(move |entry| entry.sequence > after);
            Ok(Box::new(later.map(Ok)) as _)
        };
        let options = HistoryOptions::new(Arc::new(|| 1_000));
        let opened = History::open_importing(Arc::new(directory), options, Some(&mut from));
        opened.expect("a history").imported()
    };
    assert_eq!(open(half), half as u64);
    assert_eq!(open(half), 0);
    assert_eq!(open(all.len()), (all.len() - half) as u64);
    assert_eq!(open(all.len()), 0);
}

//! A history imports the updates of a database in order, with their ids and once each, and subscribers
//! can resume from each of them (B-520, B-1034).

use std::fs;
use std::path::Path;
use std::sync::Arc;

use talaria_boltdb::{DEFAULT_BUCKET, Source};
use talaria_protocol::{Update, event};
use talaria_transport::history::{
    Directory, History, HistoryOptions, Imported, Imports, OpenError,
};
use talaria_transport::{Frame, Lookup, Position, Transport};

use crate::folder::Folder;
use crate::log::{append, frames, look_up, start};
use crate::writer::{self, Element, FIXTURES, LEAF, Writer};

fn open(folder: &Folder, database: &Path) -> Result<(Arc<dyn Transport>, u64), OpenError> {
    let directory =
        Directory::open(&folder.path().join("mercure.db.talaria")).expect("a directory");
    let source = Source::open(database, DEFAULT_BUCKET).expect("it is readable");
    let mut entries = |after| {
        let entries = source.as_ref().map(|source| source.entries(after));
        let entries = entries.into_iter().flatten().map(|entry| {
            let entry = entry?;
            Ok(Imported {
                sequence: entry.sequence,
                time: None,
                update: entry.update,
            })
        });
        Ok(Box::new(entries) as Imports)
    };
    let options = HistoryOptions::new(Arc::new(|| 1_000));
    let history = History::open_importing(Arc::new(directory), options, Some(&mut entries))?;
    let imported = history.imported();
    Ok((Arc::new(history), imported))
}

/// The frames are those of the updates, and each id is the cursor of its oldest update.
fn assert_holds(history: &Arc<dyn Transport>, frames: &[Arc<Frame>], updates: &[Update]) {
    assert_eq!(frames.len(), updates.len());
    for ((frame, update), position) in frames.iter().zip(updates).zip(1..) {
        let id = update.id.as_deref().expect("an id");
        assert_eq!(frame.position, Position(position));
        assert_eq!(&*frame.event_id, id);
        assert_eq!(frame.private, update.private);
        assert!(frame.topics.iter().map(AsRef::as_ref).eq(&update.topics));
        assert_eq!(frame.bytes, event::encode(update, id));
        let oldest = updates.iter().position(|other| other.id == update.id);
        let oldest = Position(oldest.expect("itself at least") as u64 + 1);
        assert_eq!(look_up(history, id), Lookup::Found(oldest));
    }
}

#[test]
fn a_database_is_imported_once_and_each_id_is_resumed_from() {
    for name in FIXTURES {
        let folder = Folder::new();
        let path = folder.file("mercure.db", &writer::fixture(name));
        let modified = || fs::metadata(&path).unwrap().modified().unwrap();
        let before = modified();
        let updates = writer::expected(name);
        for count in [updates.len() as u64, 0, 0] {
            let (history, imported) = open(&folder, &path).expect("a history");
            assert_eq!(imported, count, "{name}");
            // A ring that began earlier would hide what was imported from live readers.
            assert_eq!(history.ring().floor(), history.bounds().head, "{name}");
            assert_holds(&history, &frames(&history), &updates);
        }
        assert_eq!(fs::read(&path).unwrap(), writer::fixture(name));
        assert_eq!(modified(), before);
    }
}

/// What the old hub writes after a return to it is imported at the next start, after what was published
/// here meanwhile.
#[test]
fn what_comes_later_is_imported_later() {
    let folder = Folder::new();
    let stored = |numbers: std::ops::RangeInclusive<u64>| {
        let pairs: Vec<_> = numbers
            .map(|number| writer::stored(number, &writer::numbered(number)))
            .collect();
        writer::database(&pairs)
    };
    let path = folder.file("mercure.db", &stored(1..=100));
    let (history, imported) = open(&folder, &path).expect("a history");
    assert_eq!(imported, 100);
    start(&history);
    let own = append(&history).event_id;
    drop(history);

    // The old hub removed its oldest entries meanwhile.
    folder.file("mercure.db", &stored(51..=130));
    let (history, imported) = open(&folder, &path).expect("a history");
    assert_eq!(imported, 30);
    let ids: Vec<_> = frames(&history)
        .iter()
        .map(|frame| frame.event_id.to_string())
        .collect();
    let numbered = |number: u64| format!("urn:example:{number}");
    let mut expected: Vec<_> = (1..=100).map(numbered).collect();
    expected.push(own);
    expected.extend((101..=130).map(numbered));
    assert_eq!(ids, expected);
    assert_eq!(
        look_up(&history, "urn:example:130"),
        Lookup::Found(Position(131))
    );
    drop(history);

    let (_, imported) = open(&folder, &path).expect("a history");
    assert_eq!(imported, 0);
}

/// Ids, types and topics that version 1.0 refuses are imported if an event can have them (B-1034).
#[test]
fn what_1_0_refuses_is_kept_where_a_field_can_carry_it() {
    let entries = [
        r##"{"Data":"a","ID":"#1","Type":"mercure","Topics":["*"]}"##,
        r#"{"Data":"b\r\nc\rd\n","ID":"x\ny","Type":"p\rq","Topics":["t\n"]}"#,
        r#"{"Data":"c","ID":"urn:none","Topics":null}"#,
    ];
    let elements: Vec<_> = entries
        .iter()
        .zip(1_u64..)
        .map(|(value, at)| Element::Leaf(0, at.to_be_bytes().to_vec(), value.as_bytes().to_vec()))
        .collect();
    let mut file = Writer::new(4096);
    let root = file.page(LEAF, &elements);
    let folder = Folder::new();
    let path = folder.file(
        "mercure.db",
        &file.finish(&[("updates", writer::bucket(root))]),
    );

    for count in [3, 0] {
        let (history, imported) = open(&folder, &path).expect("a history");
        assert_eq!(imported, count);
        let frames = frames(&history);
        assert_eq!(&*frames[0].bytes, b"event: mercure\nid: #1\ndata: a\n\n");
        let text = String::from_utf8(frames[1].bytes.to_vec()).unwrap();
        let own = &*frames[1].event_id;
        assert_eq!(
            text,
            format!("id: {own}\ndata: b\ndata: c\ndata: d\ndata: \n\n")
        );
        assert_eq!(&*frames[1].topics, [Box::from("t\n")]);
        assert!(frames[2].topics.is_empty());
        for (id, position) in [("#1", 1), (own, 2), ("urn:none", 3)] {
            assert_eq!(look_up(&history, id), Lookup::Found(Position(position)));
        }
    }
}

/// A damaged database is an error of the start. What precedes the damage is not imported twice once the
/// database is restored.
#[test]
fn damage_refuses_to_open_and_costs_nothing() {
    let name = FIXTURES[0];
    let mut damaged = writer::fixture(name);
    damaged[6 * 4096 + 8] = 0x80;
    let folder = Folder::new();
    let path = folder.file("mercure.db", &damaged);
    let Err(error) = open(&folder, &path) else {
        panic!("a damaged database was imported");
    };
    assert!(
        error.to_string().contains("damaged at offset 24576"),
        "{error}"
    );

    folder.file("mercure.db", &writer::fixture(name));
    let (history, _) = open(&folder, &path).expect("a history");
    assert_holds(&history, &frames(&history), &writer::expected(name));
}

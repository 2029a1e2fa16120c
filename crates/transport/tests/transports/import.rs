//! Imported updates keep the age that they had in the other store.

use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::Update;
use talaria_transport::history::{Directory, History, HistoryOptions, Imported, Imports, inspect};
use talaria_transport::{Position, Transport};

use crate::folder::Folder;

/// Opens with the clock at `now` and appends updates with these times, each with its time as data.
fn import_times(folder: &Folder, now: u64, times: &[Option<u64>]) -> History {
    let directory = Directory::open(folder.path()).expect("a directory");
    let mut options = HistoryOptions::new(Arc::new(move || now));
    options.max_age = Some(Duration::from_millis(1_000));
    let times = times.to_vec();
    let mut entries = |after| {
        let imported = times.clone().into_iter().map(move |time| {
            Ok(Imported {
                sequence: after,
                time,
                update: Update {
                    topics: vec!["t".to_owned()],
                    ..Update::default()
                },
            })
        });
        Ok(Box::new(imported) as Imports)
    };
    History::open_importing(Arc::new(directory), options, Some(&mut entries)).expect("a history")
}

/// The times of what is kept.
fn times(folder: &Folder) -> Vec<u64> {
    let directory = Directory::open(folder.path()).expect("a directory");
    let mut times = Vec::new();
    inspect::export(&directory, &mut |update| {
        times.push(update.time);
        Ok(())
    })
    .expect("an export");
    times
}

/// An imported update keeps its commit time, which `max_age` counts from. Times never decrease within a log
/// and are never in the future; an update without a time gets that of the import.
#[test]
fn imported_updates_keep_their_times() {
    let cases: &[(&[Option<u64>], &[u64])] = &[
        (
            &[Some(9_100), Some(9_500), Some(9_500)],
            &[9_100, 9_500, 9_500],
        ),
        (&[Some(9_500), Some(9_100)], &[9_500, 9_500]),
        (&[Some(9_500), Some(99_000)], &[9_500, 10_000]),
        (&[None, None], &[10_000, 10_000]),
        (&[Some(9_500), None, Some(9_600)], &[9_500, 10_000, 10_000]),
    ];
    for (imported, expected) in cases {
        let folder = Folder::new();
        // An earlier opening of a log that is still empty does not make them younger.
        drop(import_times(&folder, 9_999, &[]));
        drop(import_times(&folder, 10_000, imported));
        assert_eq!(times(&folder), *expected, "{imported:?}");
    }
    let folder = Folder::new();
    let history = import_times(&folder, 10_000, &[Some(8_000), Some(9_000), Some(9_001)]);
    assert_eq!(history.bounds().floor, Position(2), "too old on arrival");
    drop(history);
    drop(import_times(&folder, 10_000, &[Some(100)]));
    assert!(
        times(&folder).ends_with(&[9_001, 9_001]),
        "no older than the one before"
    );
}

//! Databases of real hubs, and others of the same format, are read (B-520, B-1034).

use std::fs::{self, File};
use std::path::Path;

use proptest::prelude::*;
use talaria_boltdb::{BoltError, DEFAULT_BUCKET, Source};
use talaria_protocol::Update;

use crate::folder::Folder;
use crate::writer::{self as bolt, BUCKET, Element, FIXTURES, LEAF, Pair, Writer};

pub fn open(path: &Path) -> Result<Option<Source>, BoltError> {
    Source::open(path, DEFAULT_BUCKET)
}

pub type Read = Result<Vec<(u64, Update)>, BoltError>;

fn read_after(path: &Path, after: u64) -> Read {
    let source = open(path)?.expect("a database");
    let entries = source.entries(after);
    entries
        .map(|entry| entry.map(|entry| (entry.sequence, entry.update)))
        .collect()
}

pub fn read_bytes(bytes: &[u8]) -> Read {
    read_after(&Folder::new().file("mercure.db", bytes), 0)
}

fn pairs(numbers: impl IntoIterator<Item = u64>) -> Vec<Pair> {
    let pair = |number| bolt::stored(number, &bolt::numbered(number));
    numbers.into_iter().map(pair).collect()
}

fn updates(numbers: impl IntoIterator<Item = u64>) -> Vec<(u64, Update)> {
    let update = |number| (number, bolt::numbered(number));
    numbers.into_iter().map(update).collect()
}

/// The message of an error, which must name the file and a remedy.
pub fn refusal(read: Read) -> String {
    let message = read.expect_err("refused").to_string();
    assert!(message.contains("mercure.db"), "{message}");
    assert!(message.contains(';'), "{message}");
    message
}

#[test]
fn databases_of_real_hubs_are_read_and_stay_unchanged() {
    for (name, first) in FIXTURES.into_iter().zip([1, 381, 1]) {
        let expected: Vec<_> = (first..).zip(bolt::expected(name)).collect();
        let folder = Folder::new();
        let path = folder.file("mercure.db", &bolt::fixture(name));
        let modified = || fs::metadata(&path).unwrap().modified().unwrap();
        let before = modified();

        let source = open(&path).unwrap().expect("a database");
        assert!(source.has_bucket());
        let read: Vec<_> = source
            .entries(0)
            .map(|entry| entry.map(|entry| (entry.sequence, entry.update)).unwrap())
            .collect();
        assert_eq!(read, expected, "{name}");
        let summary = source.summary();
        assert_eq!(summary.read, expected.len() as u64);
        assert_eq!((summary.dropped_fields, summary.skipped), (0, 0));
        drop(source);

        assert_eq!(fs::read(&path).unwrap(), bolt::fixture(name));
        assert_eq!(modified(), before);
    }
}

#[test]
fn reading_begins_after_any_sequence_number() {
    for name in FIXTURES {
        let folder = Folder::new();
        let path = folder.file("mercure.db", &bolt::fixture(name));
        let all = read_after(&path, 0).unwrap();
        let last = all.last().unwrap().0;
        for after in (0..last + 2).chain([u64::MAX - 1, u64::MAX]) {
            let expected: Vec<_> = all.iter().filter(|(at, _)| *at > after).cloned().collect();
            assert_eq!(read_after(&path, after).unwrap(), expected, "after {after}");
        }
    }
}

#[test]
fn a_path_without_a_database_has_nothing_to_import() {
    let folder = Folder::new();
    for path in [
        folder.path().join("mercure.db"),
        folder.path().join("missing/mercure.db"),
        folder.file("empty.db", b""),
    ] {
        assert!(open(&path).unwrap().is_none(), "{}", path.display());
    }
    assert!(!folder.path().join("mercure.db").exists());
}

#[test]
fn another_bucket_name_finds_nothing_and_says_so() {
    let folder = Folder::new();
    let path = folder.file("mercure.db", &bolt::fixture(FIXTURES[0]));
    for name in ["", "a", "update", "updates2", "z"] {
        let source = Source::open(&path, name).unwrap().expect("a database");
        assert!(!source.has_bucket());
        assert!(source.entries(0).next().is_none());
    }
}

#[test]
fn what_is_not_a_database_is_refused_with_a_remedy() {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("directory.mercure.db")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.path().join("pipe.mercure.db"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    folder.file("text.mercure.db", &b"not a database\n".repeat(1000));
    folder.file("short.mercure.db", &bolt::fixture(FIXTURES[0])[..70]);
    for name in ["directory", "pipe", "text", "short"] {
        let path = folder.path().join(format!("{name}.mercure.db"));
        let error = open(&path).expect_err(name);
        assert!(matches!(error, BoltError::NotADatabase { .. }), "{error}");
        assert!(error.to_string().contains("move it away"), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
    let beside = folder.path().join("text.mercure.db/mercure.db");
    let error = open(&beside).expect_err("a file is not a directory");
    assert!(matches!(error, BoltError::Unreadable { .. }), "{error}");
}

#[test]
fn a_database_in_use_is_refused_and_one_being_read_is_kept_from_writers() {
    let folder = Folder::new();
    let path = folder.file("mercure.db", &bolt::fixture(FIXTURES[0]));
    let hub = File::open(&path).unwrap();
    hub.lock().unwrap();
    let message = refusal(open(&path).map(|_| Vec::new()));
    assert!(message.contains("stop the old hub"), "{message}");
    hub.unlock().unwrap();

    let source = open(&path).unwrap().expect("a database");
    let entries = source.entries(0);
    drop(source);
    assert!(hub.try_lock().is_err());
    drop(entries);
    hub.try_lock().unwrap();
}

#[test]
fn the_newer_valid_meta_page_counts() {
    let whole = bolt::fixture(FIXTURES[0]);
    let expected = bolt::expected(FIXTURES[0]).len();

    let mut newer_torn = whole.clone();
    newer_torn[40] ^= 1;
    assert_eq!(read_bytes(&newer_torn).unwrap().len(), expected - 1);

    let mut older_torn = whole;
    older_torn[4096 + 40] ^= 1;
    assert_eq!(read_bytes(&older_torn).unwrap().len(), expected);

    let mut both_torn = newer_torn;
    both_torn[4096 + 40] ^= 1;
    assert!(refusal(read_bytes(&both_torn)).contains("meta page"));
}

#[test]
fn pages_of_any_size_and_trees_of_any_shape_are_read() {
    for page_size in [1024, 4096, 16_384, 65_536, 1 << 20] {
        for (count, per_leaf, fan_out) in [(0, 1, 2), (1, 1, 2), (7, 7, 2), (40, 1, 2), (90, 3, 5)]
        {
            let mut writer = Writer::new(page_size);
            let root = writer.tree(&pairs(1..=count), per_leaf, fan_out);
            let mut bytes = writer.finish(&[
                ("a", bolt::inline_bucket(&[])),
                ("updates", bolt::bucket(root)),
                ("z", bolt::bucket(root)),
            ]);
            assert_eq!(read_bytes(&bytes).unwrap(), updates(1..=count));
            // The second meta page must be found without the first.
            bytes[..page_size].fill(0xA5);
            assert_eq!(read_bytes(&bytes).unwrap(), updates(1..=count));
        }
    }
}

#[test]
fn an_inline_bucket_is_read() {
    for count in [0, 1, 5] {
        let value = bolt::inline_bucket(&pairs(1..=count));
        let bytes = Writer::new(4096).finish(&[("updates", value)]);
        assert_eq!(read_bytes(&bytes).unwrap(), updates(1..=count));
        let folder = Folder::new();
        let path = folder.file("mercure.db", &bytes);
        assert_eq!(
            read_after(&path, 1).unwrap().len() as u64,
            count.saturating_sub(1)
        );
    }
}

#[test]
fn entries_larger_than_a_page_are_read() {
    let large = |number: u64, bytes: usize| Update {
        data: "L".repeat(bytes),
        ..bolt::numbered(number)
    };
    let expected: Vec<_> = [0, 900, 1024, 5000, 3, 300_000, 1]
        .into_iter()
        .zip(1..)
        .map(|(bytes, number)| (number, large(number, bytes)))
        .collect();
    let stored: Vec<_> = expected
        .iter()
        .map(|(at, update)| bolt::stored(*at, update))
        .collect();
    for per_leaf in [1, 3, 7] {
        let mut writer = Writer::new(1024);
        let root = writer.tree(&stored, per_leaf, 3);
        let bytes = writer.finish(&[("updates", bolt::bucket(root))]);
        assert_eq!(read_bytes(&bytes).unwrap(), expected);
    }
}

/// An entry that cannot be read does not stop the rest, and is counted (B-512).
#[test]
fn what_no_hub_can_have_stored_is_skipped_and_counted() {
    let sequence = |number: u64| number.to_be_bytes().to_vec();
    let leaf = |(key, value): Pair| Element::Leaf(0, key, value);
    let mut writer = Writer::new(4096);
    let root = writer.page(
        LEAF,
        &[
            Element::Leaf(0, b"\0\0".to_vec(), b"{}".to_vec()),
            leaf(bolt::stored(1, &bolt::numbered(1))),
            Element::Leaf(0, sequence(2), b"{\"Data\":".to_vec()),
            Element::Leaf(BUCKET, sequence(3), bolt::inline_bucket(&[])),
            Element::Leaf(
                0,
                sequence(4),
                br#"{"Data":"d","ID":"a\nb","Type":"a\rb"}"#.to_vec(),
            ),
            leaf(bolt::stored(5, &bolt::numbered(5))),
        ],
    );
    let bytes = writer.finish(&[("updates", bolt::bucket(root))]);
    let folder = Folder::new();
    let path = folder.file("mercure.db", &bytes);
    // The first key sorts after the first sequence number, so it is read too.
    let source = open(&path).unwrap().expect("a database");
    let read: Vec<_> = source
        .entries(0)
        .map(|entry| entry.unwrap().sequence)
        .collect();
    assert_eq!(read, [1, 4, 5]);
    let summary = source.summary();
    assert_eq!((summary.read, summary.dropped_fields), (3, 2));
    assert_eq!((summary.skipped, summary.first_skipped), (2, vec![2, 3]));
}

proptest! {
    #[test]
    fn any_updates_are_read_back(
        texts in proptest::collection::vec((".{0,30}", "[^\r\n\0]{1,20}", any::<bool>()), 0..30),
        per_leaf in 1..6_usize,
        fan_out in 2..6_usize,
        after in 0..40_u64,
    ) {
        let updates: Vec<_> = texts.into_iter().zip(1_u64..).map(|((data, id, private), at)| {
            (at * 2, Update { topics: vec![data.clone()], data, id: Some(id), private, ..Update::default() })
        }).collect();
        let stored: Vec<_> = updates.iter().map(|(at, update)| bolt::stored(*at, update)).collect();
        let mut writer = Writer::new(1024);
        let root = writer.tree(&stored, per_leaf, fan_out);
        let folder = Folder::new();
        let path = folder.file("mercure.db", &writer.finish(&[("updates", bolt::bucket(root))]));
        let expected: Vec<_> = updates.into_iter().filter(|(at, _)| *at > after).collect();
        prop_assert_eq!(read_after(&path, after).expect("readable"), expected);
    }
}

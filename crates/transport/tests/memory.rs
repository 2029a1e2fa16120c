//! The log in memory keeps what every transport promises, and what is special about it.

mod suite;

use std::sync::Arc;

use talaria_protocol::Update;
use talaria_transport::{Lookup, Memory, MemoryOptions, Position, ReadError, Transport};

use crate::suite::{Everything, Kept, append, block_on, look_up, start, update};

#[expect(clippy::expect_used, reason = "a test fails by panicking")]
fn open(kept: Kept) -> Arc<dyn Transport> {
    let mut options = MemoryOptions::default();
    options.size = kept.size;
    options.max_bytes = kept.max_bytes;
    Arc::new(Memory::open(options).expect("a log in memory"))
}

suite!(open);

/// `local` has no history: no cursor is looked up (B-501), but the newest id is known.
#[test]
fn local_looks_nothing_up() {
    let transport: Arc<dyn Transport> =
        Arc::new(Memory::open(MemoryOptions::local()).expect("a log in memory"));
    let _recorder = start(&transport);
    let own = append(&transport, None).event_id;
    append(&transport, Some("mine"));
    for id in [&own, "mine", "other"] {
        assert_eq!(look_up(&transport, id), Lookup::Unsupported);
    }
    assert_eq!(transport.newest_id().as_deref(), Some("mine"));
}

/// What left the ring is nowhere: a reader that needs it is told so, never skipped over.
#[test]
fn a_reader_that_the_ring_passed_is_told() {
    let transport = open(Kept {
        max_bytes: 4 << 10,
        ..Kept::default()
    });
    let _recorder = start(&transport);
    (0..100).for_each(|_| drop(append(&transport, None)));
    let bounds = transport.bounds();
    assert!(bounds.floor > Position::ORIGIN);
    let read = |from| block_on(transport.read(from, bounds.head, 1 << 20, Arc::new(Everything)));
    let before = bounds.floor.back(1);
    assert_eq!(read(before).unwrap_err(), ReadError::Passed(before));
    let kept = read(bounds.floor).expect("what is kept").frames;
    assert_eq!(
        kept.first().map(|frame| frame.position),
        Some(bounds.floor.next())
    );
    assert_eq!(kept.last().map(|frame| frame.position), Some(bounds.head));
}

/// A single update may exceed the ring; it is kept until the next one comes.
#[test]
fn an_update_larger_than_the_ring_is_kept() {
    let transport = open(Kept {
        max_bytes: 1 << 10,
        ..Kept::default()
    });
    let _recorder = start(&transport);
    append(&transport, None);
    let large: Update = update(Some("large"), &"x".repeat(100_000));
    block_on(transport.append(large)).expect("the update is stored");
    assert_eq!(look_up(&transport, "large"), Lookup::Found(Position(2)));
    assert_eq!(transport.bounds().floor, Position(1));
    append(&transport, None);
    assert_eq!(look_up(&transport, "large"), Lookup::Unknown);
}

/// How large an update may be is the publish request's bound; the queue of those that wait does
/// not add one.
#[test]
fn an_update_larger_than_the_queue_is_stored() {
    let transport = open(Kept::default());
    let _recorder = start(&transport);
    let large = Update {
        topics: vec!["t".repeat(65 << 20)],
        ..update(None, "")
    };
    let appended = block_on(transport.append(large)).expect("the update is stored");
    assert_eq!(appended.position, Position(1));
}

//! Event ids: which ones a transport knows, and where subscribers resume.

use std::collections::HashSet;
use std::sync::Arc;

use talaria_transport::{Appended, Lookup, Position, Transport};

use super::{Everything, Kept, Open, append, at, look_up, place, places, read, start};

/// Appends until retention has deleted the update at `position`; returns the newest one.
fn append_until_deleted(transport: &Arc<dyn Transport>, position: Position) -> Appended {
    for _ in 0..100_000 {
        let appended = append(transport, None);
        if transport.bounds().floor >= position {
            return appended;
        }
    }
    panic!("nothing is ever deleted");
}

/// Subscribers can resume from the id of every kept update; ids are opaque and unique (specification,
/// "Reconnection").
pub fn a_hub_id_is_resumed_from(open: Open) {
    let transport = open(Kept::default());
    let _recorder = start(&transport);
    let mut ids = HashSet::new();
    for count in 1..=50 {
        let appended = append(&transport, None);
        assert_eq!(place(appended.position), count);
        assert_eq!(
            look_up(&transport, &appended.event_id),
            Lookup::Found(appended.position)
        );
        assert_eq!(transport.newest_id().as_ref(), Some(&appended.event_id));
        assert!(ids.insert(appended.event_id));
    }
    for id in &ids {
        assert!(matches!(look_up(&transport, id), Lookup::Found(_)));
    }
    assert_eq!(place(transport.bounds().head), 50);
}

/// An id that no update has is unknown, also one that another log made.
pub fn a_foreign_id_is_unknown(open: Open) {
    let transport = open(Kept::default());
    let _recorder = start(&transport);
    let other = open(Kept::default());
    let _other_recorder = start(&other);
    assert_eq!(transport.newest_id(), None);
    append(&transport, Some("mine"));
    let foreign = append(&other, None).event_id;
    let never = "urn:uuid:00000000-0000-8000-8000-000000000000";
    for id in [&foreign, never, "", "other", "MINE", "mine ", "urn:uuid:"] {
        assert_eq!(look_up(&transport, id), Lookup::Unknown, "{id}");
    }
}

/// Subscribers can resume from an id that a publisher chose. If it was used again, it stands for the
/// earliest kept update with it, since a subscriber may have missed everything after that (specification,
/// "Publication").
pub fn a_repeated_id_stands_for_the_earliest_kept(open: Open) {
    let transport = open(Kept {
        max_bytes: 16 << 10,
        ..Kept::default()
    });
    let _recorder = start(&transport);
    let first = append(&transport, Some("twice"));
    assert_eq!(first.event_id, "twice");
    append(&transport, None);
    let second = append(&transport, Some("twice"));
    assert_eq!(look_up(&transport, "twice"), Lookup::Found(first.position));
    append_until_deleted(&transport, first.position);
    let kept = transport.bounds().floor < second.position;
    assert!(kept, "one update more or less is deleted at a time");
    assert_eq!(look_up(&transport, "twice"), Lookup::Found(second.position));
    append_until_deleted(&transport, second.position);
    assert_eq!(look_up(&transport, "twice"), Lookup::Unknown);
}

/// A publisher may use an id that the hub made. The id stands for the first update with it while that is
/// kept, then for the copy.
pub fn a_copy_of_a_hub_id_is_found_once_the_original_is_deleted(open: Open) {
    let transport = open(Kept {
        max_bytes: 16 << 10,
        ..Kept::default()
    });
    let _recorder = start(&transport);
    let original = append(&transport, None);
    append(&transport, None);
    let copy = append(&transport, Some(&original.event_id));
    assert_eq!(
        look_up(&transport, &original.event_id),
        Lookup::Found(original.position)
    );
    append_until_deleted(&transport, original.position);
    assert!(transport.bounds().floor < copy.position);
    assert_eq!(
        look_up(&transport, &original.event_id),
        Lookup::Found(copy.position)
    );
    append_until_deleted(&transport, copy.position);
    assert_eq!(look_up(&transport, &original.event_id), Lookup::Deleted);
}

/// `size` limits exactly how far back a subscriber may resume; a reader that is already further back
/// continues.
pub fn size_is_where_a_cursor_may_start(open: Open) {
    let transport = open(Kept {
        size: Some(5),
        ..Kept::default()
    });
    let _recorder = start(&transport);
    let hub: Vec<_> = (0..10).map(|_| append(&transport, None)).collect();
    assert_eq!(place(transport.bounds().floor), 5);
    for appended in &hub {
        let expected = if place(appended.position) > 5 {
            Lookup::Found(appended.position)
        } else {
            Lookup::Deleted
        };
        assert_eq!(look_up(&transport, &appended.event_id), expected);
    }
    let page = read(&transport, 2, 10, 1 << 20, Everything).expect("the bytes are there");
    assert_eq!(places(&page.frames), [3, 4, 5, 6, 7, 8, 9, 10]);
    append(&transport, Some("mine"));
    (0..4).for_each(|_| drop(append(&transport, None)));
    let mine = Lookup::Found(at(&transport, 11));
    assert_eq!(look_up(&transport, "mine"), mine);
    append(&transport, None);
    assert_eq!(look_up(&transport, "mine"), Lookup::Unknown);
}

/// The id of an update that retention deleted is reported as deleted.
pub fn an_evicted_id_is_deleted(open: Open) {
    let transport = open(Kept {
        max_bytes: 8 << 10,
        ..Kept::default()
    });
    let _recorder = start(&transport);
    let first = append(&transport, None);
    let newest = append_until_deleted(&transport, first.position);
    assert_eq!(look_up(&transport, &first.event_id), Lookup::Deleted);
    assert_eq!(
        look_up(&transport, &newest.event_id),
        Lookup::Found(newest.position)
    );
}

//! Appends, groups and pages: one order, and nothing is lost.

use std::collections::HashSet;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread::JoinHandle;

use talaria_protocol::Update;
use talaria_transport::{Admit, Appended, Frame, Lookup, Transport, Verdict};

use super::{
    Everything, Kept, Open, Recorder, append, at, block_on, look_up, place, places, read, start,
    update,
};

struct Even;

impl Admit for Even {
    fn judge(&self, frame: &Frame) -> Verdict {
        frame.position.0.is_multiple_of(2).into()
    }
}

/// A page has the updates that the filter admits, within both ends and the limit, or a single one; the next
/// page continues where it ended.
pub fn pages_are_bounded_and_meet(open: Open) {
    let transport = open(Kept::default());
    let recorder = start(&transport);
    (0..600).for_each(|_| drop(append(&transport, None)));
    recorder.wait_until_routed(600);
    let page = read(&transport, 10, 17, 1 << 20, Even).expect("a page");
    assert_eq!(places(&page.frames), [12, 14, 16]);
    assert_eq!(place(page.looked_up_to), 17);
    let (mut from, mut found) = (0, Vec::new());
    while from < 600 {
        let page = read(&transport, from, 600, 1_000, Even).expect("a page");
        assert!(place(page.looked_up_to) > from, "a page goes on");
        let bytes: usize = page.frames.iter().map(|frame| frame.bytes.len()).sum();
        assert!(bytes <= 1_000);
        from = place(page.looked_up_to);
        found.extend(places(&page.frames));
    }
    assert_eq!(found, (1..=300).map(|half| half * 2).collect::<Vec<u64>>());
    let one = read(&transport, 0, 600, 1, Everything).expect("a page");
    assert_eq!(places(&one.frames), [1], "one is sent whatever the limit");
    let none = read(&transport, 600, 600, 1, Everything).expect("a page");
    assert_eq!(
        (places(&none.frames), place(none.looked_up_to)),
        (vec![], 600)
    );
}

/// An update is stored although its publisher hangs up.
pub fn an_append_completes_without_its_publisher(open: Open) {
    let transport = open(Kept::default());
    let recorder = start(&transport);
    drop(transport.append(update(Some("gone"), "x")));
    recorder.wait_until_routed(1);
    let first = Lookup::Found(at(&transport, 1));
    assert_eq!(look_up(&transport, "gone"), first);
    assert_eq!(place(append(&transport, None).position), 2);
}

/// Concurrent appends get dense increasing positions, unique ids, and are routed in that order,
/// each before it is acknowledged.
pub fn concurrent_appends_have_one_order(open: Open) {
    const PUBLISHERS: usize = 8;
    const UPDATES: usize = 200;
    let transport = open(Kept::default());
    let recorder = start(&transport);
    let publish = || -> Vec<Appended> { (0..UPDATES).map(|_| append(&transport, None)).collect() };
    let mut appended: Vec<Appended> = std::thread::scope(|scope| {
        let publishers: Vec<_> = (0..PUBLISHERS).map(|_| scope.spawn(publish)).collect();
        publishers
            .into_iter()
            .flat_map(|publisher| {
                let appended = publisher.join().expect("a publisher ends");
                assert!(appended.is_sorted_by(|one, next| one.position < next.position));
                appended
            })
            .collect()
    });
    let routed = recorder.frames();
    let dense: Vec<u64> = (1..=(PUBLISHERS * UPDATES) as u64).collect();
    assert_eq!(places(&routed), dense);
    appended.sort_by_key(|appended| appended.position);
    let acknowledged = appended.iter().map(|one| (one.position, &*one.event_id));
    assert!(
        acknowledged.eq(routed
            .iter()
            .map(|frame| (frame.position, &*frame.event_id)))
    );
    let ids: HashSet<&str> = appended.iter().map(|one| &*one.event_id).collect();
    assert_eq!(ids.len(), appended.len());
}

/// An update is routed before it is acknowledged.
pub fn an_acknowledged_update_was_routed(open: Open) {
    let transport = open(Kept::default());
    let recorder = start(&transport);
    let first = occupy(&transport, &recorder, update(None, "x"));
    let mut pending = transport.append(update(None, "x"));
    let polled = pending
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    recorder.open();
    block_on(pending).expect("the update is stored");
    first.join().expect("the first publisher ends");
    assert_eq!(recorder.frames().len(), 2);
}

/// Updates that wait together keep the order in which they came.
pub fn a_group_keeps_its_order(open: Open) {
    let transport = open(Kept::default());
    let recorder = start(&transport);
    let first = occupy(&transport, &recorder, update(None, "x"));
    let appends: Vec<_> = (1..50)
        .map(|_| transport.append(update(None, "x")))
        .collect();
    recorder.open();
    assert_eq!(
        place(first.join().expect("the first publisher ends").position),
        1
    );
    let appended = appends.into_iter().map(|append| {
        let appended = block_on(append).expect("the update is stored");
        place(appended.position)
    });
    assert!(appended.eq(2..=50));
    let groups = recorder.groups();
    assert!(groups.iter().any(|group| group.len() > 1), "they waited");
    let newest = groups.last().and_then(|group| group.last());
    assert_eq!(
        transport.newest_id().as_deref(),
        newest.map(|frame| &*frame.event_id)
    );
}

/// Updates that are appended together are one group, however large, in their order.
pub fn an_append_of_several_is_one_group(open: Open) {
    let kept = Kept {
        max_bytes: 16 << 10,
        ..Kept::default()
    };
    let transport = open(kept);
    let recorder = start(&transport);
    let first = occupy(&transport, &recorder, update(None, "x"));
    // The group may have other updates before and after them, if there is room.
    let before = transport.append(update(None, "x"));
    let ids: Vec<String> = (0..30).map(|count| format!("together-{count}")).collect();
    let together = ids.iter().map(|id| update(Some(id), &"x".repeat(1_000)));
    let together = transport.append_all(together.collect());
    let after = transport.append(update(None, "x"));
    recorder.open();
    first.join().expect("the first publisher ends");
    block_on(before).expect("the update is stored");
    block_on(after).expect("the update is stored");
    let together = block_on(together).expect("they are stored");
    assert!(together.iter().map(|one| &one.event_id).eq(&ids));
    assert!(
        together
            .iter()
            .map(|one| place(one.position))
            .eq((3..).take(30))
    );
    let groups = recorder.groups();
    let whole = groups.iter().find(|group| {
        let has = |id: &String| group.iter().any(|frame| *frame.event_id == **id);
        ids.iter().all(has)
    });
    assert!(whole.is_some(), "all of them, or none");
}

/// Updates that wait when the transport is dropped are committed, once.
pub fn dropping_commits_what_waits(open: Open) {
    let transport = open(Kept::default());
    let recorder = start(&transport);
    let first = occupy(&transport, &recorder, update(None, "first"));
    let waiting: Vec<_> = (0..100)
        .map(|_| transport.append(update(None, "x")))
        .collect();
    let dropping = std::thread::spawn(move || drop(transport));
    recorder.open();
    dropping.join().expect("the drop returns");
    first.join().expect("the first publisher ends");
    assert_eq!(places(&recorder.frames()), (1..=101).collect::<Vec<_>>());
    for appended in waiting {
        block_on(appended).expect("the update is stored");
    }
}

/// A group is at most a quarter of the ring, or a single update, whatever its updates consist of, so that
/// readers find it there.
pub fn a_group_is_at_most_a_quarter_of_the_ring(open: Open) {
    let kept = Kept {
        max_bytes: 64 << 10,
        ..Kept::default()
    };
    let long = "i".repeat(4_000);
    let swollen = Update {
        topics: vec!["t".to_owned(); 30],
        event_type: Some(long.clone()),
        ..update(Some(&long), "")
    };
    for update in [update(None, &"\n".repeat(1_000)), swollen, update(None, "")] {
        let transport = open(kept);
        let recorder = start(&transport);
        let count = 100;
        let first = occupy(&transport, &recorder, update.clone());
        let appends: Vec<_> = (1..count)
            .map(|_| transport.append(update.clone()))
            .collect();
        recorder.open();
        first.join().expect("the first publisher ends");
        recorder.wait_until_routed(count);
        drop(appends);
        for group in recorder.groups() {
            let weight: usize = group.iter().map(|frame| frame.weight()).sum();
            assert!(
                group.len() == 1 || weight <= kept.max_bytes / 4,
                "{} updates of {weight} bytes",
                group.len()
            );
        }
    }
}

/// Appends an update on another thread while routing is shut; returns once the update is being routed, so
/// that every further one waits.
fn occupy(
    transport: &Arc<dyn Transport>,
    recorder: &Recorder,
    update: Update,
) -> JoinHandle<Appended> {
    recorder.shut();
    let publisher = Arc::clone(transport);
    let publisher = std::thread::spawn(move || {
        let appended = publisher.append(update);
        drop(publisher);
        block_on(appended).expect("the update is stored")
    });
    recorder.wait_until_entered(1);
    publisher
}

//! Pages: complete, and within the ends they are given.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use talaria_protocol::Update;
use talaria_transport::{Admit, Frame, Position, Transport, Verdict};

use super::{Everything, Kept, Open, Topic, block_on, place, places, read, start, update};

/// Appends groups of two updates, the first with topic `odd`, the second with `even`.
pub fn publish_two_topics(transport: &Arc<dyn Transport>, groups: usize) {
    for _ in 0..groups {
        let of = |topic: &str| Update {
            topics: vec![topic.to_owned()],
            ..update(None, "x")
        };
        let group = vec![of("odd"), of("even")];
        block_on(transport.append_all(group)).expect("they are stored");
    }
}

/// Checks a log whose odd positions have the topic `odd`, and the others `even`.
pub fn assert_pages_end_where_they_are_told(transport: &Arc<dyn Transport>) {
    let bounds = transport.bounds();
    let (floor, head) = (place(bounds.floor), place(bounds.head));
    assert!(head > floor, "there is something to read");
    let check = |from: u64, up_to: u64, topic: Option<&'static str>| {
        let (mut at, mut found) = (from, Vec::new());
        while at < up_to {
            let page = match topic {
                Some(topic) => read(transport, at, up_to, 1 << 20, Topic(topic)),
                None => read(transport, at, up_to, 1 << 20, Everything),
            };
            let page = page.expect("a page");
            let looked_up_to = place(page.looked_up_to);
            assert!(
                (at + 1..=up_to).contains(&looked_up_to),
                "{topic:?} after {at} up to {up_to}: looked up to {looked_up_to}"
            );
            at = looked_up_to;
            found.extend(places(&page.frames));
        }
        let expected = (from + 1..=up_to).filter(|place| match topic {
            Some("odd") => place % 2 == 1,
            Some("even") => place % 2 == 0,
            Some(_) => false,
            None => true,
        });
        assert_eq!(
            found,
            expected.collect::<Vec<_>>(),
            "{topic:?} after {from} up to {up_to}"
        );
    };
    for from in floor..head {
        for up_to in from..=head {
            for topic in [None, Some("odd"), Some("even"), Some("none")] {
                check(from, up_to, topic);
            }
        }
    }
}

/// No page goes beyond the end that it was given, whatever its reader admits.
pub fn pages_end_where_they_are_told(open: Open) {
    let transport = open(Kept::default());
    let _recorder = start(&transport);
    publish_two_topics(&transport, 12);
    assert_pages_end_where_they_are_told(&transport);
}

/// Admits several topics, and says so.
struct Topics(&'static [&'static str]);

impl Admit for Topics {
    fn judge(&self, frame: &Frame) -> Verdict {
        frame
            .topics
            .iter()
            .any(|topic| self.0.contains(&&**topic))
            .into()
    }

    fn exact_topics(&self) -> Option<Vec<&str>> {
        Some(self.0.to_vec())
    }
}

const SPARSE: u64 = 1_200;

/// The topic of an update of a log that [`publish_sparse_topics`] wrote.
fn sparse_topic(position: u64) -> &'static str {
    match position {
        // More at the end than a page has room for.
        1_190.. => "late",
        _ if position.is_multiple_of(400) => "rare",
        _ if position.is_multiple_of(2) => "common",
        _ => "other",
    }
}

/// One group, so that all of it is in one segment, of updates that are large enough to be worth
/// looking up one by one.
pub fn publish_sparse_topics(transport: &Arc<dyn Transport>) {
    let updates = (1..=SPARSE).map(|position| Update {
        topics: vec![sparse_topic(position).to_owned()],
        ..update(None, &"x".repeat(1_000))
    });
    block_on(transport.append_all(updates.collect())).expect("they are stored");
}

/// Checks a log that [`publish_sparse_topics`] wrote.
pub fn assert_readers_of_topics_get_them_all(transport: &Arc<dyn Transport>) {
    for topics in [
        &["common", "rare", "late"][..],
        &["late", "common"],
        &["rare", "late"],
        &["rare", "none"],
        &["other", "common", "rare", "late"],
    ] {
        for limit in [1, 4_000, 1 << 20] {
            let (mut from, mut found) = (0, Vec::new());
            while from < SPARSE {
                let page = read(transport, from, SPARSE, limit, Topics(topics)).expect("a page");
                assert!(place(page.looked_up_to) > from, "a page goes on");
                from = place(page.looked_up_to);
                found.extend(places(&page.frames));
            }
            let wanted = (1..=SPARSE).filter(|place| topics.contains(&sparse_topic(*place)));
            assert_eq!(
                found,
                wanted.collect::<Vec<_>>(),
                "{topics:?} in pages of {limit} bytes"
            );
        }
    }
}

/// A reader of several topics gets the updates of all of them, in order, once.
pub fn a_reader_of_several_topics_gets_them_all(open: Open) {
    let transport = open(Kept {
        max_bytes: 4 << 20,
        ..Kept::default()
    });
    let _recorder = start(&transport);
    publish_sparse_topics(&transport);
    assert_readers_of_topics_get_them_all(&transport);
}

/// Admits nothing, and counts what it judges.
#[derive(Default)]
pub struct Counting(pub Arc<AtomicUsize>);

impl Admit for Counting {
    fn judge(&self, _: &Frame) -> Verdict {
        self.0.fetch_add(1, Ordering::SeqCst);
        Verdict::Refused
    }
}

/// For a reader that admits nothing, a page judges a bounded number of updates, and the next page
/// continues from there.
pub fn a_page_judges_a_bounded_number_of_updates(open: Open) {
    const UPDATES: u64 = 12_000;
    let transport = open(Kept {
        max_bytes: 16 << 20,
        ..Kept::default()
    });
    let _recorder = start(&transport);
    for _ in 0..UPDATES / 1_000 {
        let updates = vec![update(None, ""); 1_000];
        block_on(transport.append_all(updates)).expect("they are stored");
    }
    let judged = Arc::new(AtomicUsize::new(0));
    let (mut from, mut pages) = (0, 0);
    while from < UPDATES {
        let filter = Counting(Arc::clone(&judged));
        let page = read(&transport, from, UPDATES, 1 << 20, filter).expect("a page");
        assert!(place(page.looked_up_to) > from, "a page goes on");
        let count = judged.swap(0, Ordering::SeqCst);
        assert_eq!(count as u64, place(page.looked_up_to) - from);
        assert!(count <= 4_096, "{count} updates in one page");
        from = place(page.looked_up_to);
        pages += 1;
    }
    assert!(pages >= 3, "{pages} pages");
}

/// A page ends where its reader says that judging has cost enough, and the next page begins with that
/// update.
pub fn a_page_ends_where_judging_has_cost_enough(open: Open) {
    /// Judges a few updates, and admits the even ones.
    struct Few(AtomicUsize);
    impl Admit for Few {
        fn judge(&self, frame: &Frame) -> Verdict {
            if self.0.fetch_add(1, Ordering::SeqCst) >= 3 {
                return Verdict::Later;
            }
            frame.position.0.is_multiple_of(2).into()
        }
    }
    let transport = open(Kept::default());
    let _recorder = start(&transport);
    publish_two_topics(&transport, 5);
    let (mut from, mut found) = (0, Vec::new());
    while from < 10 {
        let few = Few(AtomicUsize::new(0));
        let page = read(&transport, from, 10, 1 << 20, few).expect("a page");
        assert_eq!(place(page.looked_up_to), (from + 3).min(10));
        from = place(page.looked_up_to);
        found.extend(places(&page.frames));
    }
    assert_eq!(found, [2, 4, 6, 8, 10]);
}

/// The newest update is kept whatever its size, until the next one comes.
pub fn the_newest_update_is_kept_whatever_its_size(open: Open) {
    let kept = Kept {
        max_bytes: 4 << 10,
        ..Kept::default()
    };
    for before in [0, 1, 10] {
        let transport = open(kept);
        let _recorder = start(&transport);
        for _ in 0..before {
            block_on(transport.append(update(None, "x"))).expect("it is stored");
        }
        let large = update(Some("large"), &"x".repeat(100_000));
        let large = block_on(transport.append(large)).expect("it is stored");
        let bounds = transport.bounds();
        assert_eq!(bounds.head, large.position);
        // Of a log that deleted nothing the floor is where it began, before any run.
        match before {
            0 => assert_eq!(bounds.floor, Position::ORIGIN),
            _ => assert_eq!(bounds.floor.next(), large.position),
        }
        let page = read(&transport, bounds.floor.0, bounds.head.0, 1, Everything);
        assert_eq!(
            places(&page.expect("a page").frames),
            [place(large.position)],
            "{before} before"
        );
        assert_eq!(
            super::look_up(&transport, "large"),
            talaria_transport::Lookup::Found(large.position)
        );
        assert_eq!(transport.newest_id().as_deref(), Some("large"));
        let next = block_on(transport.append(update(None, "x"))).expect("it is stored");
        assert_eq!(transport.bounds().floor, large.position);
        assert_eq!(transport.bounds().head, next.position);
    }
}

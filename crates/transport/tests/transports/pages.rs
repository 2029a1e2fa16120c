//! Pages of the history, from the active segment and from sealed ones.

use std::sync::Arc;

use talaria_transport::history::{History, HistoryOptions};
use talaria_transport::{Lookup, Position, Transport};

use crate::power::model::Model;
use crate::suite::{
    append, assert_pages_end_where_they_are_told, assert_readers_of_topics_get_them_all, look_up,
    publish_sparse_topics, publish_two_topics, start,
};

fn options() -> HistoryOptions {
    HistoryOptions::new(Arc::new(|| 1_000))
}

fn open(model: &Model, options: HistoryOptions) -> Arc<dyn Transport> {
    Arc::new(History::open(model.mount(), options).expect("it opens"))
}

/// Updates may be stored that are not visible yet; no page goes beyond the end that it was given.
#[test]
fn pages_of_sealed_segments_end_where_they_are_told() {
    let model = Model::new(1);
    for _ in 0..3 {
        let transport = open(&model, options());
        let _recorder = start(&transport);
        publish_two_topics(&transport, 8);
    }
    assert_pages_end_where_they_are_told(&open(&model, options()));
}

/// If the postings of one topic are cut off, those of another may go further; what lies after the cut is left
/// to the next page.
#[test]
fn a_reader_of_several_topics_gets_them_all_from_sealed_segments() {
    let model = Model::new(1);
    let transport = open(&model, options());
    let recorder = start(&transport);
    publish_sparse_topics(&transport);
    drop((transport, recorder));
    assert_readers_of_topics_get_them_all(&open(&model, options()));
}

/// The earliest kept update with an id counts, also if each use of the id is in another segment, and while
/// retention deletes one after the other.
#[test]
fn a_repeated_id_stands_for_the_earliest_kept_of_all_segments() {
    let model = Model::new(1);
    let mut copied = None;
    for _ in 0..3 {
        let transport = open(&model, options());
        let _recorder = start(&transport);
        append(&transport, Some("repeated"));
        let id = copied.get_or_insert_with(|| append(&transport, None).event_id);
        append(&transport, Some(&**id));
    }
    let copied = copied.expect("an id");
    // 1, 4 and 6 have the publisher's id; 2 the hub's, which 3, 5 and 7 repeat.
    for (kept, repeated, copy) in [
        (7, Some(1), 2),
        (6, Some(4), 2),
        (5, Some(4), 3),
        (4, Some(4), 5),
        (3, Some(6), 5),
        (2, Some(6), 7),
        (1, None, 7),
    ] {
        let mut options = options();
        options.size = Some(kept);
        // In a copy, because the opening removes what is not kept.
        let transport = open(&model.copy(), options);
        let repeated = repeated.map_or(Lookup::Unknown, |place| Lookup::Found(Position(place)));
        assert_eq!(look_up(&transport, "repeated"), repeated, "{kept} kept");
        let copy = Lookup::Found(Position(copy));
        assert_eq!(look_up(&transport, &copied), copy, "{kept} kept");
    }
}

//! The index finds what a walk over all interests would.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use talaria_protocol::Topic;
use talaria_transport::Position;

use super::alphabet::{Asked, Published, base};
use super::config;
use crate::interest::{Index, Interest};
use crate::lane::Lane;

#[derive(Debug, Clone)]
enum Operation {
    Insert(Asked),
    /// The place, modulo how many there are.
    Remove(usize),
    Visit(Published),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => Asked::any().prop_map(Operation::Insert),
        2 => any::<usize>().prop_map(Operation::Remove),
        3 => Published::any().prop_map(Operation::Visit),
    ]
}

fn insert(index: &mut Index, asked: &Asked) -> Arc<Interest> {
    index.find_or_insert(asked.selection(), |selection| {
        Interest::new(selection, base(), Lane::new(Position::ORIGIN, 1))
    })
}

proptest! {
    #![proptest_config(config())]

    /// Each interest that may receive an update is visited, once, and no other; by the judgement
    /// of the interest itself and by the specification's ("Subscribers").
    #[test]
    fn the_index_visits_what_a_walk_admits(operations in vec(operation(), 1..60)) {
        let mut index = Index::default();
        let mut known: Vec<(Asked, Arc<Interest>)> = Vec::new();
        for operation in &operations {
            match operation {
                Operation::Insert(asked) => {
                    let found = insert(&mut index, &asked.reworded());
                    let again = insert(&mut index, asked);
                    prop_assert!(Arc::ptr_eq(&found, &again), "equal selections share");
                    if !known.iter().any(|(_, interest)| Arc::ptr_eq(interest, &found)) {
                        known.push((asked.clone(), found));
                    }
                }
                Operation::Remove(place) => {
                    if let Some(place) = place.checked_rem(known.len()) {
                        index.remove(&known.swap_remove(place).1);
                    }
                }
                Operation::Visit(published) => {
                    let frame = published.frame(1);
                    let base = base();
                    let topics: Vec<_> =
                        frame.topics.iter().map(|topic| Topic::new(topic, &base)).collect();
                    let mut visits = HashMap::new();
                    index.visit(&frame, &topics, |interest| {
                        *visits.entry(Arc::as_ptr(interest)).or_insert(0) += 1;
                    });
                    for (asked, interest) in &known {
                        let visited = visits.remove(&Arc::as_ptr(interest)).unwrap_or(0);
                        prop_assert_eq!(visited, u32::from(interest.admits(&frame)), "{:?}", asked);
                        prop_assert_eq!(interest.admits(&frame), asked.receives(published), "{:?}", asked);
                    }
                    prop_assert!(visits.is_empty(), "an interest that left was visited");
                }
            }
            prop_assert_eq!(index.iter().count(), known.len());
        }
    }
}

//! The positions of the event ids that publishers chose, in the ring.
//!
//! The ring holds the ids themselves, so only their hashes are kept here.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher as _;

use crate::Position;

/// The most bytes that an id takes: an entry in a half-empty table, one in a half-empty queue, and one
/// for a repetition.
const WEIGHT: usize = 96;

/// The ids' places.
#[derive(Default)]
pub(super) struct Chosen {
    /// Publishers do not know its key, so they cannot make hashes collide.
    hashes: RandomState,
    places: HashMap<u64, Places>,
    /// All of them, oldest first.
    held: VecDeque<(u64, Position)>,
}

/// The positions of the ids with one hash: nearly always a single one.
#[expect(
    clippy::box_collection,
    reason = "it is nearly always missing, and a box takes a quarter of the room then"
)]
struct Places {
    first: Position,
    others: Option<Box<VecDeque<Position>>>,
}

impl Chosen {
    /// Adds an id; positions increase.
    pub(super) fn add(&mut self, id: &str, position: Position) {
        let hash = self.hashes.hash_one(id);
        self.held.push_back((hash, position));
        self.places
            .entry(hash)
            .and_modify(|places| {
                let others = places.others.get_or_insert_default();
                others.push_back(position);
            })
            .or_insert(Places {
                first: position,
                others: None,
            });
    }

    /// Removes the ids up to a position.
    pub(super) fn forget(&mut self, floor: Position) {
        let is_over = |held: &mut (u64, Position)| held.1 <= floor;
        while let Some((hash, _)) = self.held.pop_front_if(is_over) {
            let Some(places) = self.places.get_mut(&hash) else {
                continue;
            };
            match places.others.as_mut().and_then(|others| others.pop_front()) {
                Some(next) => places.first = next,
                None => drop(self.places.remove(&hash)),
            }
        }
    }

    /// The first two positions after `floor` that an id may have, the earliest first. The caller compares
    /// the ids; the second position is needed only if two ids share a hash.
    pub(super) fn places(&self, id: &str, floor: Position) -> Vec<Position> {
        let Some(places) = self.places.get(&self.hashes.hash_one(id)) else {
            return Vec::new();
        };
        let first = Some(places.first).filter(|first| *first > floor);
        let others = places.others.as_ref().map(|others| {
            let start = others.partition_point(|position| *position <= floor);
            others.range(start..).copied()
        });
        first
            .into_iter()
            .chain(others.into_iter().flatten())
            .take(2)
            .collect()
    }

    /// The most bytes that this takes.
    pub(super) fn weight(&self) -> usize {
        self.held.len() * WEIGHT
    }
}

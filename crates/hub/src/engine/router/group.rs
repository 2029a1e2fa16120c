//! A group of updates, sorted by topic.

use std::collections::HashMap;
use std::sync::Arc;

use hashbrown::HashTable;
use talaria_transport::{Frame, Position};

use super::cards::Card;
use super::due::Due;
use crate::engine::interests::{Hashing, Interest};

/// Up to this many topics are searched without a table.
const FEW: usize = 4;

/// The group that is being routed, while the router's mutex may be free.
#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) up_to: Position,
    /// Interests that joined meanwhile.
    pub(super) joined: Vec<Arc<Interest>>,
}

/// A group of updates by topic: ten thousand updates on one topic are looked up once.
#[derive(Debug, Default)]
pub(super) struct Group<'a> {
    pub(super) topics: Vec<Wanted<'a>>,
    /// The public updates.
    pub(super) public: Option<Due>,
    pub(super) private: Vec<Private>,
}

/// A topic of the group.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) text: &'a str,
    pub(super) hash: u64,
    /// The public updates on it.
    pub(super) public: Option<Due>,
    pub(super) is_private: bool,
    /// The card of the topic, if any pattern is in use.
    pub(super) card: Option<Box<Card>>,
}

/// Private updates with the same topics.
#[derive(Debug)]
pub(super) struct Private {
    pub(super) topics: Vec<usize>,
    pub(super) due: Due,
}

impl<'a> Group<'a> {
    pub(super) fn new(frames: &'a [Arc<Frame>], hashing: &Hashing, most: usize) -> Self {
        let mut group = Self {
            topics: Vec::with_capacity(frames.len()),
            ..Self::default()
        };
        let mut places: HashTable<usize> = HashTable::new();
        let mut classes: HashMap<Vec<usize>, usize> = HashMap::new();
        for frame in frames {
            let due = Due::One(frame.position);
            let mut topics = Vec::new();
            for text in &frame.topics {
                let place = group.place(&mut places, text, hashing);
                let wanted = &mut group.topics[place];
                if frame.private {
                    wanted.is_private = true;
                    topics.push(place);
                } else {
                    add(&mut wanted.public, &due, most);
                }
            }
            if !frame.private {
                add(&mut group.public, &due, most);
                continue;
            }
            match classes.get(&topics) {
                Some(class) => group.private[*class].due.merge(&due, most),
                None => {
                    classes.insert(topics.clone(), group.private.len());
                    group.private.push(Private { topics, due });
                }
            }
        }
        group
    }

    /// The place of a topic, made if it is new.
    fn place(&mut self, places: &mut HashTable<usize>, text: &'a str, hashing: &Hashing) -> usize {
        let hash = hashing.text(text);
        let topics = &mut self.topics;
        let same = |place: &usize| topics[*place].text == text;
        let known = if topics.len() <= FEW {
            (0..topics.len()).find(same)
        } else {
            places.find(hash, same).copied()
        };
        if let Some(place) = known {
            return place;
        }
        let place = topics.len();
        topics.push(Wanted {
            text,
            hash,
            public: None,
            is_private: false,
            card: None,
        });
        // The first topics enter the table together, once there are more than a few.
        let entered = match place {
            ..FEW => 0..0,
            FEW => 0..FEW + 1,
            _ => place..place + 1,
        };
        for place in entered {
            places.insert_unique(topics[place].hash, place, |place| topics[*place].hash);
        }
        place
    }
}

/// Merges `more` into `due`, which may be `None`.
pub(super) fn add(due: &mut Option<Due>, more: &Due, most: usize) {
    match due {
        Some(due) => due.merge(more, most),
        None => *due = Some(more.clone()),
    }
}

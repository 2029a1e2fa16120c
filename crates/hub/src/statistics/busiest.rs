//! Which topics are published to most, in bounded memory.
//!
//! The sketch is Space-Saving (Metwally, Agrawal and El Abbadi, 2005): it counts a fixed number of topics, and a topic
//! without a place takes that of the one with the least count, and its count too. So a count is never too low, it is at
//! most its `error` too high, and no topic with more than a 256th of all publishes is missing.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The topics that are counted at a time.
const PLACES: usize = 256;
/// The bytes of a topic by which it is known; topics that begin with the same ones are counted as one.
const LONGEST: usize = 256;
/// How long a sketch counts until another takes its place.
const WINDOW: Duration = Duration::from_secs(60);

/// A topic and how often it was published to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BusyTopic {
    /// The topic, or its first 256 bytes.
    pub topic: String,
    /// How often it was published to, at most.
    pub count: u64,
    /// By how much the count may be too high.
    pub error: u64,
}

/// The topics that were published to most lately.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BusyTopics {
    /// How long they were counted: between one minute and two, once the hub has served that long.
    pub within: Duration,
    /// The topics, the busiest first.
    pub topics: Vec<BusyTopic>,
}

/// Counts the topics of publishes. It takes no memory until it counts.
#[derive(Debug, Default)]
pub struct Busiest(Mutex<Option<Windows>>);

/// The sketch that counts, and the one before it.
#[derive(Debug)]
struct Windows {
    began: Instant,
    current: Sketch,
    previous: Sketch,
    /// How long the one before it counted.
    lasted: Duration,
}

#[derive(Debug, Default)]
struct Sketch(HashMap<Box<str>, Tally>);

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    count: u64,
    error: u64,
}

impl Busiest {
    /// Counts a publish to each of these topics.
    pub(crate) fn count<'t>(&self, topics: impl Iterator<Item = &'t str>, now: Instant) {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let windows = windows.get_or_insert_with(|| Windows::new(now));
        windows.turn(now);
        for topic in topics {
            windows.current.count(topic);
        }
    }

    /// At most `most` of the busiest topics; `None` if none was ever counted.
    pub fn read(&self, most: usize, now: Instant) -> Option<BusyTopics> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let windows = windows.as_mut()?;
        windows.turn(now);
        let mut sums: HashMap<&str, Tally> = HashMap::new();
        for Sketch(counts) in [&windows.current, &windows.previous] {
            for (topic, tally) in counts {
                let sum = sums.entry(topic).or_default();
                sum.count += tally.count;
                sum.error += tally.error;
            }
        }
        let mut topics: Vec<BusyTopic> = sums
            .into_iter()
            .map(|(topic, Tally { count, error })| BusyTopic {
                topic: topic.to_owned(),
                count,
                error,
            })
            .collect();
        topics.sort_by(|one, other| {
            let rank = |busy: &BusyTopic| (Reverse(busy.count), busy.error);
            rank(one)
                .cmp(&rank(other))
                .then_with(|| one.topic.cmp(&other.topic))
        });
        topics.truncate(most);
        let within = windows.lasted + now.saturating_duration_since(windows.began);
        Some(BusyTopics { within, topics })
    }
}

impl Windows {
    fn new(began: Instant) -> Self {
        Self {
            began,
            current: Sketch::default(),
            previous: Sketch::default(),
            lasted: Duration::ZERO,
        }
    }

    /// Begins another sketch, if the current one has counted for its time.
    fn turn(&mut self, now: Instant) {
        let counted = now.saturating_duration_since(self.began);
        if counted < WINDOW {
            return;
        }
        self.previous = std::mem::take(&mut self.current);
        self.lasted = counted;
        if counted >= WINDOW * 2 {
            // What it counted is older than a window.
            (self.previous, self.lasted) = (Sketch::default(), Duration::ZERO);
        }
        self.began = now;
    }
}

impl Sketch {
    fn count(&mut self, topic: &str) {
        let known = topic.get(..topic.floor_char_boundary(LONGEST));
        let topic = known.unwrap_or_default();
        if let Some(tally) = self.0.get_mut(topic) {
            tally.count += 1;
            return;
        }
        let mut tally = Tally { count: 1, error: 0 };
        if self.0.len() >= PLACES {
            let least = self.0.iter().min_by_key(|(_, tally)| tally.count);
            let Some((least, Tally { count, .. })) = least else {
                return;
            };
            (tally.count, tally.error) = (count + 1, *count);
            let least = least.clone();
            self.0.remove(&least);
        }
        self.0.insert(topic.into(), tally);
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test that needs some moment")]
mod tests {
    use super::*;

    fn names(busiest: &Busiest, now: Instant) -> Vec<(String, u64)> {
        let topics = busiest.read(3, now).expect("it has counted").topics;
        topics
            .into_iter()
            .map(|busy| (busy.topic, busy.count - busy.error))
            .collect()
    }

    /// The busiest of many topics are found, no count is too low, and the memory is bounded.
    #[test]
    fn the_busiest_of_many_topics_are_found() {
        let (busiest, now) = (Busiest::default(), Instant::now());
        for round in 0..10_000_u32 {
            let stray = format!("stray/{round}");
            busiest.count([stray.as_str(), "first"].into_iter(), now);
            if round % 2 == 0 {
                busiest.count(["second"].into_iter(), now);
            }
        }
        let read = busiest.read(2, now).expect("it has counted");
        let [first, second] = &read.topics[..] else {
            panic!("{read:?}");
        };
        assert_eq!(
            (first.topic.as_str(), second.topic.as_str()),
            ("first", "second")
        );
        for (busy, published) in [(first, 10_000), (second, 5_000)] {
            assert!(
                busy.count >= published && busy.count - busy.error <= published,
                "{busy:?}"
            );
        }
        let windows = busiest.0.lock().expect("it is not poisoned");
        let held = windows.as_ref().map(|windows| windows.current.0.len());
        assert_eq!(held, Some(PLACES));
    }

    /// What was busy more than two minutes ago is forgotten, and a long topic is cut between characters.
    #[test]
    fn only_the_last_minutes_count() {
        let (busiest, now) = (Busiest::default(), Instant::now());
        assert_eq!(busiest.read(3, now), None);
        let long = format!("a{}", "ä".repeat(LONGEST));
        busiest.count(["old", long.as_str()].into_iter(), now);
        let later = now + WINDOW;
        busiest.count(["new"].into_iter(), later);
        let known = names(&busiest, later);
        assert_eq!(known.len(), 3);
        assert!(
            known
                .iter()
                .all(|(topic, count)| topic.len() < LONGEST && *count == 1)
        );
        let last = busiest.read(3, later + WINDOW).expect("it has counted");
        assert_eq!(last.topics.len(), 1);
        assert_eq!(last.within, WINDOW);
        let none = busiest.read(3, later + WINDOW * 5).expect("it has counted");
        assert_eq!((none.topics.len(), none.within), (0, Duration::ZERO));
    }
}

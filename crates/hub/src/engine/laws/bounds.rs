//! Work that is cheap for a client to cause is charged by what it costs the hub: long topics, patterns
//! that reject at once, prefixes of many lengths, and patterns that left.

use std::sync::Arc;

use talaria_protocol::matcher::UrlPattern;
use talaria_protocol::{Limits, Matcher, MatcherSet, MatcherType, Update};
use talaria_transport::{Frame, Position, Ring, Route};

use super::Bell;
use super::alphabet::base;
use crate::clock::{Clock, SystemClock};
use crate::engine::cursor::{Cursor, Deadlines, Step};
use crate::engine::interests::Selection;
use crate::engine::lane::Look;
use crate::engine::router::{Effort, Membership, Router};

/// At least this many patterns reject a topic in a millisecond.
const REJECTED: u64 = 20_000;

fn router(effort: Effort) -> Arc<Router> {
    let ring = Arc::new(Ring::new(32 << 20, Position::ORIGIN));
    Arc::new(Router::new(ring, base(), effort, Position::ORIGIN))
}

fn url(text: &str) -> Matcher {
    Matcher::UrlPattern(Arc::new(
        UrlPattern::parse(text, &base()).expect("a pattern"),
    ))
}

fn template(text: &str) -> Matcher {
    let limits = Limits::default();
    Matcher::parse(MatcherType::Selector, text, "topic", &base(), &limits).expect("a template")
}

/// The selection of a reader that asks for these and may read the same.
fn selection(matchers: impl IntoIterator<Item = Matcher>) -> Selection {
    let matchers: MatcherSet = matchers.into_iter().collect();
    Selection {
        grants: matchers.clone(),
        matchers,
    }
}

fn publish(router: &Router, updates: impl IntoIterator<Item = Vec<String>>, private: bool) {
    let positions = router.visible().0 + 1..;
    let frames = positions.zip(updates).map(|(position, topics)| {
        let update = Update {
            topics,
            private,
            ..Update::default()
        };
        Arc::new(Frame::new(Position(position), position.to_string(), update))
    });
    router.route(&frames.collect::<Vec<_>>(), &mut || {});
}

/// Whether the lane of a reader holds all that came after a position.
fn is_told(reader: &Membership, after: Position) -> bool {
    let visible = reader.router().visible();
    reader.look(after, visible, &mut Vec::new()) == Look::Complete
}

/// Lets a reader look at everything in the ring. Returns how many frames it took in each turn.
fn turns(router: &Arc<Router>, asked: Selection) -> Vec<u64> {
    let reader = router.join(asked, 0);
    let mut cursor = Cursor::new(
        reader,
        Default::default(),
        Position(0),
        Deadlines::default(),
    );
    let bell = Arc::new(Bell::default());
    let now = SystemClock.now();
    let mut turns = Vec::new();
    loop {
        let before = cursor.position().0;
        match cursor.next(now, &bell.waker()) {
            Step::Send(_) => continue,
            Step::Wait => turns.push(cursor.position().0 - before),
            other => panic!("{other:?}"),
        }
        if !bell.rang() {
            break;
        }
        assert!(turns.len() < 100_000, "it ends");
    }
    assert_eq!(cursor.position(), router.visible());
    turns
}

/// The charge for parsing a topic grows with its length, as the time does.
#[test]
fn a_turn_of_long_topics_is_bounded() {
    let host: String = ('\u{4e00}'..).take(300).collect();
    // Each with the number of topics like it that are parsed in a millisecond at least.
    let topics = [
        (format!("https://example.com/{}", "a/../".repeat(800)), 24),
        (format!("https://example.com/{}", "é".repeat(2000)), 24),
        (format!("https://{host}/"), 9),
        (format!("https://xn--{}/", "a0".repeat(900)), 2),
        (format!("https://%78n%2d%2d{}/", "a0".repeat(900)), 2),
    ];
    for (topic, most) in topics {
        let asked = || selection([url("https://other.example/:id")]);
        let numbered = |n: u64| format!("{topic}{n}");
        let separate = router(Effort::new(64));
        publish(&separate, (0..60).map(|n| vec![numbered(n)]), false);
        let frames = turns(&separate, asked());
        let is_bounded = frames.iter().all(|frames| *frames <= most);
        assert!(is_bounded, "{frames:?} frames of {topic}");
        let together = router(Effort::new(64));
        publish(&together, [(0..60).map(numbered).collect()], false);
        let turns = turns(&together, asked());
        assert!(turns.len() as u64 >= 60 / most, "{turns:?} of {topic}");
    }
}

/// A judgement that goes on within a topic parses it again, and still advances.
#[test]
fn each_turn_gets_on_within_a_long_topic() {
    let router = router(Effort {
        turn_steps: 1,
        ..Effort::new(64)
    });
    let long = format!("https://example.com/{}", "a".repeat(4000));
    publish(&router, [vec![long]], false);
    let patterns = (0..50).map(|n| url(&format!("https://other.example/{n}/:id")));
    let turns = turns(&router, selection(patterns));
    assert!((50..60).contains(&turns.len()), "{turns:?}");
}

/// A pattern that rejects a topic by its first bytes is charged more than the one step that it takes.
#[test]
fn a_turn_of_patterns_that_reject_at_once_is_bounded() {
    let router = router(Effort::new(64));
    publish(&router, (0..1000).map(|n| vec![format!("urn:{n}")]), false);
    let patterns = (0..256).map(|n| template(&format!("other:{n}/{{id}}")));
    let frames = turns(&router, selection(patterns));
    assert!(
        frames.iter().all(|frames| *frames * 256 <= REJECTED),
        "{frames:?} frames"
    );
}

/// The charge for comparing a topic with exact matchers grows with its length, as the time does.
#[test]
fn a_turn_of_long_exact_topics_is_bounded() {
    let router = router(Effort::new(64));
    let long = |n: usize| format!("{}{n}", "a".repeat(4000));
    publish(&router, (0..1500).map(|n| vec![long(n)]), false);
    let exact = (2000..2256).map(|n| Matcher::Exact(long(n).into()));
    let frames = turns(&router, selection(exact));
    assert!(
        frames.iter().all(|frames| *frames <= 500),
        "{frames:?} frames"
    );
}

/// Patterns that matched a topic and left do not keep its updates from the lanes.
#[test]
fn a_visit_of_many_matching_patterns_leaves_nothing_behind() {
    for private in [false, true] {
        let router = router(Effort::new(64));
        let topic = || [vec!["https://a.example/books/1".to_owned()]];
        let readers: Vec<_> = (0..10)
            .map(|n| url(&format!("https://a.example/books/:own{n}")))
            .map(|pattern| router.join(selection([pattern]), 0))
            .collect();
        for visit in 0..6 {
            let count = 250 * (visit % 3 + 1);
            let patterns =
                (0..count).map(|n| url(&format!("https://a.example/books/:v{visit}n{n}")));
            let visitor = router.join(selection(patterns), 0);
            publish(&router, topic(), private);
            drop(visitor);
            let before = router.visible();
            publish(&router, topic(), private);
            let told = readers.iter().filter(|reader| is_told(reader, before));
            assert_eq!(told.count(), 10, "after {count} patterns, {private}");
        }
    }
}

/// Each length of a prefix takes time when a topic is looked up, so it counts as work under the mutex.
#[test]
fn looking_up_many_lengths_gives_way() {
    for private in [false, true] {
        let router = router(Effort {
            update_steps: 1,
            further_update_steps: 0,
            ..Effort::new(64)
        });
        let patterns = (1..=256).map(|n| url(&format!("https://a.example/{}:id", "x".repeat(n))));
        let _reader = router.join(selection(patterns), 0);
        let topics = (0..200).map(|n| format!("https://a.example/{n}/{}", "y".repeat(300)));
        let positions = 1..;
        let frames: Vec<_> = positions
            .zip(topics)
            .map(|(position, topic)| {
                let update = Update {
                    topics: vec![topic],
                    private,
                    ..Update::default()
                };
                Arc::new(Frame::new(Position(position), position.to_string(), update))
            })
            .collect();
        let mut parts = 0;
        router.route_in_parts(&frames, &mut || {}, &mut || parts += 1);
        // Each topic is looked up by 256 lengths, of which four count as one.
        let least = 200 * 256 / 4 / router.effort().hold;
        assert!(parts >= least, "{parts} parts, {private}");
    }
}

/// Prefixes that are longer than a topic cost it nothing.
#[test]
fn long_prefixes_cost_short_topics_nothing() {
    let router = router(Effort::new(128));
    let honest = router.join(selection([url("https://a.example/books/:id")]), 0);
    let long = (0..1000).map(|n| url(&format!("https://a.example/{}:id", "x".repeat(100 + n))));
    let _long = router.join(selection(long), 0);
    let topics = (0..100).map(|n| vec![format!("https://a.example/books/{n}")]);
    publish(&router, topics, false);
    assert!(is_told(&honest, Position(0)));
}

/// Ten thousand patterns are judged at once for a new topic, though half of them share all prefixes.
#[test]
fn an_honest_update_is_judged_at_once() {
    let router = router(Effort::new(64));
    let patterns = (0..5000).map(|n| match n {
        ..10 => format!("https://a.example/books/:id{n}"),
        _ => format!("https://a.example/books/:id/x{n}"),
    });
    let apart = (0..5000).map(|n| format!("https://a.example/p{n}/:id"));
    let readers: Vec<_> = patterns
        .chain(apart)
        .map(|pattern| router.join(selection([url(&pattern)]), 0))
        .collect();
    publish(
        &router,
        [vec!["https://a.example/books/1".to_owned()]],
        false,
    );
    let told = readers.iter().filter(|reader| is_told(reader, Position(0)));
    assert_eq!(told.count(), 10_000);
}

/// While the log passes this node, readers come and go between the lanes. Those that are not beyond what is passed over
/// must read the log, whenever they came, and no lane misses what follows.
#[test]
fn lanes_are_passed_over_one_after_the_other() {
    let router = router(Effort::new(64));
    let asked = |n: usize| selection([url(&format!("https://a.example/:id{n}"))]);
    let mut readers: Vec<_> = (0..200).map(|n| router.join(asked(n), 0)).collect();
    router.ring().restart(Position(5));
    let (mut parts, mut early) = (0, 0);
    router.pass_over_in_parts(Position(5), &mut || {
        // The mutex is free, else this would wait for ever.
        readers.push(router.join(asked(1_000 + parts), 0));
        readers.push(router.join(asked(parts), 0));
        drop(readers.swap_remove(parts));
        let told = readers.iter().filter(|reader| is_told(reader, Position(0)));
        early += usize::from(told.count() > 0);
        parts += 1;
    });
    assert!(parts > 10, "{parts} parts");
    assert!(early > 0, "some lanes were passed over later");
    assert_eq!(router.visible(), Position(5));
    let is_behind = |reader: &Membership| !is_told(reader, Position(0));
    assert!(readers.iter().all(is_behind));
    publish(&router, [vec!["https://a.example/1".to_owned()]], false);
    let mut found = Vec::new();
    for reader in &readers {
        let look = reader.look(Position(5), Position(6), &mut found);
        assert_eq!(look, Look::Complete);
    }
    assert_eq!(found, vec![Position(6); readers.len()]);
}

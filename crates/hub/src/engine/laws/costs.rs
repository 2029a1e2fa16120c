//! A turn, a page and an update take a bounded number of steps, whatever clients ask for.

use std::sync::Arc;

use talaria_protocol::matcher::UrlPattern;
use talaria_protocol::{Matcher, MatcherSet, Topic, Update};
use talaria_transport::{Frame, Page, Position, Ring, Route, Verdict};

use super::Bell;
use super::alphabet::base;
use crate::clock::{Clock, SystemClock};
use crate::engine::cursor::{Cursor, Deadlines, Step};
use crate::engine::interests::Selection;
use crate::engine::lane::Look;
use crate::engine::router::{Effort, Membership, Router};

/// The most that one evaluation costs in these tests.
const COSTLY: u64 = 60_000;

fn router() -> Arc<Router> {
    router_with(Ring::new(32 << 20, Position::ORIGIN))
}

fn router_with(ring: Ring) -> Arc<Router> {
    let router = Router::new(Arc::new(ring), base(), Effort::new(64), Position::ORIGIN);
    Arc::new(router)
}

/// Costly patterns. Pattern `n` matches `/x/{n}{end}/y`.
fn costly(count: usize, end: &str) -> Selection {
    let patterns = (0..count).map(|n| {
        let pattern = format!("/{}/{n}{end}/:id", "{*}?".repeat(24));
        Matcher::UrlPattern(Arc::new(
            UrlPattern::parse(&pattern, &base()).expect("a pattern"),
        ))
    });
    Selection {
        matchers: patterns.collect(),
        grants: MatcherSet::default(),
    }
}

fn topic(n: usize) -> String {
    format!("/{n}{}", "a".repeat(100))
}

fn frame(position: u64, topics: Vec<String>) -> Arc<Frame> {
    let update = Update {
        topics,
        ..Update::default()
    };
    Arc::new(Frame::new(Position(position), position.to_string(), update))
}

fn publish(router: &Router, topics: Vec<String>) {
    let position = router.visible().next();
    router.route(&[frame(position.0, topics)], &mut || {});
}

/// What all matchers of a selection cost on a topic.
fn cost(selection: &Selection, text: &str) -> u64 {
    let base = base();
    let topic = Topic::new(text, &base);
    let mut spent = 0;
    for matcher in &selection.matchers {
        let mut one = 0;
        assert!(!matcher.matches_in(&topic, &mut one));
        assert!(one > 500 && one < COSTLY, "{one} steps");
        spent += one;
    }
    spent
}

fn cursor(membership: Membership, from: u64) -> Cursor {
    let deadlines = Deadlines::default();
    Cursor::new(membership, Default::default(), Position(from), deadlines)
}

/// A turn can end within a frame, and the next one goes on there.
#[test]
fn a_turn_of_a_cursor_is_bounded_in_steps() {
    let router = router();
    let selection = costly(40, "z");
    let topics: Vec<_> = (0..20).map(topic).collect();
    let whole: u64 = topics.iter().map(|topic| cost(&selection, topic)).sum();
    publish(
        &router,
        topics
            .iter()
            .cloned()
            .chain(["/x/39z/y".to_owned()])
            .collect(),
    );
    let mut cursor = cursor(router.join(selection, 0), 0);
    let bell = Arc::new(Bell::default());
    let now = SystemClock.now();
    assert!(
        matches!(cursor.next(now, &bell.waker()), Step::Send(_)),
        "the comment"
    );
    let mut turns = 0;
    while cursor.next(now, &bell.waker()) == Step::Wait {
        assert!(bell.rang(), "it goes on by itself");
        turns += 1;
        assert!(turns < 1_000_000, "the judgement ends");
    }
    assert_eq!(cursor.position(), Position(1), "the last topic matches");
    let most = router.effort().turn_steps + COSTLY;
    assert!(turns >= whole / most, "{turns} turns for {whole} steps");
    // Everything else in a turn costs less than its judgements.
    assert!(
        turns <= 4 * (whole / router.effort().turn_steps + 1),
        "{turns} turns"
    );
}

/// A page can end within a frame, and the next one goes on there.
#[test]
fn a_page_of_the_history_is_bounded_in_steps() {
    let router = router_with(Ring::new(1, Position::ORIGIN));
    let selection = costly(40, "z");
    let topics: Vec<_> = (0..20).map(topic).collect();
    let whole: u64 = topics.iter().map(|topic| cost(&selection, topic)).sum();
    publish(&router, topics.clone());
    publish(&router, vec!["urn:last".to_owned()]);
    let mut cursor = cursor(router.join(selection, 7), 0);
    let bell = Arc::new(Bell::default());
    let now = SystemClock.now();
    let first = frame(1, topics);
    let mut pages = 0;
    let verdict = loop {
        match cursor.next(now, &bell.waker()) {
            Step::NeedPage { from, .. } => assert_eq!(from, Position(0)),
            Step::Send(_) => continue,
            Step::Wait if bell.rang() => continue,
            other => panic!("{other:?}"),
        }
        pages += 1;
        let filter = cursor.filter();
        assert_eq!(filter.client(), 7, "whose share of the readers it takes");
        let verdict = filter.judge(&first);
        if verdict != Verdict::Later {
            break verdict;
        }
        let looked_up_to = Position(0);
        cursor.supply(Ok(Page {
            frames: Vec::new(),
            looked_up_to,
        }));
        assert!(pages < 1_000_000, "the judgement ends");
    };
    assert_eq!(verdict, Verdict::Refused);
    let most = router.effort().page_steps + COSTLY;
    assert!(pages >= whole / most, "{pages} pages for {whole} steps");
    let least = router.effort().page_steps;
    assert!(pages <= 4 * (whole / least + 1), "{pages} pages");
}

/// An update judges as many idle patterns as its allowance permits, however many there are. The holders
/// of the others judge for themselves, and the next update on the topic goes on.
#[test]
fn an_update_is_bounded_in_steps() {
    let router = router();
    let streams: Vec<_> = (0..20)
        .map(|stream| router.join(costly(40, &format!("s{stream}")), 0))
        .collect();
    let whole: u64 = (0..20)
        .map(|stream| cost(&costly(40, &format!("s{stream}")), &topic(1)))
        .sum();
    let mut skipped = Vec::new();
    loop {
        let before = router.visible();
        publish(&router, vec![topic(1)]);
        let is_behind = |stream: &&Membership| {
            stream.look(before, router.visible(), &mut Vec::new()) == Look::Behind
        };
        skipped.push(streams.iter().filter(is_behind).count());
        if skipped.last() == Some(&0) {
            break;
        }
        assert!(skipped.len() < 10_000, "all are judged at last");
    }
    assert!(skipped.is_sorted_by(|one, next| one >= next), "{skipped:?}");
    let most = router.effort().update_steps + COSTLY;
    assert!(
        skipped.len() as u64 >= whole / most,
        "{skipped:?} for {whole} steps"
    );
}

/// Cheap patterns are judged before costly ones, whichever came first.
#[test]
fn cheap_patterns_are_judged_first() {
    let router = router();
    let _costly: Vec<_> = (0..50)
        .map(|stream| router.join(costly(40, &format!("s{stream}")), 0))
        .collect();
    let pattern = UrlPattern::parse("/:any", &base()).expect("a pattern");
    let cheap = Selection {
        matchers: MatcherSet::from_iter([Matcher::UrlPattern(Arc::new(pattern))]),
        grants: MatcherSet::default(),
    };
    let cheap = router.join(cheap, 0);
    publish(&router, vec![topic(1)]);
    let mut found = Vec::new();
    assert_eq!(
        cheap.look(Position(0), Position(1), &mut found),
        Look::Complete
    );
    assert_eq!(found, [Position(1)]);
}

/// An interest is told of a batch once. If the batch is more than its lane holds, the floor rises.
#[test]
fn a_batch_on_a_shared_topic_is_told_once() {
    let router = router();
    let join = |topics: &[&str]| {
        let topics = topics.iter().map(|topic| Matcher::Exact((*topic).into()));
        let selection = Selection {
            matchers: topics.collect(),
            grants: MatcherSet::default(),
        };
        router.join(selection, 0)
    };
    let one = join(&["shared", "own:1"]);
    let other = join(&["shared", "own:2"]);
    let unconcerned = join(&["own:3"]);
    let batch = |count: u64| {
        let first = router.visible().0 + 1;
        let frames: Vec<_> = (first..first + count)
            .map(|position| frame(position, vec!["shared".to_owned(), format!("x:{position}")]))
            .collect();
        router.route(&frames, &mut || {});
    };
    batch(64);
    let mut found = Vec::new();
    let look = one.look(Position(0), router.visible(), &mut found);
    assert_eq!((look, found.len()), (Look::Complete, 64));
    batch(10_000);
    for reader in [&one, &other] {
        let look = reader.look(Position(64), router.visible(), &mut Vec::new());
        assert_eq!(look, Look::Behind);
        let look = reader.look(router.visible(), router.visible(), &mut Vec::new());
        assert_eq!(look, Look::Complete, "the floor is the batch's end");
    }
    let look = unconcerned.look(Position(64), router.visible(), &mut Vec::new());
    assert_eq!(look, Look::Complete);
}

//! Loom explores every interleaving of the production router, lane and cursor.
//!
//! A lost wake-up shows as a deadlock, which loom reports. Each break of a rule by which the router loses
//! nothing (ADR 0001) makes one of these models fail, which `scripts/show-breaks` shows.

mod runs;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use loom::future::block_on;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use talaria_protocol::matcher::UrlPattern;
use talaria_protocol::{Base, Matcher, MatcherSet, Update};
use talaria_transport::{Frame, Position, Ring, Route};

use crate::clock::{Clock, SystemClock};
use crate::engine::cursor::{Cursor, Deadlines, End, Step};
use crate::engine::drain::{Drain, UnderWay};
use crate::engine::interests::Selection;
use crate::engine::permit::{Lifetime, Marks, Permit};
use crate::engine::router::{Effort, Router};

const TOPIC: &str = "https://example.com/books/1";

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn router(ring_bytes: usize) -> Arc<Router> {
    let ring = Arc::new(Ring::new(ring_bytes, Position::ORIGIN));
    Arc::new(Router::new(
        ring,
        Arc::new(Base::synthetic()),
        Effort::new(1),
        Position::ORIGIN,
    ))
}

/// A router that may take `update_steps` steps for each group.
fn router_within(update_steps: u64) -> Arc<Router> {
    let ring = Arc::new(Ring::new(1 << 20, Position::ORIGIN));
    let effort = Effort {
        update_steps,
        ..Effort::new(1)
    };
    let base = Arc::new(Base::synthetic());
    let router = Router::new(ring, base, effort, Position::ORIGIN);
    Arc::new(router)
}

fn frame(position: u64, topic: &str) -> Arc<Frame> {
    let update = Update {
        topics: vec![topic.to_owned()],
        ..Update::default()
    };
    Arc::new(Frame::new(Position(position), position.to_string(), update))
}

fn route(router: &Router, positions: &[u64]) {
    let group: Vec<_> = positions.iter().map(|at| frame(*at, TOPIC)).collect();
    router.route(&group, &mut || {});
}

fn selection() -> Selection {
    Selection {
        matchers: MatcherSet::from_iter([Matcher::Exact(TOPIC.into())]),
        grants: MatcherSet::default(),
    }
}

/// A selection by a pattern, so that routing has to judge outside the mutex.
fn by_pattern(pattern: &str) -> Selection {
    let pattern = UrlPattern::parse(pattern, &Base::synthetic()).expect("a pattern");
    Selection {
        matchers: MatcherSet::from_iter([Matcher::UrlPattern(Arc::new(pattern))]),
        grants: MatcherSet::default(),
    }
}

fn join_with(router: &Arc<Router>, selection: &Selection) -> Cursor {
    let membership = router.join(selection.clone(), 0);
    let position = router.visible();
    Cursor::new(
        membership,
        Default::default(),
        position,
        Deadlines::default(),
    )
}

fn join(router: &Arc<Router>, from: Option<u64>) -> Cursor {
    join_under(router, from, UnderWay::default())
}

fn join_under(router: &Arc<Router>, from: Option<u64>, drain: UnderWay) -> Cursor {
    let membership = router.join(selection(), 0);
    let position = from.map_or_else(|| router.visible(), Position);
    Cursor::new(membership, drain, position, Deadlines::default())
}

/// Drives a cursor until it has delivered the update `last`. Returns what it delivered.
fn receive(cursor: &mut Cursor, now: Instant, last: u64) -> Vec<u64> {
    let mut delivered = Vec::new();
    block_on(poll_fn(|context| {
        loop {
            match cursor.next(now, context.waker()) {
                Step::Send(chunk) => {
                    let text = String::from_utf8_lossy(&chunk).into_owned();
                    let ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
                    delivered.extend(ids.filter_map(|id| id.parse::<u64>().ok()));
                    if delivered.last().is_some_and(|id| *id >= last) {
                        return Poll::Ready(());
                    }
                }
                Step::Wait => return Poll::Pending,
                other => panic!("unexpected step {other:?}"),
            }
        }
    }));
    delivered
}

/// Drives a cursor until it ends.
fn end_of(cursor: &mut Cursor, now: Instant) -> End {
    block_on(poll_fn(|context| {
        loop {
            match cursor.next(now, context.waker()) {
                Step::Send(_) => {}
                Step::Wait => return Poll::Pending,
                Step::End(end) => return Poll::Ready(end),
                other @ Step::NeedPage { .. } => panic!("unexpected step {other:?}"),
            }
        }
    }))
}

/// A reader that waits gets every update once, in order, though its lane holds one position.
#[test]
fn loom_live_updates_arrive() {
    let now = SystemClock.now();
    explore(move || {
        let router = router(1 << 20);
        let mut cursor = join(&router, None);
        let publisher = {
            let router = Arc::clone(&router);
            thread::spawn(move || {
                route(&router, &[1]);
                route(&router, &[2, 3]);
            })
        };
        assert_eq!(receive(&mut cursor, now, 3), [1, 2, 3]);
        publisher.join().expect("the publisher ends");
    });
}

/// A reader that shares its lane with one that never reads scans what the lane dropped.
#[test]
fn loom_a_reader_behind_its_lane_scans() {
    let now = SystemClock.now();
    explore(move || {
        let router = router(1 << 20);
        let _idle = join(&router, None);
        let mut cursor = join(&router, None);
        let publisher = {
            let router = Arc::clone(&router);
            thread::spawn(move || route(&router, &[1, 2]))
        };
        assert_eq!(receive(&mut cursor, now, 2), [1, 2]);
        publisher.join().expect("the publisher ends");
    });
}

/// Joining and routing exclude each other: nothing falls between ring and lane.
#[test]
fn loom_a_join_while_routing_loses_nothing() {
    let now = SystemClock.now();
    explore(move || {
        let router = router(1 << 20);
        let publisher = {
            let router = Arc::clone(&router);
            thread::spawn(move || {
                route(&router, &[1]);
                route(&router, &[2]);
            })
        };
        let mut cursor = join(&router, Some(0));
        assert_eq!(receive(&mut cursor, now, 2), [1, 2]);
        publisher.join().expect("the publisher ends");
    });
}

/// The last reader leaves while another with the same interest comes.
#[test]
fn loom_a_join_while_leaving_keeps_the_lane_fed() {
    let now = SystemClock.now();
    explore(move || {
        let router = router(1 << 20);
        let leaving = join(&router, None);
        let leaver = thread::spawn(move || drop(leaving));
        let mut cursor = join(&router, None);
        route(&router, &[1]);
        assert_eq!(receive(&mut cursor, now, 1), [1]);
        leaver.join().expect("the reader leaves");
    });
}

/// A second reader with an older cursor joins a lane whose only reader has read.
#[test]
fn loom_an_older_cursor_joins_a_lane_that_dropped_what_was_read() {
    let now = SystemClock.now();
    explore(move || {
        let router = router(1 << 20);
        let mut first = join(&router, None);
        route(&router, &[1]);
        let reader = thread::spawn(move || {
            assert_eq!(receive(&mut first, now, 2), [1, 2]);
            first
        });
        let second = {
            let router = Arc::clone(&router);
            thread::spawn(move || {
                let mut second = join(&router, Some(0));
                assert_eq!(receive(&mut second, now, 2), [1, 2]);
            })
        };
        route(&router, &[2]);
        drop(reader.join().expect("the first reader ends"));
        second.join().expect("the second reader ends");
    });
}

/// A reader that starts without a cursor after an acknowledgement does not get that update again.
#[test]
fn loom_an_acknowledged_update_is_visible() {
    explore(|| {
        let router = router(1 << 20);
        let acknowledged = Arc::new(AtomicBool::new(false));
        let publisher = {
            let (router, acknowledged) = (Arc::clone(&router), Arc::clone(&acknowledged));
            thread::spawn(move || {
                let mut acknowledge = || acknowledged.store(true, Ordering::Release);
                router.route(&[frame(1, TOPIC)], &mut acknowledge);
            })
        };
        if acknowledged.load(Ordering::Acquire) {
            assert!(join(&router, None).position() >= Position(1));
        }
        publisher.join().expect("the publisher ends");
    });
}

/// An idle reader of another topic follows the traffic: it is rung once per half turn.
#[test]
fn loom_an_idle_reader_is_not_passed() {
    let now = SystemClock.now();
    explore(move || {
        let weight = frame(1, "other").weight();
        let router = router(weight * 2);
        let mut cursor = join(&router, None);
        let publisher = {
            let router = Arc::clone(&router);
            thread::spawn(move || {
                router.route(&[frame(1, "other")], &mut || {});
                route(&router, &[2]);
            })
        };
        assert_eq!(receive(&mut cursor, now, 2), [2]);
        publisher.join().expect("the publisher ends");
    });
}

/// A drain that begins while a reader is about to wait ends that reader too.
#[test]
fn loom_a_drain_reaches_a_reader_that_is_about_to_wait() {
    let now = SystemClock.now();
    explore(move || {
        let router = router(1 << 20);
        let drain = Arc::new(Drain::default());
        let mut cursor = join_under(&router, None, drain.enter());
        let stopper = thread::spawn(move || {
            drain.begin(now, Duration::ZERO);
            router.ring_all();
        });
        assert_eq!(end_of(&mut cursor, now), End::Drained);
        stopper.join().expect("the stopper ends");
    });
}

/// A permit that is revoked while a reader is about to wait ends that reader, too.
#[test]
fn loom_a_revoked_permit_reaches_a_reader_that_is_about_to_wait() {
    let now = SystemClock.now();
    explore(move || {
        let router = router(1 << 20);
        let permit = Arc::new(Permit::new(f64::INFINITY));
        let membership = router.join(selection(), 0);
        let revoker = {
            let permit = Arc::clone(&permit);
            thread::spawn(move || {
                permit.revoke();
                permit.ring();
            })
        };
        let share = permit.share(&membership, Lifetime::NONE, Marks::default());
        let deadlines = Deadlines::default();
        let cursor = Cursor::new(membership, Default::default(), Position(0), deadlines);
        assert_eq!(end_of(&mut cursor.under(share), now), End::Revoked);
        revoker.join().expect("the revoker ends");
    });
}

/// A stream that is ended alone while its reader is about to wait ends, too; one that it does not mean goes on.
#[test]
fn loom_an_end_reaches_a_reader_that_is_about_to_wait() {
    let now = SystemClock.now();
    let marked = |token| Marks {
        token,
        ..Marks::default()
    };
    explore(move || {
        let router = router(1 << 20);
        let permit = Arc::new(Permit::new(f64::INFINITY));
        let membership = router.join(selection(), 0);
        let share = permit.share(&membership, Lifetime::NONE, marked(1));
        let other = router.join(selection(), 0);
        let mut other = permit.share(&other, Lifetime::NONE, marked(2));
        let operator = {
            let permit = Arc::clone(&permit);
            thread::spawn(move || permit.end(marked(1)))
        };
        let deadlines = Deadlines::default();
        let cursor = Cursor::new(membership, Default::default(), Position(0), deadlines);
        assert_eq!(end_of(&mut cursor.under(share), now), End::Disconnected);
        assert_eq!(operator.join().expect("the operator ends"), 1);
        assert!(!other.is_ended());
    });
}

/// A reader joins while patterns are judged outside the mutex. They were collected before it joined.
#[test]
fn loom_a_join_while_matching_loses_nothing() {
    let now = SystemClock.now();
    let other = by_pattern("https://example.com/authors/:id");
    explore(move || {
        let router = router_within(1_000);
        let _other = join_with(&router, &other);
        let publisher = {
            let router = Arc::clone(&router);
            thread::spawn(move || route(&router, &[1]))
        };
        let mut cursor = join(&router, Some(0));
        assert_eq!(receive(&mut cursor, now, 1), [1]);
        publisher.join().expect("the publisher ends");
    });
}

/// A reader whose pattern is not judged while routing finds the update in the ring.
#[test]
fn loom_who_was_not_judged_reads_the_ring() {
    let now = SystemClock.now();
    let selection = by_pattern("https://example.com/books/:id");
    explore(move || {
        let router = router_within(0);
        let mut cursor = join_with(&router, &selection);
        let publisher = {
            let router = Arc::clone(&router);
            thread::spawn(move || route(&router, &[1]))
        };
        assert_eq!(receive(&mut cursor, now, 1), [1]);
        publisher.join().expect("the publisher ends");
    });
}

/// The only reader with a pattern leaves while it is judged, and an equal one comes.
#[test]
fn loom_a_pattern_that_comes_back_while_matching_is_told() {
    let now = SystemClock.now();
    let selection = by_pattern("https://example.com/books/:id");
    explore(move || {
        let router = router_within(1_000);
        let leaving = join_with(&router, &selection);
        let publisher = {
            let router = Arc::clone(&router);
            thread::spawn(move || route(&router, &[1]))
        };
        drop(leaving);
        let membership = router.join(selection.clone(), 0);
        let deadlines = Deadlines::default();
        let mut cursor = Cursor::new(membership, Default::default(), Position(0), deadlines);
        assert_eq!(receive(&mut cursor, now, 1), [1]);
        publisher.join().expect("the publisher ends");
    });
}

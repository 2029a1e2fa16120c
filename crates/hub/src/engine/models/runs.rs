//! A log that several processes share begins a new run, or its retention is faster than this node. Its tail then
//! changes the ring while readers look (`talaria_transport::Ring::cut`, `Ring::restart`, ADR 0024).

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use loom::future::block_on;
use loom::thread;
use talaria_transport::{Page, Position, ReadError, Route};

use super::{explore, join, route, router};
use crate::clock::{Clock, SystemClock};
use crate::engine::cursor::{Cursor, End, Step};
use crate::engine::router::Router;

/// The first position of the next run.
const RUN: u64 = (1 << 32) + 1;

/// Drives a cursor until it has delivered `last` or ends. Pages are answered from the ring, as a shared log does
/// (`transport/src/shared/read.rs`), which has no more than the ring here. Returns what was delivered and the end.
fn read(router: &Router, cursor: &mut Cursor, now: Instant, last: u64) -> (Vec<u64>, Option<End>) {
    let mut delivered = Vec::new();
    let end = block_on(poll_fn(|context| {
        loop {
            match cursor.next(now, context.waker()) {
                Step::Send(chunk) => {
                    let text = String::from_utf8_lossy(&chunk).into_owned();
                    let ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
                    delivered.extend(ids.filter_map(|id| id.parse::<u64>().ok()));
                    if delivered.contains(&last) {
                        return Poll::Ready(None);
                    }
                }
                Step::NeedPage { from, up_to } => {
                    let page = router.ring().page(from, up_to, usize::MAX);
                    let page = page.map(|frames| Page {
                        frames,
                        looked_up_to: up_to,
                    });
                    cursor.supply(page.ok_or(ReadError::Passed(from)));
                }
                Step::Wait => return Poll::Pending,
                Step::End(end) => return Poll::Ready(Some(end)),
            }
        }
    }));
    (delivered, end)
}

/// The tail's part, in a thread.
fn follow(
    router: &Arc<Router>,
    part: impl FnOnce(&Arc<Router>) + 'static,
) -> thread::JoinHandle<()> {
    let router = Arc::clone(router);
    thread::spawn(move || part(&router))
}

/// A new run begins while a reader reads what the run before had shown: it receives what is kept and what is new, and
/// what was lost either before the new run or not at all.
#[test]
fn loom_a_new_run_reaches_a_reader_of_the_one_before() {
    let now = SystemClock.now();
    explore(move || {
        let router = router(1 << 20);
        let mut cursor = join(&router, None);
        let tail = follow(&router, |router| {
            route(router, &[1, 2]);
            router.ring().cut(Position(1));
            route(router, &[RUN]);
        });
        let (delivered, end) = read(&router, &mut cursor, now, RUN);
        assert_eq!(end, None);
        assert!(
            delivered == [1, 2, RUN] || delivered == [1, RUN],
            "{delivered:?}"
        );
        tail.join().expect("the tail ends");
    });
}

/// A reader that comes while a new run begins receives nothing of what was lost once it may see the new run.
#[test]
fn loom_a_reader_of_the_new_run_receives_nothing_that_was_lost() {
    let now = SystemClock.now();
    explore(move || {
        let router = router(1 << 20);
        route(&router, &[1, 2]);
        let tail = follow(&router, |router| {
            router.ring().cut(Position(1));
            route(router, &[RUN]);
        });
        let is_new = router.visible() == Position(RUN);
        let mut cursor = join(&router, Some(0));
        let (delivered, end) = read(&router, &mut cursor, now, RUN);
        assert_eq!(end, None);
        let kept = delivered == [1, RUN];
        assert!(
            kept || (!is_new && delivered == [1, 2, RUN]),
            "{delivered:?}"
        );
        tail.join().expect("the tail ends");
    });
}

/// The log deletes what this node has not read yet: a reader that waits for it ends, and never receives what follows
/// as if nothing were missing.
#[test]
fn loom_a_reader_that_the_log_has_passed_ends() {
    let now = SystemClock.now();
    explore(move || {
        let router = router(1 << 20);
        let mut cursor = join(&router, None);
        let tail = follow(&router, |router| {
            route(router, &[1]);
            router.ring().restart(Position(5));
            router.pass_over(Position(5));
            route(router, &[6]);
        });
        let (delivered, end) = read(&router, &mut cursor, now, 6);
        assert_eq!(end, Some(End::Passed), "{delivered:?}");
        assert!(delivered.is_empty() || delivered == [1], "{delivered:?}");
        tail.join().expect("the tail ends");
    });
}

/// A reader that comes while the log passes this node ends, too, unless it begins after what was passed over.
#[test]
fn loom_a_reader_that_comes_while_the_log_passes_ends() {
    let now = SystemClock.now();
    explore(move || {
        let router = router(1 << 20);
        let tail = follow(&router, |router| {
            router.ring().restart(Position(5));
            router.pass_over(Position(5));
            route(router, &[6]);
        });
        let mut cursor = join(&router, None);
        match cursor.position() {
            Position(6) => {}
            from => {
                let (delivered, end) = read(&router, &mut cursor, now, 6);
                let is_passed = from == Position(0) && delivered.is_empty();
                let is_told = from == Position(5) && delivered == [6];
                match end {
                    Some(end) => assert!(is_passed && end == End::Passed, "{from:?}: {end:?}"),
                    None => assert!(is_told, "{from:?}: {delivered:?}"),
                }
            }
        }
        tail.join().expect("the tail ends");
    });
}

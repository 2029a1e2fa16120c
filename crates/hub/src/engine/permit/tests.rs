//! Permits, and the streams that rest on them.

use std::task::Waker;

use talaria_protocol::{Base, Matcher};
use talaria_transport::{Position, Ring};

use super::*;
use crate::engine::cursor::{Cursor, Deadlines, End, Step};
use crate::engine::interests::Selection;
use crate::engine::laws::Bell;
use crate::engine::router::{Effort, Router};

/// A stream of a permit, and its bell.
struct Stream {
    cursor: Cursor,
    bell: Arc<Bell>,
}

impl Stream {
    fn new(router: &Arc<Router>, permit: &Arc<Permit>, lifetime: Lifetime) -> Self {
        Self::marked(router, permit, lifetime, Marks::default())
    }

    fn marked(
        router: &Arc<Router>,
        permit: &Arc<Permit>,
        lifetime: Lifetime,
        marks: Marks,
    ) -> Self {
        let membership = router.join(selection(), 0);
        let share = permit.share(&membership, lifetime, marks);
        let deadlines = Deadlines::default();
        let cursor = Cursor::new(membership, Default::default(), Position(0), deadlines);
        Self {
            cursor: cursor.under(share),
            bell: Arc::default(),
        }
    }

    /// What the stream does, up to its end or until it waits.
    fn drive(&mut self, now: Instant) -> Vec<Step> {
        let waker: Waker = self.bell.waker();
        let mut steps = Vec::new();
        loop {
            let step = self.cursor.next(now, &waker);
            let is_last = matches!(step, Step::Wait | Step::End(_));
            steps.push(step);
            if is_last {
                return steps;
            }
        }
    }

    fn is_over(&mut self, now: Instant) -> bool {
        self.drive(now).last() == Some(&Step::End(End::Revoked))
    }
}

fn selection() -> Selection {
    Selection {
        matchers: [Matcher::Any].into_iter().collect(),
        grants: Default::default(),
    }
}

fn router() -> Arc<Router> {
    let ring = Arc::new(Ring::new(1 << 20, Position::ORIGIN));
    let base = Arc::new(Base::synthetic());
    Arc::new(Router::new(ring, base, Effort::new(64), Position::ORIGIN))
}

fn now() -> Instant {
    use crate::clock::Clock as _;
    crate::clock::SystemClock.now()
}

/// A permit that is revoked ends its streams and no others, and wakes each of them once, although
/// all share a lane.
#[test]
fn a_revoked_permit_ends_its_own_streams() {
    let (router, now) = (router(), now());
    let permits = [0, 1].map(|_| Arc::new(Permit::new(f64::INFINITY)));
    let mut streams: Vec<_> = (0..1_000)
        .map(|number| Stream::new(&router, &permits[number % 2], Lifetime::NONE))
        .collect();
    for stream in &mut streams {
        assert!(!stream.is_over(now));
    }
    permits[1].revoke();
    permits[1].ring();
    for (number, stream) in streams.iter_mut().enumerate() {
        assert_eq!(stream.bell.count(), number % 2);
        assert_eq!(stream.is_over(now), number % 2 == 1);
    }
    let mut late = Stream::new(&router, &permits[1], Lifetime::NONE);
    assert!(late.is_over(now), "it came after the bell");
    drop((streams, late));
    for permit in &permits {
        assert_eq!(permit.readers.lock().taken(), 0);
        assert_eq!(permit.concerned(0).map(|readers| readers.len()), None);
    }
}

/// A shorter lifetime wakes and ends the streams whose tokens live longer, and a longer one ends none.
#[test]
fn a_shorter_lifetime_ends_the_streams_of_longer_tokens() {
    let (router, now) = (router(), now());
    let permit = Arc::new(Permit::new(f64::INFINITY));
    let lifetimes = [1.0, 599.0, 600.0, 600.5, 16_777_217.0, f64::INFINITY];
    let mut streams =
        lifetimes.map(|seconds| Stream::new(&router, &permit, Lifetime::of_seconds(seconds)));
    let mut over = [false; 6];
    for stream in &mut streams {
        assert!(!stream.is_over(now));
    }
    for longest in [16_777_217.0, 600.0, 601.0, 600.5, 0.5] {
        if permit.bound(longest) {
            permit.ring();
        }
        for (number, lifetime) in lifetimes.into_iter().enumerate() {
            let ends = !over[number] && lifetime > longest;
            let stream = &mut streams[number];
            let rings = stream.bell.count();
            // Half the bytes hold whole seconds up to 2²⁴.
            let is_exact = lifetime < 16_777_216.0;
            assert!(rings == usize::from(ends) || !is_exact, "{lifetime}");
            assert!(rings == 1 || !ends);
            over[number] |= ends;
            assert_eq!(stream.is_over(now), over[number], "{lifetime}");
        }
    }
    assert_eq!(over, [true; 6]);
}

/// A stream costs this much more.
#[test]
fn a_share_is_small() {
    assert_eq!(size_of::<Option<Share>>(), 24);
    assert_eq!(size_of::<Option<Reader>>(), 32);
}

/// A token that does not say when it was issued lives for what is left of it.
#[test]
fn what_is_left_of_a_lifetime_counts() {
    let (router, now) = (router(), now());
    let permit = Arc::new(Permit::new(600.0));
    let membership = router.join(
        Selection {
            matchers: [Matcher::Any].into_iter().collect(),
            grants: Default::default(),
        },
        0,
    );
    let share = permit.share(&membership, Lifetime::LEFT, Marks::default());
    let expiry = now + Duration::from_secs(600);
    assert!(!share.is_over(now, Some(expiry)));
    assert!(permit.bound(300.0), "streams may have to end");
    assert_eq!(permit.concerned(0).map(|readers| readers.len()), Some(1));
    assert!(share.is_over(now, Some(expiry)));
    assert!(!share.is_over(now + Duration::from_secs(300), Some(expiry)));
    assert!(share.is_over(now, None), "it does not expire");
}

/// Streams are ended alone by their marks: each is woken once and says so, whatever a later end finds. Those
/// that come later are not concerned.
#[test]
fn streams_are_ended_by_their_marks() {
    let (router, now) = (router(), now());
    let permit = Arc::new(Permit::new(f64::INFINITY));
    let marks = |number: u32| Marks {
        issuer: 7,
        subject: number % 3 + 1,
        token: number + 1,
        subscriber: 0,
    };
    let open = |number: u32| Stream::marked(&router, &permit, Lifetime::NONE, marks(number));
    let mut streams: Vec<_> = (0..600).map(open).collect();
    for stream in &mut streams {
        assert!(stream.drive(now).last() != Some(&Step::End(End::Disconnected)));
    }
    let wanted = Marks {
        subject: 2,
        ..Marks::default()
    };
    assert_eq!(permit.end(wanted), 200);
    assert_eq!(permit.end(wanted), 0, "they have ended");
    let one = Marks {
        issuer: 7,
        token: 1,
        ..Marks::default()
    };
    assert_eq!(permit.end(one), 1);
    assert_eq!(
        permit.end(Marks {
            subscriber: 1,
            ..one
        }),
        0
    );
    for (number, stream) in streams.iter_mut().enumerate() {
        let is_meant = number % 3 == 1 || number == 0;
        assert_eq!(stream.bell.count(), usize::from(is_meant), "{number}");
        let last = stream.drive(now).pop();
        let is_over = last == Some(Step::End(End::Disconnected));
        assert_eq!(is_over, is_meant, "{number}");
    }
    let mut late = open(1);
    assert!(late.drive(now).last() != Some(&Step::End(End::Disconnected)));
    // A share that is ended before its stream begins.
    let membership = router.join(selection(), 0);
    let mut share = permit.share(&membership, Lifetime::NONE, marks(3));
    assert!(!share.is_ended());
    share.end();
    assert!(share.is_ended());
}

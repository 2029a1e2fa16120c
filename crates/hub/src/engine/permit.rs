//! Permits: what open streams rest on, so that a new configuration can end those that it no longer
//! permits (ADR 0018).
//!
//! Streams that rest on the same share one permit. It says how long a token may live whose stream stays
//! open, and a permit that is revoked lets none stay. What a permit stands for, and whether a configuration
//! grants it, is not known here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use talaria_transport::sync::Mutex;
use talaria_transport::sync::atomic::{AtomicU64, Ordering};

use crate::engine::interests::Interest;
use crate::engine::router::Membership;
use crate::engine::seats::{Seat, Seats};

/// No lifetime is as short as this.
const REVOKED: f64 = f64::NEG_INFINITY;
/// How much longer the rest of a lifetime may seem because two clocks were read one after the other.
const CLOCKS_DIFFER: Duration = Duration::from_millis(1);

/// How long the token of a stream lives, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime(f64);

impl Lifetime {
    /// That of a stream without a token, which no bound concerns.
    pub(crate) const NONE: Self = Self(0.0);
    /// That of a token which does not say when it was issued: what is left until it expires.
    pub(crate) const LEFT: Self = Self(f64::NAN);

    /// A lifetime of this many seconds; infinity for a token that does not expire.
    pub(crate) fn of_seconds(seconds: f64) -> Self {
        Self(seconds)
    }

    /// The lifetime in half the bytes, rounded up.
    fn rounded(self) -> f32 {
        let rounded = self.0 as f32;
        if f64::from(rounded) < self.0 {
            rounded.next_up()
        } else {
            rounded
        }
    }
}

/// What streams rest on.
#[derive(Debug)]
pub(crate) struct Permit {
    /// The longest lifetime of a token whose stream may stay open, in seconds: the bits of an `f64`.
    longest: AtomicU64,
    readers: Mutex<Seats<Option<Reader>>>,
}

/// A stream, by its place at a bell.
#[derive(Debug)]
struct Reader {
    interest: Arc<Interest>,
    seat: Seat,
    /// In seconds, not less than the lifetime of its token; not a number if that is [`Lifetime::LEFT`].
    lifetime: f32,
}

impl Permit {
    /// A permit for streams whose tokens live at most this many seconds, or any time with infinity.
    pub(crate) fn new(longest: f64) -> Self {
        Self {
            longest: AtomicU64::new(longest.to_bits()),
            readers: Mutex::default(),
        }
    }

    /// A permit for no stream.
    pub(crate) fn revoked() -> Self {
        Self::new(REVOKED)
    }

    /// Changes how long the tokens may live. Returns whether streams may have to end: then the caller must
    /// [ring](Self::ring).
    #[must_use]
    pub(crate) fn bound(&self, longest: f64) -> bool {
        let before = self.longest.swap(longest.to_bits(), Ordering::AcqRel);
        longest < f64::from_bits(before)
    }

    /// Lets no stream stay. The caller must [ring](Self::ring).
    pub(crate) fn revoke(&self) {
        _ = self.bound(REVOKED);
    }

    fn longest(&self) -> f64 {
        f64::from_bits(self.longest.load(Ordering::Acquire))
    }

    /// Wakes the streams that may have to end, once each. Those that come meanwhile see it themselves.
    pub(crate) fn ring(&self) {
        let mut row = 0;
        while let Some(concerned) = self.concerned(row) {
            for (interest, seat) in concerned {
                interest.lane.ring_one(seat);
            }
            row += 1;
        }
    }

    /// The streams of a row that may have to end; `None` behind the last row.
    fn concerned(&self, row: usize) -> Option<Vec<(Arc<Interest>, Seat)>> {
        let longest = self.longest();
        let readers = self.readers.lock();
        let concerned = readers.row(row)?.iter().flatten().filter(|reader| {
            let lifetime = f64::from(reader.lifetime);
            lifetime.is_nan() || lifetime > longest
        });
        Some(
            concerned
                .map(|reader| (Arc::clone(&reader.interest), reader.seat))
                .collect(),
        )
    }

    /// Gives a reader its share of the permit, until that is dropped.
    pub(crate) fn share(self: &Arc<Self>, membership: &Membership, lifetime: Lifetime) -> Share {
        let reader = Reader {
            interest: Arc::clone(membership.interest()),
            seat: membership.seat(),
            lifetime: lifetime.rounded(),
        };
        let mut readers = self.readers.lock();
        let seat = readers.take();
        if let Some(value) = readers.value(seat) {
            *value = Some(reader);
        }
        drop(readers);
        Share {
            permit: Arc::clone(self),
            seat,
            lifetime,
        }
    }
}

/// A reader's share of a permit.
#[derive(Debug)]
pub(crate) struct Share {
    permit: Arc<Permit>,
    seat: Seat,
    lifetime: Lifetime,
}

impl Share {
    /// Whether the stream must end. `expiry` is that of its token.
    pub(crate) fn is_over(&self, now: Instant, expiry: Option<Instant>) -> bool {
        let longest = self.permit.longest();
        if !self.lifetime.0.is_nan() {
            return self.lifetime.0 > longest;
        }
        let left = expiry.map_or(Duration::MAX, |expiry| {
            expiry.saturating_duration_since(now)
        });
        left.saturating_sub(CLOCKS_DIFFER).as_secs_f64() > longest
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let reader = self.permit.readers.lock().give_back(self.seat);
        // Outside the lock: the interest may be freed with it.
        drop(reader);
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use std::task::Waker;

    use talaria_protocol::{Base, Matcher};
    use talaria_transport::{Position, Ring};

    use super::*;
    use crate::engine::cursor::{Cursor, Deadlines, End, Step};
    use crate::engine::interests::Selection;
    use crate::engine::laws::Bell;
    use crate::engine::router::Router;

    /// A stream of a permit, and its bell.
    struct Stream {
        cursor: Cursor,
        bell: Arc<Bell>,
    }

    impl Stream {
        fn new(router: &Arc<Router>, permit: &Arc<Permit>, lifetime: Lifetime) -> Self {
            let selection = Selection {
                matchers: [Matcher::Any].into_iter().collect(),
                grants: Default::default(),
            };
            let membership = router.join(selection, 0);
            let share = permit.share(&membership, lifetime);
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

    fn router() -> Arc<Router> {
        let ring = Arc::new(Ring::new(1 << 20, Position::ORIGIN));
        let base = Arc::new(Base::synthetic());
        Arc::new(Router::new(ring, base, 64, Position::ORIGIN))
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
        let share = permit.share(&membership, Lifetime::LEFT);
        let expiry = now + Duration::from_secs(600);
        assert!(!share.is_over(now, Some(expiry)));
        assert!(permit.bound(300.0), "streams may have to end");
        assert_eq!(permit.concerned(0).map(|readers| readers.len()), Some(1));
        assert!(share.is_over(now, Some(expiry)));
        assert!(!share.is_over(now + Duration::from_secs(300), Some(expiry)));
        assert!(share.is_over(now, None), "it does not expire");
    }
}

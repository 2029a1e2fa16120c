//! Permits: what open streams rest on, so that a new configuration can end those that it no longer
//! permits (ADR 0018).
//!
//! Streams that rest on the same share one permit. It says how long a token may live whose stream stays
//! open, and a permit that is revoked lets none stay. What a permit stands for, and whether a configuration
//! grants it, is not known here.

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use talaria_transport::sync::Mutex;
use talaria_transport::sync::atomic::{AtomicU64, Ordering};

use crate::engine::interests::Interest;
use crate::engine::router::Membership;
use crate::engine::seats::{Seat, Seats};

/// No lifetime is as short as this.
const REVOKED: f64 = f64::NEG_INFINITY;
/// The lifetime of a reader whose stream was ended alone.
const ENDED: f32 = f32::NEG_INFINITY;
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

/// What one stream is found by: numbers that stand for the issuer, the subject and the id of its token, and
/// for its subscriber id; zero for what it lacks. Two values have the same number once in four thousand
/// million cases: then a stream ends that was not meant, and its client comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Marks {
    pub(crate) issuer: u32,
    pub(crate) subject: u32,
    pub(crate) token: u32,
    pub(crate) subscriber: u32,
}

impl Marks {
    /// Whether it has every mark that `wanted` has.
    fn have(self, wanted: Self) -> bool {
        let each = [
            (self.issuer, wanted.issuer),
            (self.subject, wanted.subject),
            (self.token, wanted.token),
            (self.subscriber, wanted.subscriber),
        ];
        each.into_iter()
            .all(|(has, wanted)| wanted == 0 || has == wanted)
    }
}

/// What streams rest on.
#[derive(Debug)]
pub(crate) struct Permit {
    /// The longest lifetime of a token whose stream may stay open, in seconds: the bits of an `f64`.
    longest: AtomicU64,
    /// How often streams of it were ended alone, so that a reader looks at its place only after that.
    endings: AtomicU64,
    readers: Mutex<Seats<Option<Reader>>>,
}

/// A stream, by its place at a bell.
#[derive(Debug)]
struct Reader {
    interest: Arc<Interest>,
    seat: Seat,
    /// In seconds, not less than the lifetime of its token; not a number if that is [`Lifetime::LEFT`].
    lifetime: f32,
    marks: Marks,
}

impl Permit {
    /// A permit for streams whose tokens live at most this many seconds, or any time with infinity.
    pub(crate) fn new(longest: f64) -> Self {
        Self {
            longest: AtomicU64::new(longest.to_bits()),
            endings: AtomicU64::new(0),
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

    /// In half the bytes: whether it differs is all that counts.
    fn endings(&self) -> u32 {
        self.endings.load(Ordering::Acquire) as u32
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

    /// Ends the streams that have these marks, and wakes each once. Returns how many there are.
    pub(crate) fn end(&self, wanted: Marks) -> usize {
        let (mut row, mut count) = (0, 0);
        while let Some(ended) = self.end_row(row, wanted) {
            count += ended.len();
            // The value first, the bell second.
            self.endings.fetch_add(1, Ordering::AcqRel);
            for (interest, seat) in ended {
                interest.lane.ring_one(seat);
            }
            row += 1;
        }
        count
    }

    /// Notes at the places of a row that their streams have ended; `None` behind the last row.
    fn end_row(&self, row: usize, wanted: Marks) -> Option<Vec<(Arc<Interest>, Seat)>> {
        let mut ended = Vec::new();
        let mut readers = self.readers.lock();
        for reader in readers.row_mut(row)?.iter_mut().flatten() {
            if reader.lifetime != ENDED && reader.marks.have(wanted) {
                reader.lifetime = ENDED;
                ended.push((Arc::clone(&reader.interest), reader.seat));
            }
        }
        Some(ended)
    }

    /// Gives a reader its share of the permit, until that is dropped.
    pub(crate) fn share(
        self: &Arc<Self>,
        membership: &Membership,
        lifetime: Lifetime,
        marks: Marks,
    ) -> Share {
        let reader = Reader {
            interest: Arc::clone(membership.interest()),
            seat: membership.seat(),
            lifetime: lifetime.rounded(),
            marks,
        };
        let mut readers = self.readers.lock();
        let seat = readers.take();
        if let Some(value) = readers.value(seat) {
            *value = Some(reader);
        }
        let seen = self.endings();
        drop(readers);
        Share {
            permit: Arc::clone(self),
            seat,
            seen,
            lifetime,
        }
    }
}

/// A reader's share of a permit.
#[derive(Debug)]
pub(crate) struct Share {
    permit: Arc<Permit>,
    seat: Seat,
    /// The endings of the permit when this one looked whether it is meant.
    seen: u32,
    lifetime: Lifetime,
}

impl Share {
    /// Whether this stream was ended alone. Says so once.
    pub(crate) fn is_ended(&mut self) -> bool {
        let endings = self.permit.endings();
        if std::mem::replace(&mut self.seen, endings) == endings {
            return false;
        }
        let mut readers = self.permit.readers.lock();
        let reader = readers.value(self.seat).and_then(|reader| reader.as_ref());
        reader.is_some_and(|reader| reader.lifetime == ENDED)
    }

    /// Ends this stream alone, before it has begun.
    pub(crate) fn end(&mut self) {
        let mut readers = self.permit.readers.lock();
        if let Some(reader) = readers.value(self.seat).and_then(Option::as_mut) {
            reader.lifetime = ENDED;
        }
        drop(readers);
        // So that it looks.
        self.seen = self.permit.endings().wrapping_sub(1);
    }

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

//! The one place where committed updates become visible.
//!
//! A [`Search`] finds the interests that may receive a group, in small parts: it asks the index under
//! the router's mutex, and judges patterns outside it, within an allowance of steps. When all are found,
//! one last part extends the ring, fills the lanes and publishes `visible`. Then the router releases the
//! acknowledgements and rings the bells. Without patterns, everything is one part. Joining and leaving
//! an interest take the same mutex. This loses nothing because of these rules (ADR 0001):
//!
//! - the floor of a new lane is the `visible` that is read while joining, or the end of the group that is
//!   being routed: everything up to it is in the ring or the history, everything after it will be in
//!   the lane, and its bell is rung when that group is visible;
//! - an interest that was not judged is skipped, not delayed: the floor of its lane rises to the update,
//!   and its readers judge for themselves;
//! - a reader reads `visible` once, then the lane's floor and positions together, and takes
//!   nothing beyond that `visible`;
//! - a reader registers with the bell before the look after which it waits;
//! - an acknowledged update is visible, so a reader that starts without a cursor after the
//!   acknowledgement does not get it again.

mod cards;
mod due;
mod effort;
mod group;
mod measures;
mod passing;
mod search;
mod turnstile;

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use talaria_protocol::{Base, Update};
use talaria_transport::sync::Mutex;
use talaria_transport::sync::atomic::{AtomicU64, Ordering};
use talaria_transport::{Frame, Position, Ring, Route};

use self::cards::Cards;
use self::due::Hit;
pub(crate) use self::effort::Effort;
use self::group::{Group, UnderWay};
pub(crate) use self::measures::Measures;
use self::search::{Next, Search};
use self::turnstile::Turnstile;
use crate::clock::Clock;
use crate::engine::active::{Document, Elsewhere, Serial, Snapshot, Stored, Table, changes};
use crate::engine::interests::{Hashing, Index, Interest, Keys, Selection};
use crate::engine::lane::{Lane, Look};
use crate::engine::seats::Seat;
use crate::limits::Turns;

/// The router. It routes committed updates to the interests that may receive them.
pub(crate) struct Router {
    ring: Arc<Ring>,
    effort: Effort,
    hashing: Hashing,
    visible: AtomicU64,
    state: Turnstile<State>,
    /// Held while a group is routed, one after the other.
    cards: Mutex<Cards>,
    measures: Option<Measures>,
    turns: Arc<Turns>,
}

struct State {
    index: Index,
    /// The base of new interests.
    base: Arc<Base>,
    presence: Table,
    /// The group that is being routed, while the mutex may be free.
    under_way: Option<UnderWay>,
    /// The bytes that entered the ring since a part of the index was rung: each part is rung once per half
    /// turn of the ring.
    unrung_bytes: usize,
    /// The part of the index that is rung next.
    next_part: usize,
}

impl Router {
    /// A router in front of a log whose newest committed update is at `head`. It may do this much work at a time.
    pub(crate) fn new(ring: Arc<Ring>, base: Arc<Base>, effort: Effort, head: Position) -> Self {
        let state = State {
            index: Index::default(),
            base: Arc::clone(&base),
            presence: Table::default(),
            under_way: None,
            unrung_bytes: 0,
            next_part: 0,
        };
        Self {
            ring,
            hashing: Hashing::default(),
            visible: AtomicU64::new(head.0),
            state: Turnstile::new(state),
            cards: Mutex::new(Cards::new(effort.card_bytes, base)),
            turns: Arc::new(Turns::of(effort.turns)),
            effort,
            measures: None,
        }
    }

    /// Measures what it routes by this clock.
    pub(crate) fn measured_by(self, clock: Arc<dyn Clock>) -> Self {
        Self {
            measures: Some(Measures::new(clock)),
            ..self
        }
    }

    /// How long ago a frame became visible, if that was measured.
    pub(crate) fn age(&self, frame: &Frame, now: Instant) -> Option<Duration> {
        self.measures.as_ref()?.age(frame, now)
    }

    /// What it has measured, if it has a clock.
    pub(crate) fn measures(&self) -> Option<&Measures> {
        self.measures.as_ref()
    }

    /// The bytes of what it remembers of topics that were published lately.
    pub(crate) fn topic_cache_bytes(&self) -> usize {
        self.cards.lock().bytes()
    }

    /// The number of interests.
    pub(crate) fn interests(&self) -> usize {
        self.state.patient().index.len()
    }

    /// Resolves topics against this base from now on. The caller ends the readers with URL Patterns of another
    /// base: they match what they did when their interests judge, and may match nothing when groups are
    /// routed. Those of other interests do not depend on the base.
    pub(crate) fn rebase(&self, base: &Arc<Base>) {
        if *self.state.urgent().base == **base {
            return;
        }
        // The group that is being routed has one base.
        let mut cards = self.cards.lock();
        cards.rebase(Arc::clone(base));
        self.state.urgent().base = Arc::clone(base);
    }

    /// The newest position that may be read.
    pub(crate) fn visible(&self) -> Position {
        Position(self.visible.load(Ordering::Acquire))
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    pub(crate) fn effort(&self) -> &Effort {
        &self.effort
    }

    /// Whose costly work is next.
    pub(crate) fn turns(&self) -> &Arc<Turns> {
        &self.turns
    }

    /// Enters a reader of a client. Its starting position is resolved afterwards.
    pub(crate) fn join(self: &Arc<Self>, selection: Selection, client: u64) -> Membership {
        let keys = Keys::new(&selection, &self.hashing);
        let mut state = self.state.patient();
        let known = state.index.find(&selection, &keys).cloned();
        let interest = match known {
            Some(interest) => interest,
            None => state.enter(selection, keys, self),
        };
        let seat = interest.lane.enter();
        drop(state);
        Membership {
            router: Arc::clone(self),
            interest,
            seat,
            client,
        }
    }

    /// Follows the subscriptions of the other processes that append to the log.
    pub(crate) fn follow_others(&self) {
        self.state.urgent().presence.follow(Arc::default());
    }

    /// The open subscriptions that others have ended, if others append to the log.
    pub(crate) fn elsewhere(&self) -> Option<Arc<Elsewhere>> {
        self.state.patient().presence.elsewhere()
    }

    /// Expects the events of a subscription.
    pub(crate) fn announce(&self, serial: Serial, document: Arc<Document>) {
        self.state.patient().presence.announce(serial, document);
    }

    /// Stops expecting the events of a subscription.
    pub(crate) fn withdraw(&self, topic: &str) {
        self.state.patient().presence.withdraw(topic);
    }

    /// The newest visible update of this process, and the subscriptions as of that update.
    pub(crate) fn present(&self) -> Snapshot {
        self.state.patient().presence.snapshot()
    }

    /// Takes the mutex, and returns once it has had it.
    pub(crate) fn probe(&self) {
        drop(self.state.patient());
    }

    /// Wakes every reader, so that each notices that the hub drains.
    pub(crate) fn ring_all(&self) {
        for part in 0..Index::PARTS {
            let interests: Vec<_> = self.state.patient().index.part(part).cloned().collect();
            interests.iter().for_each(|interest| interest.lane.ring());
        }
    }

    fn leave(&self, interest: &Arc<Interest>, seat: Seat) {
        let mut left_over = Vec::new();
        let mut state = self.state.patient();
        if !interest.lane.leave(seat) {
            state.index.remove(interest, &mut left_over);
        }
        drop(state);
    }

    /// Makes a group visible. Called under the mutex. Returns the interests whose bells are rung although
    /// the group does not concern them.
    fn publish(&self, state: &mut State, group: &[Arc<Frame>]) -> Vec<Arc<Interest>> {
        let Some(last) = group.last() else {
            return Vec::new();
        };
        self.visible.store(last.position.0, Ordering::Release);
        let under_way = state.under_way.take();
        let mut bells = under_way.map(|group| group.joined).unwrap_or_default();
        // The traffic of others must not pass an idle reader: each looks once per half turn of the ring.
        let half = (self.ring.max_bytes() / 2).max(1);
        let bytes: usize = group.iter().map(|frame| frame.weight()).sum();
        state.unrung_bytes += bytes.saturating_mul(Index::PARTS);
        for _ in 0..(state.unrung_bytes / half).min(Index::PARTS) {
            bells.extend(state.index.part(state.next_part).cloned());
            state.next_part = (state.next_part + 1) % Index::PARTS;
        }
        state.unrung_bytes %= half;
        bells
    }
}

impl State {
    /// Enters a new interest.
    fn enter(&mut self, selection: Selection, keys: Keys, router: &Router) -> Arc<Interest> {
        let floor = match &self.under_way {
            Some(group) => group.up_to,
            None => router.visible(),
        };
        let make = |number, selection, keys| {
            let lane = Lane::new(floor, router.effort.lane_positions);
            Interest::new(number, selection, keys, Arc::clone(&self.base), lane)
        };
        let interest = self.index.insert(selection, keys, make);
        if let Some(group) = &mut self.under_way {
            group.joined.push(Arc::clone(&interest));
        }
        interest
    }
}

impl Route for Router {
    fn route(&self, group: &[Arc<Frame>], acknowledge: &mut dyn FnMut()) {
        if let Some(measures) = &self.measures {
            measures.stamp(group);
        }
        self.route_in_parts(group, acknowledge, &mut || {});
    }

    fn restore(&self, begun: &[Update]) {
        let stored = Stored::new(begun);
        // What it replaces is freed when the mutex is free again.
        let _before = self.state.urgent().presence.restore(stored);
    }

    fn pass_over(&self, up_to: Position) {
        self.pass_over_in_parts(up_to, &mut || {});
    }
}

impl Router {
    /// Routes a group. Calls `between` whenever the mutex is free.
    pub(crate) fn route_in_parts(
        &self,
        group: &[Arc<Frame>],
        acknowledge: &mut dyn FnMut(),
        between: &mut dyn FnMut(),
    ) {
        /// Up to this many lanes are filled without releasing the mutex.
        const FEW: usize = 64;
        let Some(last) = group.last() else { return };
        let changes = changes(group);
        let mut cards = self.cards.lock();
        let sorted = Group::new(group, &self.hashing, self.effort.lane_positions);
        let mut search = Search::new(sorted, group.len(), &self.hashing, &self.effort);
        if cards.are_needed {
            search.take_cards(&mut cards);
        }
        let mut state = self.state.urgent();
        state.under_way = Some(UnderWay {
            up_to: last.position,
            joined: Vec::new(),
        });
        loop {
            let next = search.go_on(&state.index);
            if next == Next::Done {
                break;
            }
            drop(state);
            if next == Next::Judge {
                search.judge(&mut cards);
            }
            search.make_room();
            between();
            state = self.state.urgent();
        }
        let hits = search.hits();
        if hits.len() > FEW {
            drop(state);
            hits.iter().for_each(Hit::deliver);
            state = self.state.urgent();
        } else {
            hits.iter().for_each(Hit::deliver);
        }
        let left = self.ring.extend(group);
        state.presence.advance(&changes, last);
        let bells = self.publish(&mut state, group);
        drop(state);
        acknowledge();
        hits.iter().for_each(|hit| hit.interest.lane.ring());
        bells.iter().for_each(|interest| interest.lane.ring());
        search.finish(&mut cards);
        drop(left);
    }
}

/// A reader's share in an interest. The reader leaves when this is dropped.
pub(crate) struct Membership {
    router: Arc<Router>,
    interest: Arc<Interest>,
    seat: Seat,
    client: u64,
}

impl Membership {
    pub(crate) fn router(&self) -> &Router {
        &self.router
    }

    pub(crate) fn interest(&self) -> &Arc<Interest> {
        &self.interest
    }

    /// The reader's place at the bell of the interest.
    pub(crate) fn seat(&self) -> Seat {
        self.seat
    }

    /// The client that the reader belongs to.
    pub(crate) fn client(&self) -> u64 {
        self.client
    }

    pub(crate) fn register(&self, waker: &Waker) {
        self.interest.lane.register(self.seat, waker);
    }

    pub(crate) fn look(
        &self,
        after: Position,
        visible: Position,
        found: &mut Vec<Position>,
    ) -> Look {
        self.interest.lane.look(after, visible, found)
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.router.leave(&self.interest, self.seat);
    }
}

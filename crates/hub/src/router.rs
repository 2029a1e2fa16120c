//! The one place where committed updates become visible.
//!
//! Who a group concerns is found in small parts ([`Search`]): under the router's mutex the index is
//! asked, outside it patterns are judged, within an allowance of steps. When all are found, in one
//! last part: extend the ring, fill the lanes, publish `visible`. Then the acknowledgements are
//! released and the bells rung. Without patterns, everything is one part. Joining and leaving an
//! interest take the same mutex. What makes this lose nothing:
//!
//! - a new lane's floor is the `visible` read while joining, or the end of the group that is being
//!   routed: everything up to it is found in ring or history, everything after it will be in the
//!   lane, and its bell is rung when that group is visible;
//! - an interest that was not judged is skipped, not delayed: its lane's floor rises to the update,
//!   and its readers judge for themselves;
//! - a reader reads `visible` once, then the lane's floor and positions together, and takes
//!   nothing beyond that `visible`;
//! - a reader registers with the bell before the look after which it waits;
//! - an acknowledged update is visible, so a reader that starts without a cursor after the
//!   acknowledgement does not get it again.

mod cards;
mod due;
mod group;
mod search;
mod turnstile;

use std::sync::Arc;
use std::task::Waker;

use talaria_protocol::Base;
use talaria_transport::sync::Mutex;
use talaria_transport::sync::atomic::{AtomicU64, Ordering};
use talaria_transport::{Frame, Position, Ring, Route};

use self::cards::Cards;
use self::due::Hit;
use self::group::Group;
use self::search::{Next, Search};
use self::turnstile::Turnstile;
use crate::interest::{Hashing, Index, Interest, Keys, Selection};
use crate::lane::{Lane, Look, Seat};
use crate::presence::{Document, Members, Table, changes};

/// What routing and reading may cost at a time.
#[derive(Debug, Clone)]
pub(crate) struct Budgets {
    /// How many positions a lane holds.
    pub(crate) lane_positions: usize,
    /// What judging patterns may cost for a group of one update, in steps of about four
    /// nanoseconds.
    pub(crate) update_steps: u64,
    /// What each further update of a group adds to that.
    pub(crate) further_update_steps: u64,
    /// What judging patterns may cost for a group, however many updates it has.
    pub(crate) most_group_steps: u64,
    /// What a turn of a cursor may cost, in steps.
    pub(crate) turn_steps: u64,
    /// What judging one page of the history may cost, in steps.
    pub(crate) page_steps: u64,
    /// How many look-ups and interests one part of a search handles under the mutex.
    pub(crate) hold: usize,
    /// From how many matching patterns of a topic on it is looked whether a few interests hold them.
    pub(crate) many_patterns: usize,
    /// What is remembered of topics, in bytes.
    pub(crate) card_bytes: usize,
}

impl Budgets {
    pub(crate) fn new(lane_positions: usize) -> Self {
        Self {
            lane_positions,
            update_steps: 300_000,
            further_update_steps: 3_000,
            most_group_steps: 3_000_000,
            turn_steps: 100_000,
            page_steps: 150_000,
            hold: 2048,
            many_patterns: 256,
            card_bytes: 8 << 20,
        }
    }

    fn group_steps(&self, updates: usize) -> u64 {
        let further = updates.saturating_sub(1) as u64;
        let further = further.saturating_mul(self.further_update_steps);
        (self.update_steps + further).min(self.most_group_steps)
    }
}

/// Routes committed updates to the interests that may receive them.
pub(crate) struct Router {
    ring: Arc<Ring>,
    base: Arc<Base>,
    budgets: Budgets,
    hashing: Hashing,
    visible: AtomicU64,
    state: Turnstile<State>,
    /// Held while a group is routed, one after the other.
    cards: Mutex<Cards>,
}

struct State {
    index: Index,
    presence: Table,
    /// The group that is being routed, while the mutex may be free.
    under_way: Option<UnderWay>,
    /// Counts the bytes that enter the ring, so that each part of the index is rung once per half
    /// turn.
    unrung_bytes: usize,
    /// The part of the index that is rung next.
    next_part: usize,
}

struct UnderWay {
    up_to: Position,
    /// Interests that joined meanwhile.
    joined: Vec<Arc<Interest>>,
}

impl Router {
    /// A router in front of a log whose newest committed update is at `head`.
    pub(crate) fn new(
        ring: Arc<Ring>,
        base: Arc<Base>,
        lane_positions: usize,
        head: Position,
    ) -> Self {
        Self::with_budgets(ring, base, Budgets::new(lane_positions), head)
    }

    /// A router that may spend as much as this.
    pub(crate) fn with_budgets(
        ring: Arc<Ring>,
        base: Arc<Base>,
        budgets: Budgets,
        head: Position,
    ) -> Self {
        let state = State {
            index: Index::default(),
            presence: Table::default(),
            under_way: None,
            unrung_bytes: 0,
            next_part: 0,
        };
        Self {
            ring,
            base,
            hashing: Hashing::default(),
            visible: AtomicU64::new(head.0),
            state: Turnstile::new(state),
            cards: Mutex::new(Cards::new(budgets.card_bytes)),
            budgets,
        }
    }

    /// Everything up to here may be read.
    pub(crate) fn visible(&self) -> Position {
        Position(self.visible.load(Ordering::Acquire))
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    pub(crate) fn budgets(&self) -> &Budgets {
        &self.budgets
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

    /// Expects the events of a subscription.
    pub(crate) fn announce(&self, document: Arc<Document>) {
        self.state.patient().presence.announce(document);
    }

    /// Expects them no more.
    pub(crate) fn withdraw(&self, topic: &str) {
        self.state.patient().presence.withdraw(topic);
    }

    /// The newest visible update, `None` before the first of this process, and the subscriptions
    /// there.
    pub(crate) fn present(&self) -> (Option<Arc<Frame>>, Members) {
        self.state.patient().presence.snapshot()
    }

    /// Returns once the lock was to be had.
    pub(crate) fn probe(&self) {
        drop(self.state.patient());
    }

    /// Wakes every reader, so that it notices what concerns all of them.
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

    /// Makes a group visible, under the mutex; whose bells are to be rung besides those that it
    /// concerns.
    fn publish(&self, state: &mut State, group: &[Arc<Frame>]) -> Vec<Arc<Interest>> {
        let Some(last) = group.last() else {
            return Vec::new();
        };
        self.visible.store(last.position.0, Ordering::Release);
        let under_way = state.under_way.take();
        let mut bells = under_way.map(|group| group.joined).unwrap_or_default();
        // An idle reader must not be passed by the traffic of others, so every reader looks at
        // least once per half turn of the ring.
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
            let lane = Lane::new(floor, router.budgets.lane_positions);
            Interest::new(number, selection, keys, Arc::clone(&router.base), lane)
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
        self.route_in_parts(group, acknowledge, &mut || {});
    }
}

impl Router {
    /// Routes a group; calls `between` where the mutex is free.
    pub(crate) fn route_in_parts(
        &self,
        group: &[Arc<Frame>],
        acknowledge: &mut dyn FnMut(),
        between: &mut dyn FnMut(),
    ) {
        /// How many lanes are filled under the mutex, rather than to take it once more.
        const FEW: usize = 64;
        let Some(last) = group.last() else { return };
        let changes = changes(group);
        let mut cards = self.cards.lock();
        let sorted = Group::new(group, &self.hashing, self.budgets.lane_positions);
        let mut search = Search::new(sorted, group.len(), &self.hashing, &self.budgets);
        if cards.are_needed {
            search.take_cards(&mut cards, &self.base);
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
                search.judge(&mut cards, &self.base);
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

/// A reader's share in an interest; dropping it leaves.
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

    /// Who the reader belongs to.
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

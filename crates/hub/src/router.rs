//! The one place where committed updates become visible.
//!
//! For a group, under one short mutex: extend the ring, fill the lanes, publish `visible`. Then
//! the acknowledgements are released and the bells rung. Joining and leaving an interest take the
//! same mutex. What makes this lose nothing:
//!
//! - a new lane's floor is the `visible` read while joining, so everything up to it is found in
//!   ring or history and everything after it will be in the lane;
//! - a reader reads `visible` once, then the lane's floor and positions together, and takes
//!   nothing beyond that `visible`;
//! - a reader registers with the bell before the look after which it waits;
//! - an acknowledged update is visible, so a reader that starts without a cursor after the
//!   acknowledgement does not get it again.

use std::sync::Arc;
use std::task::Waker;

use talaria_protocol::{Base, Topic};
use talaria_transport::sync::Mutex;
use talaria_transport::sync::atomic::{AtomicU64, Ordering};
use talaria_transport::{Frame, Position, Ring, Route};

use crate::interest::{Index, Interest, Selection};
use crate::lane::{Lane, Look, Seat};
use crate::presence::{Document, Table, changes};

/// Routes committed updates to the interests that may receive them.
pub(crate) struct Router {
    ring: Arc<Ring>,
    base: Arc<Base>,
    lane_positions: usize,
    visible: AtomicU64,
    state: Mutex<State>,
}

struct State {
    index: Index,
    presence: Table,
    /// Bytes that entered the ring since every lane was last rung.
    unrung_bytes: usize,
}

impl Router {
    /// A router in front of a log whose newest committed update is at `head`.
    pub(crate) fn new(
        ring: Arc<Ring>,
        base: Arc<Base>,
        lane_positions: usize,
        head: Position,
    ) -> Self {
        let state = State {
            index: Index::default(),
            presence: Table::default(),
            unrung_bytes: 0,
        };
        Self {
            ring,
            base,
            lane_positions,
            visible: AtomicU64::new(head.0),
            state: Mutex::new(state),
        }
    }

    /// Everything up to here may be read.
    pub(crate) fn visible(&self) -> Position {
        Position(self.visible.load(Ordering::Acquire))
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Enters a reader. Its starting position is resolved afterwards.
    pub(crate) fn join(self: &Arc<Self>, selection: Selection) -> Membership {
        let mut state = self.state.lock();
        let interest = state.index.find_or_insert(selection, |selection| {
            Interest::new(
                selection,
                Arc::clone(&self.base),
                Lane::new(self.visible(), self.lane_positions),
            )
        });
        let seat = interest.lane.enter();
        drop(state);
        Membership {
            router: Arc::clone(self),
            interest,
            seat,
        }
    }

    /// Expects the events of a subscription.
    pub(crate) fn announce(&self, document: Arc<Document>) {
        self.state.lock().presence.announce(document);
    }

    /// Expects them no more.
    pub(crate) fn withdraw(&self, topic: &str) {
        self.state.lock().presence.withdraw(topic);
    }

    /// The id of the newest visible update, `None` before the first of this process, and the
    /// subscriptions that are active there.
    pub(crate) fn present(&self) -> (Option<String>, Vec<Arc<Document>>) {
        self.state.lock().presence.snapshot()
    }

    /// Returns once the lock was to be had.
    pub(crate) fn probe(&self) {
        drop(self.state.lock());
    }

    /// Wakes every reader, so that it notices what concerns all of them.
    pub(crate) fn ring_all(&self) {
        let interests: Vec<_> = self.state.lock().index.iter().cloned().collect();
        interests.iter().for_each(|interest| interest.lane.ring());
    }

    fn leave(&self, interest: &Arc<Interest>, seat: Seat) {
        let mut state = self.state.lock();
        if !interest.lane.leave(seat) {
            state.index.remove(interest);
        }
    }
}

impl Route for Router {
    fn route(&self, group: &[Arc<Frame>], acknowledge: &mut dyn FnMut()) {
        let Some(last) = group.last() else { return };
        let mut bells: Vec<Arc<Interest>> = Vec::new();
        let changes = changes(group);
        let mut state = self.state.lock();
        self.ring.extend(group);
        for frame in group {
            let topics: Vec<_> = frame
                .topics
                .iter()
                .map(|topic| Topic::new(topic, &self.base))
                .collect();
            state.index.visit(frame, &topics, |interest| {
                interest.lane.push(frame.position);
                bells.push(Arc::clone(interest));
            });
        }
        // An idle reader must not be passed by the traffic of others, so everybody looks at least
        // once per half turn of the ring.
        state.unrung_bytes += group.iter().map(|frame| frame.weight()).sum::<usize>();
        if state.unrung_bytes >= self.ring.max_bytes() / 2 {
            state.unrung_bytes = 0;
            bells.extend(state.index.iter().cloned());
        }
        state.presence.advance(&changes, last);
        self.visible.store(last.position.0, Ordering::Release);
        drop(state);
        acknowledge();
        bells.sort_unstable_by_key(Arc::as_ptr);
        bells.dedup_by(|one, other| Arc::ptr_eq(one, other));
        bells.iter().for_each(|interest| interest.lane.ring());
    }
}

/// A reader's share in an interest; dropping it leaves.
pub(crate) struct Membership {
    router: Arc<Router>,
    interest: Arc<Interest>,
    seat: Seat,
}

impl Membership {
    pub(crate) fn router(&self) -> &Router {
        &self.router
    }

    pub(crate) fn interest(&self) -> &Arc<Interest> {
        &self.interest
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

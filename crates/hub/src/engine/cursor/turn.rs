//! How a cursor waits for its turn to judge more.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use super::Cursor;
use super::step::{Output, Step};
use crate::engine::interests::Allowance;
use crate::limits::Turn;

impl Cursor {
    pub(super) fn begin_turn(&mut self) {
        self.turn = Allowance::new(self.membership.router().effort().turn_steps);
    }

    /// Lets other clients have their turn before the cursor goes on.
    pub(super) fn yield_turn(&mut self, now: Instant, bell: &Waker) -> Step<Output> {
        let turns = self.membership.router().turns();
        self.waiting = Some(Box::new(turns.turn_of(self.membership.client())));
        // It is not there yet: a turn never comes at once.
        _ = self.poll_turn(bell);
        self.idle(now)
    }

    /// Ready if the cursor need not wait for its turn, with that turn if it waited.
    pub(super) fn poll_turn(&mut self, bell: &Waker) -> Poll<Option<Turn>> {
        let Some(waiting) = &mut self.waiting else {
            return Poll::Ready(None);
        };
        // What ends the stream must reach it meanwhile.
        self.membership.register(bell);
        let turn = ready!(Pin::new(waiting).poll(&mut Context::from_waker(bell)));
        self.waiting = None;
        Poll::Ready(Some(turn))
    }
}

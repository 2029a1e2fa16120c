//! Going on after updates that were never routed.

use talaria_transport::Position;
use talaria_transport::sync::atomic::Ordering;

use super::Router;
use super::group::UnderWay;
use crate::engine::interests::Index;

impl Router {
    /// Goes on after `up_to`, as [`Route::pass_over`] says. Calls `between` whenever the mutex is free.
    pub(crate) fn pass_over_in_parts(&self, up_to: Position, between: &mut dyn FnMut()) {
        let routing = self.cards.lock();
        // The lanes of interests that are new meanwhile begin after it.
        self.state.urgent().under_way = Some(UnderWay {
            up_to,
            joined: Vec::new(),
        });
        for part in 0..Index::PARTS {
            between();
            let interests: Vec<_> = self.state.urgent().index.part(part).cloned().collect();
            interests.iter().for_each(|each| each.lane.skip(up_to));
        }
        between();
        let mut state = self.state.urgent();
        // A reader that sees the new `visible` must not find a lane that seems to hold everything up to there.
        self.visible.store(up_to.0, Ordering::Release);
        state.under_way = None;
        drop(state);
        drop(routing);
        self.ring_all();
    }
}

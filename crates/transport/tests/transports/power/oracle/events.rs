//! The promises about subscription events.

use std::collections::HashSet;
use std::sync::Arc;

use talaria_transport::{Frame, Position, Transport};

use super::super::verdict::{Violation, promise};
use super::{Kept, Oracle, number};
use crate::suite::{ByHub, read};

impl Oracle {
    /// No durable event is lost; others may be, although updates after them are kept.
    pub(super) fn find_lost_events(&mut self, events: &[Arc<Frame>], survives: Position) -> Kept {
        let kept: HashSet<u64> = events.iter().map(|event| number(event)).collect();
        let acknowledged = self.acknowledged.iter();
        let lost = acknowledged
            .filter(|(_, one)| self.is_event(one.number) && !kept.contains(&one.number));
        let lost: Vec<Position> = lost.map(|(position, _)| *position).collect();
        for position in lost {
            promise!(position > survives, "the event at {position} is lost");
            self.acknowledged.remove(&position);
        }
        Ok(())
    }

    /// Events are kept within their bounds.
    pub(super) fn check_events(&self, events: &[Arc<Frame>]) -> Kept {
        let is_ordered = events.is_sorted_by(|one, next| one.position < next.position);
        promise!(is_ordered, "each event is there once, in order");
        promise!(
            events.len() <= self.options.events.count,
            "{} events are kept",
            events.len()
        );
        Ok(())
    }

    /// The events that are kept.
    pub(super) fn events(history: &Arc<dyn Transport>) -> Kept<Vec<Arc<Frame>>> {
        let head = history.bounds().head;
        let (mut from, mut events) = (Position::ORIGIN, Vec::new());
        while from < head {
            let page = read(history, from.0, head.0, 1 << 20, ByHub);
            let page = page.map_err(|error| Violation(format!("the events: {error}")))?;
            promise!(page.looked_up_to > from, "a page after {from} goes on");
            from = page.looked_up_to;
            events.extend(page.frames);
        }
        Ok(events)
    }
}

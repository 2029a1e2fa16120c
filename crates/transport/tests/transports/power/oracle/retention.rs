//! The promises about what retention keeps and deletes.

use std::collections::BTreeSet;
use std::sync::Arc;

use talaria_transport::{Frame, Position};

use super::super::clock::STEP;
use super::super::verdict::promise;
use super::{Acknowledged, HandedOver, Kept, Oracle, number};

/// More bytes than an update takes on the disk besides its data.
const OVERHEAD: u64 = 1_000;
/// The longest data, in bytes.
const LONGEST: u64 = 6_000;

impl Oracle {
    /// Nothing is kept that retention must delete; events do not count.
    pub(super) fn check_most(&self, stored: &[Arc<Frame>]) -> Kept {
        let stored: Vec<_> = stored.iter().filter(|frame| !frame.by_hub).collect();
        if let Some(size) = self.options.size {
            promise!(stored.len() as u64 <= size, "{size} are kept at most");
        }
        if self.may_keep_more {
            return Ok(());
        }
        let bytes: usize = stored.iter().map(|frame| frame.bytes.len()).sum();
        if let (Some(most), true) = (self.options.max_bytes, stored.len() > 1) {
            promise!(bytes as u64 <= most, "{most} bytes are kept at most");
        }
        // An update that is kept for too long can still be deleted.
        let is_doubtful = self.clock.is_wrong() || self.clock.was_far();
        if let (Some(age), false) = (self.options.max_age, is_doubtful) {
            let over = self.clock.time().saturating_sub(age.as_millis() as u64);
            let old = stored
                .iter()
                .map(|frame| number(frame))
                .find(|number| !self.is_wrong(*number) && self.time_of(*number) <= over);
            promise!(old.is_none(), "{old:?} is kept, and older than {age:?}");
        }
        Ok(())
    }

    /// Nothing is deleted that retention must keep.
    pub(super) fn check_least(
        &self,
        floor: Position,
        head: Position,
        events: &[Arc<Frame>],
    ) -> Kept {
        let now = self.clock.time();
        let mut bytes = 0;
        let is_event = |one: &Acknowledged| self.is_event(one.number);
        let known = self.acknowledged.iter().rev();
        let known = known.filter(|(_, one)| !is_event(one));
        let acknowledged = self.acknowledged.iter();
        let acknowledged = acknowledged.filter(|(_, one)| is_event(one));
        let of_events: BTreeSet<Position> = acknowledged
            .map(|(position, _)| *position)
            .chain(events.iter().map(|event| event.position))
            .collect();
        for (counted, (position, one)) in (1..).zip(known) {
            let HandedOver {
                time,
                stamp,
                length,
                ..
            } = &self.handed_over[one.number as usize - 1];
            bytes += *length as u64 + OVERHEAD;
            let newer = head.0.saturating_sub(position.0);
            let newer = newer - of_events.range(position.next()..).count() as u64;
            // Publishers of the others got no answer.
            let others = (newer + 1).saturating_sub(counted) * (LONGEST + OVERHEAD);
            let is_over = self.options.size.is_some_and(|size| newer >= size)
                || self
                    .options
                    .max_bytes
                    .is_some_and(|most| bytes + others > most)
                || self
                    .options
                    .max_age
                    .is_some_and(|age| stamp + age.as_millis() as u64 <= now + STEP);
            if is_over {
                break;
            }
            promise!(
                *position > floor,
                "{} of {time} at {position} is kept at {now}, whatever the bounds are; kept is what lies above {floor} up to {head}, by {:?}, {:?}, {:?}",
                one.number,
                self.options.size,
                self.options.max_bytes,
                self.options.max_age
            );
        }
        Ok(())
    }
}

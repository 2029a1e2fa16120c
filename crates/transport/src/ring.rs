//! The newest part of the log in memory, bounded in bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::sync::RwLock;
use crate::{Frame, Position};

/// The newest frames of the log.
///
/// Invariant: positions increase. A position between the floor and the newest that is missing belongs
/// to a subscription event that was removed, or lies between two runs of a shared log, or was lost with the end
/// of a run. The newest group of updates always stays, whatever its
/// size. Subscription events do not count towards the bytes: they have bounds elsewhere, and are
/// removed here when they are removed there.
#[derive(Debug)]
pub struct Ring {
    frames: RwLock<Frames>,
    max_bytes: usize,
}

#[derive(Debug)]
struct Frames {
    queue: VecDeque<Slot>,
    /// The position before the oldest frame.
    floor: Position,
    newest: Position,
    /// Where the newest group of updates begins.
    newest_group: Position,
    bytes: usize,
    /// The bytes of other structures that exist because of the frames.
    besides: usize,
    /// Slots without a frame.
    forgotten: usize,
}

#[derive(Debug)]
struct Slot {
    position: Position,
    /// `None` once the event was removed.
    frame: Option<Arc<Frame>>,
}

/// The bytes that a frame counts for in a ring.
fn weight(frame: &Frame) -> usize {
    if frame.by_hub { 0 } else { frame.weight() }
}

impl Frames {
    /// The index of a position in the queue, or where it would be inserted.
    fn place_of(&self, position: Position) -> Result<usize, usize> {
        let first = self.queue.front().map_or(position, |slot| slot.position);
        let place = position.0.saturating_sub(first.0);
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        // The queue has no gaps until an event is removed.
        match self.queue.get(place) {
            Some(slot) if slot.position == position => Ok(place),
            _ => self
                .queue
                .binary_search_by_key(&position, |slot| slot.position),
        }
    }
}

impl Ring {
    /// An empty ring of a log whose newest update is at `head`.
    pub fn new(max_bytes: usize, head: Position) -> Self {
        let frames = Frames {
            queue: VecDeque::new(),
            floor: head,
            newest: head,
            newest_group: Position::ORIGIN,
            bytes: 0,
            besides: 0,
            forgotten: 0,
        };
        Self {
            frames: RwLock::new(frames),
            max_bytes,
        }
    }

    /// The most bytes that the ring holds.
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// The bytes of the updates that the ring holds, and their number; subscription events do not count as bytes.
    pub fn held(&self) -> (usize, usize) {
        let frames = self.frames.read();
        (frames.bytes, frames.queue.len() - frames.forgotten)
    }

    /// Sets how many bytes other structures take because of the frames; they count as the ring's.
    pub(crate) fn hold_besides(&self, bytes: usize) {
        self.frames.write().besides = bytes;
    }

    /// The position before the oldest frame. The ring has everything that follows it.
    pub fn floor(&self) -> Position {
        self.frames.read().floor
    }

    /// The position of the newest frame.
    pub(crate) fn newest(&self) -> Position {
        self.frames.read().newest
    }

    /// Appends a committed group; returns the frames that had to leave.
    pub fn extend(&self, group: &[Arc<Frame>]) -> Vec<Arc<Frame>> {
        let mut frames = self.frames.write();
        frames.bytes += group.iter().map(|frame| weight(frame)).sum::<usize>();
        if let Some(first) = group.first().filter(|first| !first.by_hub) {
            frames.newest_group = first.position;
        }
        frames.newest = group.last().map_or(frames.newest, |last| last.position);
        frames.queue.extend(group.iter().map(|frame| Slot {
            position: frame.position,
            frame: Some(Arc::clone(frame)),
        }));
        let mut left = Vec::new();
        let most = self.max_bytes.saturating_sub(frames.besides);
        let newest_group = frames.newest_group;
        while frames.bytes > most
            && let Some(slot) = frames
                .queue
                .pop_front_if(|slot| slot.position < newest_group)
        {
            frames.floor = slot.position;
            match slot.frame {
                Some(frame) => {
                    frames.bytes -= weight(&frame);
                    left.push(frame);
                }
                None => frames.forgotten -= 1,
            }
        }
        left
    }

    /// Removes what follows a position: the log has lost it, and goes on at a greater position than any before.
    /// Readers that stand behind the cut, or beyond it, read on with what follows. Returns how many frames left.
    pub fn cut(&self, after: Position) -> usize {
        let mut frames = self.frames.write();
        let mut count = 0;
        while let Some(slot) = frames.queue.pop_back_if(|slot| slot.position > after) {
            match slot.frame {
                Some(frame) => {
                    frames.bytes -= weight(&frame);
                    count += 1;
                }
                None => frames.forgotten -= 1,
            }
        }
        frames.newest_group = Position::ORIGIN;
        count
    }

    /// Removes everything: the log goes on after `floor`, and what is between is not in the ring.
    pub fn restart(&self, floor: Position) {
        let mut frames = self.frames.write();
        frames.queue.clear();
        (frames.bytes, frames.forgotten) = (0, 0);
        frames.newest_group = Position::ORIGIN;
        frames.floor = frames.floor.max(floor);
        frames.newest = frames.newest.max(floor);
    }

    /// Removes subscription events; readers skip them from now on.
    pub(crate) fn forget(&self, events: &[Position]) {
        /// Up to this many empty slots are not worth a pass over the others.
        const FEW: usize = 1_024;
        let mut frames = self.frames.write();
        for position in events {
            if let Ok(place) = frames.place_of(*position)
                && let Some(slot) = frames.queue.get_mut(place)
                && slot.frame.take().is_some()
            {
                frames.forgotten += 1;
            }
        }
        if frames.forgotten > FEW && frames.forgotten > frames.queue.len() / 2 {
            frames.queue.retain(|slot| slot.frame.is_some());
            frames.forgotten = 0;
        }
    }

    /// The frames after `from`, up to and including `up_to`, at most `limit` of them; `None` if one of
    /// them has left the ring.
    pub fn page(&self, from: Position, up_to: Position, limit: usize) -> Option<Vec<Arc<Frame>>> {
        let frames = self.frames.read();
        if from < frames.floor {
            return None;
        }
        let (Ok(start) | Err(start)) = frames.place_of(from.next());
        let start = start.min(frames.queue.len());
        let slots = frames.queue.range(start..);
        let slots = slots.take_while(|slot| slot.position <= up_to);
        let present = slots.filter_map(|slot| slot.frame.clone());
        Some(present.take(limit).collect())
    }

    /// Appends the frames at `positions` to `found`, in order; returns whether all were there. Stops at
    /// one that has left the ring or is still to come, and skips events that were removed.
    pub fn get(&self, positions: &[Position], found: &mut Vec<Arc<Frame>>) -> bool {
        let frames = self.frames.read();
        for position in positions {
            if *position <= frames.floor || *position > frames.newest {
                return false;
            }
            let slot = frames.place_of(*position).ok();
            let slot = slot.and_then(|place| frames.queue.get(place));
            found.extend(slot.and_then(|slot| slot.frame.clone()));
        }
        true
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use talaria_protocol::Update;

    use super::*;

    fn frame(position: u64) -> Arc<Frame> {
        made(position, false)
    }

    fn made(position: u64, by_hub: bool) -> Arc<Frame> {
        let update = Update {
            topics: vec!["t".to_owned()],
            by_hub,
            ..Update::default()
        };
        Arc::new(Frame::new(Position(position), position.to_string(), update))
    }

    fn positions(frames: &[Arc<Frame>]) -> Vec<u64> {
        frames.iter().map(|frame| frame.position.0).collect()
    }

    #[test]
    fn pages_are_bounded_by_both_ends_and_the_limit() {
        let ring = Ring::new(1 << 20, Position(10));
        ring.extend(&(11..=20).map(frame).collect::<Vec<_>>());
        let page = |from, up_to, limit| {
            ring.page(Position(from), Position(up_to), limit)
                .map(|frames| positions(&frames))
        };
        assert_eq!(page(10, 20, 3), Some(vec![11, 12, 13]));
        assert_eq!(page(18, 19, 9), Some(vec![19]));
        assert_eq!(page(20, 20, 9), Some(vec![]));
        assert_eq!(
            page(25, 30, 9),
            Some(vec![]),
            "nothing is committed there yet"
        );
        assert_eq!(page(9, 20, 9), None, "what follows 9 left the ring");
    }

    #[test]
    fn the_newest_group_stays_whatever_its_size() {
        let ring = Ring::new(1, Position::ORIGIN);
        let first: Vec<_> = (1..=3).map(frame).collect();
        assert!(ring.extend(&first).is_empty());
        let left = ring.extend(&[frame(4)]);
        assert_eq!(positions(&left), [1, 2, 3]);
        assert_eq!(ring.floor(), Position(3));
    }

    #[test]
    fn a_missing_position_ends_a_look_up() {
        let ring = Ring::new(1 << 20, Position(4));
        ring.extend(&[frame(5), frame(6)]);
        let mut found = Vec::new();
        assert!(ring.get(&[Position(5), Position(6)], &mut found));
        assert_eq!(positions(&found), [5, 6]);
        assert!(!ring.get(&[Position(4)], &mut found));
        assert!(!ring.get(&[Position(7)], &mut found));
    }

    /// What a lost run had shown leaves the ring: readers behind the cut, at it and beyond it go on with
    /// the next run.
    #[test]
    fn a_new_run_replaces_the_end_of_the_one_before() {
        let ring = Ring::new(1 << 20, Position(10));
        ring.extend(&(11..=20).map(frame).collect::<Vec<_>>());
        assert_eq!(ring.cut(Position(15)), 5);
        let run = 1_u64 << 32;
        ring.extend(&(run + 1..=run + 3).map(frame).collect::<Vec<_>>());
        let page = |from| {
            let page = ring.page(Position(from), Position(run + 3), 99);
            page.map(|frames| positions(&frames))
        };
        assert_eq!(page(14), Some(vec![15, run + 1, run + 2, run + 3]));
        assert_eq!(page(15), Some(vec![run + 1, run + 2, run + 3]));
        assert_eq!(page(18), page(15));
        assert_eq!(page(run + 1), Some(vec![run + 2, run + 3]));
        assert_eq!(page(9), None);
        let mut found = Vec::new();
        let lane = [15, 17, run + 2].map(Position);
        assert!(ring.get(&lane, &mut found), "lanes name what was lost, too");
        assert_eq!(positions(&found), [15, run + 2]);
        assert_eq!(
            ring.held(),
            (
                (11..=15).map(|at| frame(at).weight()).sum::<usize>() + 3 * frame(run + 1).weight(),
                8
            )
        );
    }

    #[test]
    fn a_restart_leaves_nothing_behind() {
        let ring = Ring::new(1 << 20, Position(10));
        ring.extend(&(11..=20).map(frame).collect::<Vec<_>>());
        ring.restart(Position(30));
        ring.extend(&[frame(31)]);
        let page = |from| ring.page(Position(from), Position(31), 99);
        assert!(page(20).is_none());
        assert_eq!(page(30).map(|frames| positions(&frames)), Some(vec![31]));
        assert!(!ring.get(&[Position(20)], &mut Vec::new()));
        assert_eq!(ring.held(), (frame(31).weight(), 1));
    }

    #[test]
    fn events_do_not_displace_updates() {
        let ring = Ring::new(frame(1).weight() * 2, Position::ORIGIN);
        ring.extend(&[frame(1)]);
        ring.extend(&[frame(2)]);
        for position in 3..10_000 {
            assert!(ring.extend(&[made(position, true)]).is_empty());
            ring.forget(&[Position(position)]);
        }
        let page = ring.page(Position::ORIGIN, Position(10_000), 99);
        assert_eq!(page.map(|frames| positions(&frames)), Some(vec![1, 2]));
        assert!(ring.frames.read().queue.len() < 4_000);
        let left = ring.extend(&[frame(10_000)]);
        assert_eq!(positions(&left), [1]);
        assert_eq!(ring.floor(), Position(1));
    }

    #[test]
    fn readers_skip_removed_events() {
        let ring = Ring::new(1 << 20, Position::ORIGIN);
        ring.extend(&[frame(1)]);
        ring.extend(&(2..=2_000).map(|at| made(at, true)).collect::<Vec<_>>());
        ring.extend(&[frame(2_001)]);
        let forgotten: Vec<_> = (2..=1_999).map(Position).collect();
        for forgotten in [&forgotten[..2], &forgotten[2..]] {
            ring.forget(forgotten);
            let mut found = Vec::new();
            assert!(ring.get(&[1, 2, 3, 2_000, 2_001].map(Position), &mut found));
            assert_eq!(positions(&found), [1, 2_000, 2_001]);
        }
        let page = |from, up_to, limit| {
            ring.page(Position(from), Position(up_to), limit)
                .map(|frames| positions(&frames))
        };
        assert_eq!(page(0, 2_001, 9), Some(vec![1, 2_000, 2_001]));
        assert_eq!(page(1, 1_500, 9), Some(vec![]));
        assert_eq!(page(700, 2_001, 1), Some(vec![2_000]));
        assert!(!ring.get(&[Position(2_002)], &mut Vec::new()));
    }
}

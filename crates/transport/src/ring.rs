//! The newest part of the log in memory, bounded in bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::sync::RwLock;
use crate::{Frame, Position};

/// The newest frames of the log.
///
/// Invariant: the frames are dense, so a frame's index is its position minus the first one's. The
/// newest group always stays, whatever its size.
#[derive(Debug)]
pub struct Ring {
    frames: RwLock<Frames>,
    max_bytes: usize,
}

#[derive(Debug)]
struct Frames {
    queue: VecDeque<Arc<Frame>>,
    /// The position before the oldest frame.
    floor: Position,
    bytes: usize,
    /// What is held elsewhere because of the frames, in bytes.
    besides: usize,
}

impl Ring {
    /// An empty ring of a log whose newest update is at `head`.
    pub fn new(max_bytes: usize, head: Position) -> Self {
        let frames = Frames {
            queue: VecDeque::new(),
            floor: head,
            bytes: 0,
            besides: 0,
        };
        Self {
            frames: RwLock::new(frames),
            max_bytes,
        }
    }

    /// The bytes that the ring may hold.
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Says how many bytes are held elsewhere because of the frames; they count as the ring's.
    pub(crate) fn hold_besides(&self, bytes: usize) {
        self.frames.write().besides = bytes;
    }

    /// The position before the oldest frame: a reader at or after it finds everything here.
    pub fn floor(&self) -> Position {
        self.frames.read().floor
    }

    /// Appends a committed group and returns what had to leave.
    pub fn extend(&self, group: &[Arc<Frame>]) -> Vec<Arc<Frame>> {
        let mut frames = self.frames.write();
        frames.bytes += group.iter().map(|frame| frame.weight()).sum::<usize>();
        frames.queue.extend(group.iter().cloned());
        let mut left = Vec::new();
        let most = self.max_bytes.saturating_sub(frames.besides);
        while frames.bytes > most && frames.queue.len() > group.len() {
            if let Some(frame) = frames.queue.pop_front() {
                frames.bytes -= frame.weight();
                frames.floor = frame.position;
                left.push(frame);
            }
        }
        left
    }

    /// The frames after `from`, not beyond `up_to`, at most `limit` of them; `None` if one of them
    /// left the ring.
    pub fn page(&self, from: Position, up_to: Position, limit: usize) -> Option<Vec<Arc<Frame>>> {
        let frames = self.frames.read();
        let skip = from.0.checked_sub(frames.floor.0)?;
        let wanted = up_to.0.saturating_sub(from.0).min(limit as u64);
        let start = usize::try_from(skip)
            .unwrap_or(usize::MAX)
            .min(frames.queue.len());
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        Some(frames.queue.range(start..).take(wanted).cloned().collect())
    }

    /// Appends the frames at the positions, in order, to `found`, until one is missing; whether
    /// all were there.
    pub fn get(&self, positions: &[Position], found: &mut Vec<Arc<Frame>>) -> bool {
        let frames = self.frames.read();
        for position in positions {
            let index = position.0.checked_sub(frames.floor.next().0);
            let frame = index.and_then(|index| frames.queue.get(usize::try_from(index).ok()?));
            match frame {
                Some(frame) => found.push(Arc::clone(frame)),
                None => return false,
            }
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
        let update = Update {
            topics: vec!["t".to_owned()],
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
            "ahead of the ring there is nothing yet"
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
}

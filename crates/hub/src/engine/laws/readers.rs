//! An engine without transport, tasks or time, and its readers.

use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use talaria_transport::{Admit, Frame, Page, Position, Ring, Route, Verdict};

use super::Bell;
use super::alphabet::{Asked, Published, base};
use crate::clock::{Clock, SystemClock};
use crate::engine::cursor::{CHUNK_BYTES, Cursor, Deadlines, Step};
use crate::engine::interests::Interest;
use crate::engine::lane::Look;
use crate::engine::router::{Effort, Router};

/// What was published, and the engine that routed it.
pub(super) struct World {
    pub(super) router: Arc<Router>,
    published: Vec<Published>,
    /// The whole log: what left the ring is read from here.
    history: Vec<Arc<Frame>>,
    pub(super) now: Instant,
}

/// Where updates came from.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Sources {
    pub(super) lane: usize,
    pub(super) scan: usize,
    pub(super) history: usize,
    /// The number of pages that were asked of the history.
    pub(super) pages: usize,
}

impl World {
    pub(super) fn new(ring_bytes: usize, lane_positions: usize) -> Self {
        Self::with_effort(ring_bytes, Effort::new(lane_positions))
    }

    pub(super) fn with_effort(ring_bytes: usize, effort: Effort) -> Self {
        let ring = Arc::new(Ring::new(ring_bytes, Position::ORIGIN));
        Self {
            router: Arc::new(Router::new(ring, base(), effort, Position::ORIGIN)),
            published: Vec::new(),
            history: Vec::new(),
            now: SystemClock.now(),
        }
    }

    /// Routes a group, whose positions follow the newest.
    pub(super) fn publish(&mut self, group: &[Published]) {
        let routed = self.history.len();
        for published in group {
            let position = self.history.len() as u64 + 1;
            self.history.push(published.frame(position));
            self.published.push(published.clone());
        }
        let mut acknowledged = 0;
        self.router.route(&self.history[routed..], &mut || {
            assert_eq!(
                self.router.visible().0,
                self.history.len() as u64,
                "what is acknowledged is visible"
            );
            acknowledged += 1;
        });
        assert_eq!(acknowledged, usize::from(!group.is_empty()));
    }

    pub(super) fn head(&self) -> u64 {
        self.history.len() as u64
    }

    /// The positions after `start` that a reader with this request has to receive.
    pub(super) fn due(&self, asked: &Asked, start: u64) -> Vec<u64> {
        (1..)
            .zip(&self.published)
            .filter(|(position, published)| *position > start && asked.receives(published))
            .map(|(position, _)| position)
            .collect()
    }

    /// A page of the history, of at most `limit` admitted frames and the bytes of a chunk.
    pub(super) fn read(
        &self,
        from: Position,
        up_to: Position,
        limit: usize,
        filter: &dyn Admit,
    ) -> Page {
        let mut page = Page {
            frames: Vec::new(),
            looked_up_to: from,
        };
        let from = usize::try_from(from.0).expect("a small log");
        let up_to = usize::try_from(up_to.0).expect("a small log");
        let mut bytes = 0;
        for frame in &self.history[from..up_to] {
            let verdict = filter.judge(frame);
            if verdict == Verdict::Later {
                break;
            }
            if verdict == Verdict::Admitted {
                bytes += frame.bytes.len();
                let full = page.frames.len() == limit || bytes > CHUNK_BYTES;
                if full && !page.frames.is_empty() {
                    break;
                }
                page.frames.push(Arc::clone(frame));
            }
            page.looked_up_to = frame.position;
        }
        page
    }
}

/// A subscriber and what it received.
pub(super) struct Reader {
    asked: Asked,
    start: u64,
    cursor: Cursor,
    interest: Arc<Interest>,
    bell: Arc<Bell>,
    delivered: Vec<u64>,
    needed: Option<(Position, Position)>,
    waiting: bool,
}

impl Reader {
    /// A reader that starts after `start`, or at what is visible.
    pub(super) fn join(world: &World, asked: Asked, start: Option<u64>) -> Self {
        let membership = world.router.join(asked.selection(), 0);
        let start = start.map_or_else(|| world.router.visible(), Position);
        Self {
            asked,
            start: start.0,
            interest: Arc::clone(membership.interest()),
            cursor: Cursor::new(membership, Default::default(), start, Deadlines::default()),
            bell: Arc::default(),
            delivered: Vec::new(),
            needed: None,
            waiting: false,
        }
    }

    /// Takes one step. Returns whether there may be more to read without another update.
    pub(super) fn step(
        &mut self,
        world: &World,
        page_frames: usize,
        sources: &mut Sources,
    ) -> Result<bool, TestCaseError> {
        let pages = sources.pages;
        if let Some((from, up_to)) = self.needed.take() {
            // The cursor sends nothing while a page is read.
            let step = self.cursor.next(world.now, &self.bell.waker());
            prop_assert_eq!(step, Step::Wait);
            let page = world.read(from, up_to, page_frames, &*self.cursor.filter());
            sources.pages += 1;
            sources.history += page.frames.len();
            self.cursor.supply(Ok(page));
        }
        let position = self.cursor.position();
        let look = self
            .interest
            .lane
            .look(position, world.router.visible(), &mut Vec::new());
        self.bell.rang();
        self.waiting = false;
        match self.cursor.next(world.now, &self.bell.waker()) {
            Step::Send(chunk) => {
                let received = self.receive(&chunk)?;
                // The cursor sends a page of the history before it looks at lane and ring.
                if pages == sources.pages {
                    match look {
                        Look::Complete => sources.lane += received,
                        Look::Behind => sources.scan += received,
                    }
                }
                Ok(true)
            }
            Step::NeedPage { from, up_to } => {
                prop_assert!(from >= position && up_to <= world.router.visible());
                self.needed = Some((from, up_to));
                Ok(true)
            }
            Step::Wait if self.bell.rang() => Ok(true),
            Step::Wait => {
                self.waiting = true;
                let due = world.due(&self.asked, self.start);
                prop_assert_eq!(
                    &self.delivered,
                    &due,
                    "a reader waits that has not everything"
                );
                Ok(false)
            }
            Step::End(end) => Err(TestCaseError::fail(format!("ended: {end:?}"))),
        }
    }

    fn receive(&mut self, chunk: &[u8]) -> Result<usize, TestCaseError> {
        let text = std::str::from_utf8(chunk).expect("an event stream is UTF-8");
        let ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
        let ids: Vec<u64> = ids.map(|id| id.parse().expect("a position")).collect();
        prop_assert!(chunk.len() <= CHUNK_BYTES || ids.len() == 1);
        self.delivered.extend(&ids);
        Ok(ids.len())
    }

    /// Reads until nothing is left, and asserts that everything due was delivered, in order and once.
    pub(super) fn drain(&mut self, world: &World, sources: &mut Sources) -> TestCaseResult {
        // Each step takes an update or a page, or judges at least one of the few matchers by one of the
        // few topics for one condition, or is one of a few steps that take nothing.
        for _ in 0..100 * world.history.len() + 8 {
            if !self.step(world, 2, sources)? {
                return Ok(());
            }
        }
        Err(TestCaseError::fail("a reader never comes to rest"))
    }

    /// Asserts that an idle reader was rung if the group after `head` concerns it, and before the ring
    /// passed it.
    pub(super) fn check_rung(&mut self, world: &World, head: u64) -> TestCaseResult {
        if !self.waiting {
            return Ok(());
        }
        if self.bell.rang() {
            self.waiting = false;
            return Ok(());
        }
        prop_assert!(
            world.due(&self.asked, head).is_empty(),
            "not rung for an update"
        );
        prop_assert!(
            self.cursor.position() >= world.router.ring().floor(),
            "passed by the traffic of others"
        );
        Ok(())
    }

    /// Whether the bell has not rung since the reader found nothing more.
    pub(super) fn is_at_rest(&self) -> bool {
        self.waiting
    }

    /// Asserts that a reader that leaves has received the beginning of what was due.
    pub(super) fn check_prefix(&self, world: &World) -> TestCaseResult {
        let due = world.due(&self.asked, self.start);
        prop_assert!(
            due.starts_with(&self.delivered),
            "{:?} of {due:?}",
            self.delivered
        );
        Ok(())
    }
}

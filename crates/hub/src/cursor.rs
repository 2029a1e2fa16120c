//! A subscriber: a position in the log, a share in an interest, and its deadlines.
//!
//! The cursor does no I/O and owns no task, socket or timer. Its driver (hyper through
//! [`crate::Stream`], or a task that owns the socket) asks [`Cursor::next`] when it can carry
//! more, waits for the bell or [`Cursor::deadline`] when told to, and reads the pages that the
//! cursor needs.

mod chunk;

use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::Bytes;
use talaria_protocol::event;
use talaria_transport::{Admit, Page, Position, ReadError, Verdict};

pub(crate) use self::chunk::CHUNK_BYTES;
use self::chunk::{fitting, join};
use crate::drain::Drain;
use crate::interest::{Allowance, PageFilter, Progress};
use crate::lane::Look;
use crate::limits::Held;
use crate::presence::Announced;
use crate::respond::come_back;
use crate::router::Membership;

/// How many frames are copied out of the ring at a time.
const PAGE_FRAMES: usize = 256;
/// How long a slow reader may take to accept the end of its stream.
const LAST_WRITES: Duration = Duration::from_secs(5);
/// How many pages without a hit are scanned before others have their turn.
const PAGES_PER_TURN: usize = 16;

/// What the driver of a cursor does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Send these bytes, then ask again.
    Send(Bytes),
    /// Read a page of the history after `from`, not beyond `up_to`, and [`Cursor::supply`] it.
    NeedPage {
        /// The cursor's position.
        from: Position,
        /// What is visible.
        up_to: Position,
    },
    /// Wait for the bell or the deadline, then ask again.
    Wait,
    /// End the stream; the client may resume.
    End(End),
}

/// Why a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The connection's lifetime is over (`write_timeout`).
    Rotated,
    /// The token's `exp` has come (specification, "Subscribers").
    TokenExpired,
    /// The hub is stopping.
    Drained,
    /// The log no longer holds what comes next.
    Passed,
    /// The log cannot be read now; the client resumes where it was.
    Unavailable,
}

/// When a stream sends and ends without an update.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deadlines {
    /// A comment after this much silence.
    pub heartbeat: Option<Duration>,
    /// The end of the connection's lifetime, already jittered.
    pub rotation: Option<Instant>,
    /// The token's `exp`; exact, never later.
    pub expiry: Option<Instant>,
}

/// A subscriber's place in the log.
pub struct Cursor {
    membership: Membership,
    /// Its end is published when this drops.
    announced: Option<Announced>,
    /// Given back when this drops.
    _held: Option<Held>,
    drain: Arc<Drain>,
    position: Position,
    deadlines: Deadlines,
    drained_at: Option<Instant>,
    /// When something was last sent; `None` before the opening comment.
    sent_at: Option<Instant>,
    page: Option<Result<Page, ReadError>>,
    /// What judges the page, from [`Step::NeedPage`] until it is supplied.
    reading: Option<Arc<PageFilter>>,
    /// How far the next frame was judged.
    progress: Progress,
    /// What judging may still cost before others have their turn.
    turn: Allowance,
    ended: Option<End>,
}

/// What one look at lane and ring brought.
enum Found {
    Chunk(Bytes),
    NeedPage {
        up_to: Position,
    },
    Nothing,
    /// Nothing was found so far, and there is more to look at when others have had their turn.
    Unfinished,
}

impl Cursor {
    pub(crate) fn new(
        membership: Membership,
        drain: Arc<Drain>,
        position: Position,
        deadlines: Deadlines,
    ) -> Self {
        Self {
            turn: Allowance::new(membership.router().budgets().turn_steps),
            progress: Progress::default(),
            membership,
            announced: None,
            _held: None,
            drain,
            position,
            deadlines,
            drained_at: None,
            sent_at: None,
            page: None,
            reading: None,
            ended: None,
        }
    }

    /// The cursor of subscriptions whose beginning was published.
    pub(crate) fn announced(mut self, announced: Option<Announced>) -> Self {
        self.announced = announced;
        self
    }

    /// The cursor of a stream that is charged for.
    pub(crate) fn holding(mut self, held: Held) -> Self {
        self._held = Some(held);
        self
    }

    /// What to do next. `bell` is woken when asking again may bring something.
    pub fn next(&mut self, now: Instant, bell: &Waker) -> Step {
        if let Some(end) = self.due(now) {
            return self.end(now, end);
        }
        if self.sent_at.is_none() {
            // The comment lets the client's `open` event happen before any update (B-354).
            return self.send(now, Bytes::from_static(event::COMMENT));
        }
        match self.page.take() {
            Some(Ok(page)) => {
                self.position = self.position.max(page.looked_up_to);
                if !page.frames.is_empty() {
                    return self.send(now, join(&page.frames));
                }
                return self.yield_turn(now, bell);
            }
            Some(Err(ReadError::Passed(_))) => {
                self.ended = Some(End::Passed);
                return Step::End(End::Passed);
            }
            Some(Err(ReadError::Unavailable(error))) => {
                self.ended = Some(End::Unavailable);
                return self.send(now, come_back(&error.to_string()).into());
            }
            None if self.reading.is_some() => return self.idle(now),
            None => {}
        }
        // The bell is only needed to wait, and waiting needs a look after registering.
        for registered in [false, true] {
            if registered {
                self.membership.register(bell);
                // A drain that began before the bell was set did not ring it.
                if let Some(end) = self.due(now) {
                    return self.end(now, end);
                }
            }
            match self.look() {
                Found::Chunk(bytes) => return self.send(now, bytes),
                Found::NeedPage { up_to } => {
                    self.reading = Some(self.page_filter());
                    return Step::NeedPage {
                        from: self.position,
                        up_to,
                    };
                }
                Found::Unfinished => return self.yield_turn(now, bell),
                Found::Nothing => {}
            }
        }
        self.idle(now)
    }

    /// Lets others have their turn before it goes on.
    fn yield_turn(&mut self, now: Instant, bell: &Waker) -> Step {
        bell.wake_by_ref();
        self.idle(now)
    }

    fn begin_turn(&mut self) {
        self.turn = Allowance::new(self.membership.router().budgets().turn_steps);
    }

    /// Nothing to send but perhaps a heartbeat.
    fn idle(&mut self, now: Instant) -> Step {
        self.begin_turn();
        if self.heartbeat_at().is_some_and(|at| at <= now) {
            return self.send(now, Bytes::from_static(event::COMMENT));
        }
        Step::Wait
    }

    /// Ends the stream. Unless the token forbids it, what is at hand goes out first: a client that
    /// has no id yet could not resume from before it.
    fn end(&mut self, now: Instant, end: End) -> Step {
        let first = self.ended.replace(end).is_none();
        self.begin_turn();
        if first
            && end != End::TokenExpired
            && self.sent_at.is_some()
            && let Found::Chunk(bytes) = self.look()
        {
            return self.send(now, bytes);
        }
        Step::End(end)
    }

    /// Hands over the page that [`Step::NeedPage`] asked for.
    pub fn supply(&mut self, page: Result<Page, ReadError>) {
        self.page = Some(page);
        if let Some(filter) = self.reading.take() {
            self.progress = filter.progress();
        }
    }

    /// When to ask again at the latest; holds in every state.
    pub fn deadline(&self) -> Option<Instant> {
        let deadlines = [
            self.heartbeat_at(),
            self.deadlines.rotation,
            self.deadlines.expiry,
            self.drained_at,
        ];
        deadlines.into_iter().flatten().min()
    }

    /// When the stream must have ended whatever the socket does: at the token's `exp`, and soon
    /// after the connection's lifetime is over.
    pub fn ends_by(&self) -> Option<Instant> {
        let rotation = self.deadlines.rotation;
        let rotation = rotation.and_then(|rotation| rotation.checked_add(LAST_WRITES));
        [self.deadlines.expiry, rotation]
            .into_iter()
            .flatten()
            .min()
    }

    /// Everything up to here was sent or is not for this subscriber.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Judges the frames of the page that [`Step::NeedPage`] asked for, as far as one page's
    /// allowance goes.
    pub fn filter(&self) -> Arc<dyn Admit> {
        match &self.reading {
            Some(filter) => Arc::clone(filter) as _,
            None => self.page_filter() as _,
        }
    }

    fn page_filter(&self) -> Arc<PageFilter> {
        let allowance = Allowance::new(self.membership.router().budgets().page_steps);
        let interest = Arc::clone(self.membership.interest());
        let client = self.membership.client();
        Arc::new(PageFilter::new(interest, client, self.progress, allowance))
    }

    fn due(&mut self, now: Instant) -> Option<End> {
        if self.ended.is_some() {
            return self.ended;
        }
        if self.drained_at.is_none() {
            self.drained_at = self.drain.pick_end();
        }
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.deadlines.expiry) {
            Some(End::TokenExpired)
        } else if due(self.drained_at) {
            Some(End::Drained)
        } else if due(self.deadlines.rotation) {
            Some(End::Rotated)
        } else {
            None
        }
    }

    fn heartbeat_at(&self) -> Option<Instant> {
        // A silence beyond what time can express is never over.
        self.sent_at?.checked_add(self.deadlines.heartbeat?)
    }

    fn send(&mut self, now: Instant, bytes: Bytes) -> Step {
        self.sent_at = Some(now);
        Step::Send(bytes)
    }

    /// Looks for what comes after the position, up to what is visible now.
    fn look(&mut self) -> Found {
        let visible = self.membership.router().visible();
        for _ in 0..PAGES_PER_TURN {
            let mut positions = Vec::new();
            match self.membership.look(self.position, visible, &mut positions) {
                Look::Complete => return self.take(&positions, visible),
                Look::Behind if self.turn.is_spent() => break,
                Look::Behind => match self.scan(visible) {
                    Found::Unfinished => {}
                    found => return found,
                },
            }
        }
        Found::Unfinished
    }

    /// Fetches the frames that the lane names.
    fn take(&mut self, positions: &[Position], visible: Position) -> Found {
        if positions.is_empty() {
            self.position = self.position.max(visible);
            return Found::Nothing;
        }
        let mut frames = Vec::with_capacity(positions.len());
        let complete = self.membership.router().ring().get(positions, &mut frames);
        let fitting = fitting(&frames);
        match frames[..fitting].last() {
            // What left the ring meanwhile is in the history.
            None => Found::NeedPage { up_to: visible },
            Some(last) => {
                let all = complete && fitting == frames.len();
                self.position = if all { visible } else { last.position };
                Found::Chunk(join(&frames[..fitting]))
            }
        }
    }

    /// Judges the next page of the ring with the own interest.
    fn scan(&mut self, visible: Position) -> Found {
        let ring = self.membership.router().ring();
        let Some(mut frames) = ring.page(self.position, visible, PAGE_FRAMES) else {
            return Found::NeedPage { up_to: visible };
        };
        if frames.is_empty() {
            // What lies there are events that are forgotten.
            self.position = self.position.max(visible);
            return Found::Nothing;
        }
        let mut looked_up_to = self.position;
        let mut is_over = false;
        let (progress, turn) = (&mut self.progress, &mut self.turn);
        frames.retain(|frame| {
            // After a frame that is left for later, so are all.
            if is_over {
                return false;
            }
            let verdict = self.membership.interest().judge(frame, progress, turn);
            is_over = verdict == Verdict::Later;
            if !is_over {
                looked_up_to = frame.position;
            }
            verdict == Verdict::Admitted
        });
        let fitting = fitting(&frames);
        self.position = match frames[..fitting].last() {
            Some(last) if fitting < frames.len() => last.position,
            _ => looked_up_to,
        };
        if fitting == 0 {
            Found::Unfinished
        } else {
            Found::Chunk(join(&frames[..fitting]))
        }
    }
}

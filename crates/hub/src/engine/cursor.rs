//! The cursor of a subscriber: its position in the log, its share in an interest, and its deadlines.
//!
//! The cursor does no I/O and owns no task, socket or timer (ADR 0002). Its driver (hyper through the body
//! of a response, or a task that owns the socket) calls [`Cursor::next`] when it can send more, waits for
//! the bell or [`Cursor::deadline`] when told to, and reads the pages that the cursor needs.

mod chunk;
mod counted;
mod step;
mod tally;
mod turn;

use std::fmt;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use talaria_protocol::event;
use talaria_transport::{Admit, Frame, Page, Position, ReadError, Verdict};

pub(crate) use self::chunk::CHUNK_BYTES;
use self::chunk::fitting;
pub(crate) use self::step::{Deadlines, Output};
pub use self::step::{End, Step};
pub(crate) use self::tally::Tally;
use crate::engine::drain::UnderWay;
use crate::engine::interests::{Allowance, PageFilter, Progress};
use crate::engine::lane::Look;
use crate::engine::permit::Share;
use crate::engine::retry::come_back;
use crate::engine::router::Membership;
use crate::limits::Waiting;

/// The most frames that are copied out of the ring at a time.
const PAGE_FRAMES: usize = 256;
/// How long a slow reader may take to accept the end of its stream.
const LAST_WRITES: Duration = Duration::from_secs(5);
/// The most pages without a hit that are scanned in a turn.
const PAGES_PER_TURN: usize = 16;
/// The most pages without a hit that are scanned before the cursor waits for its turn.
const PAGES_AT_ONCE: usize = 1;

/// A subscriber's place in the log.
pub struct Cursor {
    membership: Membership,
    /// What it rests on; `None` if no configuration may end it.
    share: Option<Share>,
    /// Values that are dropped when the subscription ends.
    _kept: Option<Box<dyn Send + Sync>>,
    drain: UnderWay,
    position: Position,
    deadlines: Deadlines,
    drained_at: Option<Instant>,
    /// When something was last sent; `None` before the opening comment. At first, when a stream without
    /// such a comment was opened.
    sent_at: Option<Instant>,
    page: Option<Result<Page, ReadError>>,
    /// The filter of the page, from [`Step::NeedPage`] until the page is supplied.
    reading: Option<Arc<PageFilter>>,
    /// How far the next frame was judged.
    progress: Progress,
    /// The steps that judging may still take before other tasks have their turn.
    turn: Allowance,
    /// The turn in which it goes on, while there is more to judge.
    waiting: Option<Box<Waiting>>,
    ended: Option<End>,
    tally: Option<Box<Tally>>,
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor")
            .field("position", &self.position)
            .field("deadlines", &self.deadlines)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// What one look at lane and ring brought.
enum Found {
    Updates(Vec<Arc<Frame>>),
    NeedPage {
        up_to: Position,
    },
    Nothing,
    /// Nothing was found so far, and there is more to look at after other tasks have had their turn.
    Unfinished,
}

impl Cursor {
    pub(crate) fn new(
        membership: Membership,
        drain: UnderWay,
        position: Position,
        deadlines: Deadlines,
    ) -> Self {
        Self {
            turn: Allowance::new(membership.router().effort().turn_steps),
            progress: Progress::default(),
            membership,
            share: None,
            _kept: None,
            drain,
            position,
            deadlines,
            drained_at: None,
            sent_at: None,
            page: None,
            reading: None,
            waiting: None,
            ended: None,
            tally: None,
        }
    }

    /// Ends the stream once a new configuration no longer permits it.
    pub(crate) fn under(mut self, share: Share) -> Self {
        self.share = Some(share);
        self
    }

    /// Keeps a value until the subscription has ended: what the stream is charged for, and what
    /// publishes the end.
    pub(crate) fn keeping(mut self, kept: impl Send + Sync + 'static) -> Self {
        self._kept = Some(Box::new(kept));
        self
    }

    /// What to do next. `bell` is woken when another call may bring something.
    pub fn next(&mut self, now: Instant, bell: &Waker) -> Step {
        match self.advance(now, bell) {
            Step::Send(output) => Step::Send(output.into_bytes()),
            Step::NeedPage { from, up_to } => Step::NeedPage { from, up_to },
            Step::Wait => Step::Wait,
            Step::End(end) => Step::End(end),
        }
    }

    /// As [`Self::next`], with updates as they are in the log.
    pub(crate) fn advance(&mut self, now: Instant, bell: &Waker) -> Step<Output> {
        if let Some(end) = self.due(now) {
            return self.end(now, end);
        }
        if self.sent_at.is_none() {
            // The comment lets the client's `open` event happen before any update (B-354).
            return self.say(now, Bytes::from_static(event::COMMENT));
        }
        let Poll::Ready(turn) = self.poll_turn(bell) else {
            return self.idle(now);
        };
        let pages = match turn {
            Some(_) => PAGES_PER_TURN,
            None => PAGES_AT_ONCE,
        };
        match self.page.take() {
            Some(Ok(page)) => {
                self.position = self.position.max(page.looked_up_to);
                if !page.frames.is_empty() {
                    return self.send(now, Output::Updates(page.frames));
                }
                return self.yield_turn(now, bell);
            }
            Some(Err(ReadError::Passed(_))) => {
                self.ended = Some(End::Passed);
                return Step::End(End::Passed);
            }
            Some(Err(ReadError::Unavailable(error))) => {
                self.ended = Some(End::Unavailable);
                return self.say(now, come_back(&error.to_string()));
            }
            None if self.reading.is_some() => return self.idle(now),
            None => {}
        }
        // A reader that will wait registers with the bell, and then looks once more.
        for registered in [false, true] {
            if registered {
                self.membership.register(bell);
                // What ends it and came before the reader registered did not ring its bell.
                if let Some(end) = self.due(now) {
                    return self.end(now, end);
                }
            }
            match self.look(pages) {
                Found::Updates(frames) => return self.send(now, Output::Updates(frames)),
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

    /// Waits, or sends a heartbeat if it is due.
    fn idle(&mut self, now: Instant) -> Step<Output> {
        self.begin_turn();
        if self.heartbeat_at().is_some_and(|at| at <= now) {
            return self.say(now, Bytes::from_static(event::COMMENT));
        }
        Step::Wait
    }

    /// Ends the stream. Unless it may read no more, updates that are at hand are sent first: a client that has
    /// no event id yet could not resume from before them.
    fn end(&mut self, now: Instant, end: End) -> Step<Output> {
        let first = self.ended.replace(end).is_none();
        self.begin_turn();
        if let Some(told) = end.told().filter(|_| first) {
            return self.say(now, come_back(told));
        }
        if first
            && end != End::TokenExpired
            && self.sent_at.is_some()
            && let Found::Updates(frames) = self.look(PAGES_PER_TURN)
        {
            return self.send(now, Output::Updates(frames));
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

    /// The latest moment for the next call of [`Self::next`], in every state.
    pub fn deadline(&self) -> Option<Instant> {
        let deadlines = [
            self.heartbeat_at(),
            self.deadlines.rotation,
            self.deadlines.expiry,
            self.drained_at,
        ];
        deadlines.into_iter().flatten().min()
    }

    /// When the stream must have ended, whatever the socket does: at the `exp` of the token, and soon after
    /// the lifetime of the connection is over.
    pub fn ends_by(&self) -> Option<Instant> {
        let rotation = self.deadlines.rotation;
        let rotation = rotation.and_then(|rotation| rotation.checked_add(LAST_WRITES));
        [self.deadlines.expiry, rotation]
            .into_iter()
            .flatten()
            .min()
    }

    /// The position of the cursor: everything up to it was sent, or is not for this subscriber.
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
        let allowance = Allowance::new(self.membership.router().effort().page_steps);
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
        } else if self.share.as_mut().is_some_and(Share::is_ended) {
            Some(End::Disconnected)
        } else if self.is_revoked(now) {
            Some(End::Revoked)
        } else if due(self.drained_at) {
            Some(End::Drained)
        } else if due(self.deadlines.rotation) {
            Some(End::Rotated)
        } else {
            None
        }
    }

    fn is_revoked(&self, now: Instant) -> bool {
        let share = self.share.as_ref();
        share.is_some_and(|share| share.is_over(now, self.deadlines.expiry))
    }

    fn heartbeat_at(&self) -> Option<Instant> {
        // A heartbeat beyond what an `Instant` can express never comes.
        self.sent_at?.checked_add(self.deadlines.heartbeat?)
    }

    fn say(&mut self, now: Instant, text: impl Into<Bytes>) -> Step<Output> {
        self.send(now, Output::Text(text.into()))
    }

    fn send(&mut self, now: Instant, output: Output) -> Step<Output> {
        self.sent_at = Some(now);
        if let (Some(tally), Output::Updates(frames)) = (&mut self.tally, &output) {
            tally.hand_over(frames, self.membership.router(), now);
        }
        Step::Send(output)
    }

    /// Looks for what comes after the position, up to what is visible now, in at most `most_pages` pages of the ring.
    fn look(&mut self, most_pages: usize) -> Found {
        let visible = self.membership.router().visible();
        for _ in 0..most_pages {
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
            // Frames that left the ring meanwhile are in the history.
            None => Found::NeedPage { up_to: visible },
            Some(last) => {
                let all = complete && fitting == frames.len();
                self.position = if all { visible } else { last.position };
                frames.truncate(fitting);
                Found::Updates(frames)
            }
        }
    }

    /// Judges the next page of the ring by the interest.
    fn scan(&mut self, visible: Position) -> Found {
        let ring = self.membership.router().ring();
        let Some(mut frames) = ring.page(self.position, visible, PAGE_FRAMES) else {
            return Found::NeedPage { up_to: visible };
        };
        if frames.is_empty() {
            // These positions are of subscription events that the ring has forgotten.
            self.position = self.position.max(visible);
            return Found::Nothing;
        }
        let mut looked_up_to = self.position;
        let mut is_over = false;
        let (progress, turn) = (&mut self.progress, &mut self.turn);
        frames.retain(|frame| {
            // Once a frame is left for later, all that follow are.
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
            frames.truncate(fitting);
            Found::Updates(frames)
        }
    }
}

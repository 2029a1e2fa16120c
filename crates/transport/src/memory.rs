//! The log in memory, whose ring is all that it keeps.
//!
//! The `memory` transport keeps the updates that fit into `max_bytes` and looks up event ids. The
//! `local` transport is the same log without the look-up, because it has no history (B-252, B-501). A
//! reader whose position has left the ring is ended and not moved on, since the updates that it missed
//! are lost.

mod chosen;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use talaria_protocol::Update;

use self::chosen::Chosen;
use crate::committer::Committer;
use crate::committer::inline::{self, Inline};
use crate::events::{Event, EventRanges, Events};
use crate::measures::Figures;
use crate::sync::Mutex;
use crate::{
    Admit, AppendError, Appended, Bounds, EventBounds, EventIds, Frame, Health, Lookup, Page,
    Pending, Position, ReadError, Ring, Route, RunTag, Transport, Unavailable, Verdict,
};

/// The frames that are copied out of the ring at a time.
const PAGE_FRAMES: usize = 256;
/// The most updates that one page judges, because that blocks a worker of the runtime.
const JUDGED: usize = 2_048;

/// What a log in memory keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryOptions {
    /// How many updates back a subscriber may resume; `None` for all that are held.
    pub size: Option<u64>,
    /// The most bytes that updates take, with the structures that exist because of them. Only this bound
    /// removes updates.
    pub max_bytes: usize,
    /// Whether event ids are looked up; off for `local`.
    pub look_up: bool,
    /// How many subscription events are kept; they do not count towards the other bounds.
    pub events: EventBounds,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            size: None,
            max_bytes: 32 << 20,
            look_up: true,
            events: EventBounds::default(),
        }
    }
}

impl MemoryOptions {
    /// The options of the `local` transport, which has no history.
    pub fn local() -> Self {
        Self {
            look_up: false,
            ..Self::default()
        }
    }
}

/// An ordered log that dies with the process.
pub struct Memory {
    ring: Arc<Ring>,
    committer: Committer<Places>,
    state: Arc<Mutex<State>>,
    ids: EventIds,
    run: RunTag,
    options: MemoryOptions,
}

struct State {
    head: Position,
    newest: Option<Arc<Frame>>,
    chosen: Chosen,
    events: Events,
    /// The positions of events, forgotten or not.
    ranges: EventRanges,
    /// Everything up to here is beyond `size`.
    floor: Position,
}

impl Memory {
    /// Opens an empty log.
    ///
    /// # Errors
    /// If the system provides no randomness or no thread.
    pub fn open(options: MemoryOptions) -> std::io::Result<Self> {
        let ring = Arc::new(Ring::new(options.max_bytes, Position::ORIGIN));
        let ids = EventIds::random().map_err(std::io::Error::other)?;
        let run = RunTag::random().map_err(std::io::Error::other)?;
        let state = Arc::new(Mutex::new(State {
            head: Position::ORIGIN,
            newest: None,
            chosen: Chosen::default(),
            events: Events::new(options.events),
            ranges: EventRanges::default(),
            floor: Position::ORIGIN,
        }));
        let places = Places {
            ids: ids.clone(),
            run,
            head: Position::ORIGIN,
            look_up: options.look_up,
            size: options.size,
            ring: Arc::clone(&ring),
            state: Arc::clone(&state),
        };
        // A group is at most a quarter of the ring, so that its readers find it there.
        let committer = inline::start(places, options.max_bytes / 4)?;
        Ok(Self {
            ring,
            committer,
            state,
            ids,
            run,
            options,
        })
    }

    fn page(
        &self,
        from: Position,
        up_to: Position,
        limit: usize,
        filter: &dyn Admit,
    ) -> Result<Page, ReadError> {
        let mut page = Page {
            frames: Vec::new(),
            looked_up_to: from,
        };
        let by_hub_only = filter.by_hub_only();
        let (mut bytes, mut judged) = (0, 0);
        let up_to = up_to.min(self.ring.newest());
        while page.looked_up_to < up_to && judged < JUDGED {
            let frames = if by_hub_only {
                let state = self.state.lock();
                state.events.page(page.looked_up_to, up_to, PAGE_FRAMES)
            } else {
                let frames = self.ring.page(page.looked_up_to, up_to, PAGE_FRAMES);
                frames.ok_or(ReadError::Passed(page.looked_up_to))?
            };
            judged += frames.len();
            let is_all = frames.len() < PAGE_FRAMES;
            for frame in frames {
                let verdict = filter.judge(&frame);
                let admitted = verdict == Verdict::Admitted;
                let is_full = admitted && bytes > 0 && bytes + frame.bytes.len() > limit;
                if is_full || verdict == Verdict::Later {
                    return Ok(page);
                }
                page.looked_up_to = frame.position;
                if admitted {
                    bytes += frame.bytes.len();
                    page.frames.push(frame);
                }
            }
            if is_all {
                // Only events that were removed follow.
                page.looked_up_to = up_to;
            }
        }
        Ok(page)
    }

    fn look_up(&self, event_id: &str) -> Lookup {
        if !self.options.look_up {
            return Lookup::Unsupported;
        }
        let bounds = self.bounds();
        let made = self.ids.decode(event_id);
        let made = made.filter(|(run, position)| *run == self.run && *position <= bounds.head);
        if let Some((_, position)) = made
            && position > bounds.floor
        {
            return Lookup::Found(position);
        }
        // A publisher may have used an id that this log made; that later update may still be kept.
        let places = self.state.lock().chosen.places(event_id, bounds.floor);
        let kept = places.into_iter().find(|position| {
            let mut found = Vec::new();
            self.ring.get(&[*position], &mut found) && *found[0].event_id == *event_id
        });
        match (kept, made) {
            (Some(position), _) => Lookup::Found(position),
            (None, Some(_)) => Lookup::Deleted,
            (None, None) => Lookup::Unknown,
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("options", &self.options)
            .field("bounds", &self.bounds())
            .finish_non_exhaustive()
    }
}

impl Transport for Memory {
    fn name(&self) -> &'static str {
        match self.options.look_up {
            true => "memory",
            false => "local",
        }
    }

    fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }

    fn start(&self, route: Arc<dyn Route>) {
        self.committer.route(route);
    }

    fn append(&self, update: Update) -> Pending<'static, Result<Appended, AppendError>> {
        self.committer.append(update)
    }

    fn append_all(
        &self,
        updates: Vec<Update>,
    ) -> Pending<'static, Result<Vec<Appended>, AppendError>> {
        self.committer.append_all(updates)
    }

    fn read(
        &self,
        from: Position,
        up_to: Position,
        limit: usize,
        filter: Arc<dyn Admit>,
    ) -> Pending<'_, Result<Page, ReadError>> {
        Box::pin(async move {
            let page = self.page(from, up_to, limit, &*filter)?;
            // The reader comes back at once for the rest; other tasks of the worker have a turn before.
            if page.looked_up_to < up_to {
                Yield::default().await;
            }
            Ok(page)
        })
    }

    fn position_of<'a>(&'a self, event_id: &'a str) -> Pending<'a, Result<Lookup, Unavailable>> {
        Box::pin(std::future::ready(Ok(self.look_up(event_id))))
    }

    fn figures(&self) -> Figures {
        self.committer.figures()
    }

    fn bounds(&self) -> Bounds {
        let state = self.state.lock();
        let (head, by_size) = (state.head, state.floor);
        drop(state);
        if !self.options.look_up {
            // Without a history a subscriber can only resume from the newest update.
            return Bounds { floor: head, head };
        }
        let floor = self.ring.floor().max(by_size);
        Bounds { floor, head }
    }

    fn newest_id(&self) -> Option<String> {
        self.state
            .lock()
            .newest
            .as_ref()
            .map(|frame| frame.event_id.to_string())
    }

    fn health(&self) -> Health {
        let failure = self.committer.failure();
        failure.map_or(Health::Ready, Health::Refusing)
    }
}

/// Lets the other tasks of a worker have their turn.
#[derive(Default)]
struct Yield {
    has_yielded: bool,
}

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.has_yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The committer's side of the log.
struct Places {
    ids: EventIds,
    run: RunTag,
    head: Position,
    look_up: bool,
    size: Option<u64>,
    ring: Arc<Ring>,
    state: Arc<Mutex<State>>,
}

impl Inline for Places {
    fn store(&mut self, updates: Vec<Update>) -> Vec<Arc<Frame>> {
        let frames: Vec<_> = updates
            .into_iter()
            .map(|update| Arc::new(self.assign(update)))
            .collect();
        if let Some(newest) = frames.last() {
            let events = frames.iter().filter(|frame| frame.by_hub);
            let events = events.map(|frame| Event::new(Arc::clone(frame), 0));
            let events: Vec<_> = events.collect();
            let mut state = self.state.lock();
            state.head = newest.position;
            state.newest = Some(Arc::clone(newest));
            for event in events {
                if self.size.is_some() {
                    state
                        .ranges
                        .push(event.frame.position, event.frame.position);
                }
                state.events.add(event);
            }
            if let Some(size) = self.size {
                state.count_to(size, self.ring.floor());
            }
        }
        frames
    }

    fn routed(&mut self) {
        let floor = self.ring.floor();
        let mut state = self.state.lock();
        state.chosen.forget(floor);
        self.ring.hold_besides(state.chosen.weight());
        let gone = state.events.evict();
        drop(state);
        if !gone.is_empty() {
            self.ring.forget(&gone);
        }
    }
}

impl State {
    /// Raises the floor to where the newest `size` updates begin, and at least to `floor`.
    fn count_to(&mut self, size: u64, floor: Position) {
        self.floor = self.floor.max(floor);
        self.ranges.forget(self.floor);
        self.floor = self.ranges.floor(self.floor, self.head, size);
        self.ranges.forget(self.floor);
    }
}

impl Places {
    /// Turns an update into the next frame of the log.
    fn assign(&mut self, mut update: Update) -> Frame {
        let position = self.head.next();
        self.head = position;
        let event_id = match update.id.take() {
            Some(id) => {
                if self.look_up {
                    // Before the update is visible, so that a subscriber can resume from its id at once.
                    let mut state = self.state.lock();
                    state.chosen.add(&id, position);
                    self.ring.hold_besides(state.chosen.weight());
                }
                id
            }
            None => self.ids.encode(self.run, position),
        };
        Frame::new(position, event_id, update)
    }
}

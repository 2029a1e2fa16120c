//! The promises of every transport, as functions that take a way to open one. `suite!(open)` makes a test
//! of each, so that every transport passes the same suite.

mod appends;
mod cursors;
mod pages;

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use talaria_protocol::Update;
use talaria_transport::history::HistoryOptions;
use talaria_transport::{
    Admit, Appended, Frame, Lookup, Page, Position, ReadError, Route, Transport, Verdict,
};

pub use self::appends::*;
pub use self::cursors::*;
pub use self::pages::*;

/// A bound of what a history keeps: its name, and how it is set.
pub type Bound = (&'static str, fn(&mut HistoryOptions));

/// The bounds of the transport that a law opens.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// How many updates back a subscriber may resume.
    pub size: Option<u64>,
    /// The bytes of the ring.
    pub max_bytes: usize,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            size: None,
            max_bytes: 1 << 20,
        }
    }
}

/// Opens an empty transport that looks up ids.
pub type Open = fn(Kept) -> Arc<dyn Transport>;

/// Runs a future on this thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Records what is routed. While it is shut, the committer waits in it.
#[derive(Default)]
pub struct Recorder {
    state: Mutex<Recorded>,
    changed: Condvar,
}

#[derive(Default)]
struct Recorded {
    shut: bool,
    entered: usize,
    groups: Vec<Vec<Arc<Frame>>>,
}

impl Recorder {
    pub fn shut(&self) {
        self.state.lock().unwrap().shut = true;
    }

    pub fn open(&self) {
        self.state.lock().unwrap().shut = false;
        self.changed.notify_all();
    }

    /// How many groups the committer has begun to route.
    pub fn entered(&self) -> usize {
        self.state.lock().unwrap().entered
    }

    /// Returns once the committer has begun to route `count` groups.
    pub fn wait_until_entered(&self, count: usize) {
        let state = self.state.lock().unwrap();
        drop(
            self.changed
                .wait_while(state, |state| state.entered < count)
                .unwrap(),
        );
    }

    /// Returns once this many updates were routed.
    pub fn wait_until_routed(&self, count: usize) {
        let state = self.state.lock().unwrap();
        let fewer = |state: &mut Recorded| state.groups.iter().flatten().count() < count;
        drop(self.changed.wait_while(state, fewer).unwrap());
    }

    pub fn groups(&self) -> Vec<Vec<Arc<Frame>>> {
        self.state.lock().unwrap().groups.clone()
    }

    pub fn frames(&self) -> Vec<Arc<Frame>> {
        self.groups().into_iter().flatten().collect()
    }
}

/// A route that makes updates visible in a ring, and records them.
struct Recording {
    recorder: Arc<Recorder>,
    ring: Arc<talaria_transport::Ring>,
}

impl Route for Recording {
    fn route(&self, group: &[Arc<Frame>], acknowledge: &mut dyn FnMut()) {
        let mut state = self.recorder.state.lock().unwrap();
        state.entered += 1;
        self.recorder.changed.notify_all();
        state = self
            .recorder
            .changed
            .wait_while(state, |state| state.shut)
            .unwrap();
        self.ring.extend(group);
        state.groups.push(group.to_vec());
        drop(state);
        self.recorder.changed.notify_all();
        acknowledge();
    }
}

/// Starts a transport, and the recorder of what it routes.
pub fn start(transport: &Arc<dyn Transport>) -> Arc<Recorder> {
    let recorder = Arc::new(Recorder::default());
    transport.start(Arc::new(Recording {
        recorder: Arc::clone(&recorder),
        ring: Arc::clone(transport.ring()),
    }));
    recorder
}

/// Returns once `holds` is true, which another thread brings about; fails after a long time.
pub fn eventually(what: &str, holds: impl Fn() -> bool) {
    let patience = std::time::Duration::from_secs(60);
    #[expect(clippy::disallowed_methods, reason = "a bound on waiting in vain")]
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < patience, "in vain: {what}");
        std::thread::yield_now();
    }
}

pub fn update(id: Option<&str>, data: &str) -> Update {
    Update {
        topics: vec!["https://example.com/books/1".to_owned()],
        data: data.to_owned(),
        id: id.map(str::to_owned),
        ..Update::default()
    }
}

pub fn append(transport: &Arc<dyn Transport>, id: Option<&str>) -> Appended {
    block_on(transport.append(update(id, "x"))).expect("the update is stored")
}

pub fn look_up(transport: &Arc<dyn Transport>, id: &str) -> Lookup {
    block_on(transport.position_of(id)).expect("the log is readable")
}

pub struct Everything;

impl Admit for Everything {
    fn judge(&self, _: &Frame) -> Verdict {
        Verdict::Admitted
    }
}

/// Admits subscription events only, and says so.
pub struct ByHub;

impl Admit for ByHub {
    fn judge(&self, frame: &Frame) -> Verdict {
        frame.by_hub.into()
    }

    fn by_hub_only(&self) -> bool {
        true
    }
}

/// Admits one topic, and says so.
pub struct Topic(pub &'static str);

impl Admit for Topic {
    fn judge(&self, frame: &Frame) -> Verdict {
        frame.topics.iter().any(|topic| **topic == *self.0).into()
    }

    fn exact_topics(&self) -> Option<Vec<&str>> {
        Some(vec![self.0])
    }
}

pub fn read(
    transport: &Arc<dyn Transport>,
    from: u64,
    up_to: u64,
    limit: usize,
    filter: impl Admit + 'static,
) -> Result<Page, ReadError> {
    let (from, up_to) = (at(transport, from), at(transport, up_to));
    block_on(transport.read(from, up_to, limit, Arc::new(filter)))
}

/// A shared log has the number of its run above that of the update.
const NUMBERS: u64 = u32::MAX as u64;

/// The place of an update in its run, from 1.
pub fn place(position: Position) -> u64 {
    position.0 & NUMBERS
}

/// The position of a place in the present run.
pub fn at(transport: &Arc<dyn Transport>, place: u64) -> Position {
    Position(transport.bounds().head.0 & !NUMBERS | place)
}

pub fn places(frames: &[Arc<Frame>]) -> Vec<u64> {
    frames.iter().map(|frame| place(frame.position)).collect()
}

/// Makes a test of each promise.
#[macro_export]
macro_rules! suite {
    ($open:path) => {
        $crate::suite!($open:
            a_hub_id_is_resumed_from,
            a_foreign_id_is_unknown,
            a_repeated_id_stands_for_the_earliest_kept,
            a_copy_of_a_hub_id_is_found_once_the_original_is_deleted,
            size_is_where_a_cursor_may_start,
            an_evicted_id_is_deleted,
            pages_are_bounded_and_meet,
            pages_end_where_they_are_told,
            a_reader_of_several_topics_gets_them_all,
            a_page_judges_a_bounded_number_of_updates,
            a_page_ends_where_judging_has_cost_enough,
            the_newest_update_is_kept_whatever_its_size,
            an_append_of_several_is_one_group,
            an_append_completes_without_its_publisher,
            concurrent_appends_have_one_order,
            an_acknowledged_update_was_routed,
            a_group_keeps_its_order,
            dropping_commits_what_waits,
            a_group_is_at_most_a_quarter_of_the_ring,
        );
    };
    ($open:path: $($law:ident),* $(,)?) => {
        $(
            #[test]
            fn $law() {
                suite::$law($open);
            }
        )*
    };
}

//! The threads that read are shared fairly: a client that asks for much, or asks and leaves, does not keep
//! other clients from reading.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use talaria_transport::history::{History, HistoryOptions, SyncMode};
use talaria_transport::{
    Admit, Frame, Lookup, Memory, MemoryOptions, Page, Position, ReadError, Transport, Verdict,
};

use crate::power::model::Model;
use crate::suite::{Counting, Everything, append, block_on, places, read, start, update};

/// The updates in the log.
const UPDATES: u64 = 100;
/// More threads than the history reads with.
const THREADS: usize = 16;

/// A gate that lets as many pages continue as a test says.
#[derive(Default)]
struct Gate {
    state: Mutex<Passes>,
    changed: Condvar,
}

#[derive(Default)]
struct Passes {
    left: usize,
    /// The clients of the pages that have come to the gate.
    came: Vec<u64>,
    /// How often an update was judged.
    judged: usize,
}

impl Gate {
    fn let_through(&self, count: usize) {
        self.state.lock().unwrap().left += count;
        self.changed.notify_all();
    }

    fn came(&self) -> Vec<u64> {
        self.state.lock().unwrap().came.clone()
    }

    fn judged(&self) -> usize {
        self.state.lock().unwrap().judged
    }

    fn wait_until(&self, what: &str, holds: impl Fn(&Passes) -> bool) {
        let state = self.state.lock().unwrap();
        let patience = Duration::from_secs(60);
        let waits = |state: &mut Passes| !holds(state);
        let waited = self.changed.wait_timeout_while(state, patience, waits);
        assert!(!waited.unwrap().1.timed_out(), "in vain: {what}");
    }
}

/// Admits nothing. The first update that it judges waits at the gate.
struct Waiting {
    client: u64,
    gate: Arc<Gate>,
}

impl Admit for Waiting {
    fn judge(&self, frame: &Frame) -> Verdict {
        let mut state = self.gate.state.lock().unwrap();
        state.judged += 1;
        if frame.position == Position(1) {
            state.came.push(self.client);
            self.gate.changed.notify_all();
            let is_shut = |state: &mut Passes| state.left == 0;
            state = self.gate.changed.wait_while(state, is_shut).unwrap();
            state.left -= 1;
        }
        Verdict::Refused
    }

    fn client(&self) -> u64 {
        self.client
    }
}

type Pending<'a> = Pin<Box<dyn Future<Output = Result<Page, ReadError>> + Send + 'a>>;

/// A history of several segments, and as many pages as it has threads, which wait at the gate.
struct World {
    history: Arc<dyn Transport>,
    gate: Arc<Gate>,
}

impl World {
    fn new() -> Self {
        let model = Model::new(1);
        let options = HistoryOptions::new(Arc::new(|| 1_000));
        for number in 0..2 {
            let history = History::open(model.mount(), options.clone()).expect("it opens");
            let history: Arc<dyn Transport> = Arc::new(history);
            let _recorder = start(&history);
            append(&history, Some(&format!("mine-{number}")));
            (1..UPDATES / 2).for_each(|_| drop(append(&history, None)));
        }
        let history = History::open(model.mount(), options).expect("it opens");
        Self {
            history: Arc::new(history),
            gate: Arc::default(),
        }
    }

    fn page(&self, client: u64) -> Pending<'_> {
        let filter = Waiting {
            client,
            gate: Arc::clone(&self.gate),
        };
        let up_to = Position(UPDATES);
        self.history
            .read(Position::ORIGIN, up_to, 1 << 20, Arc::new(filter))
    }

    /// Keeps every thread busy; returns how many there are.
    fn occupy(&self) -> (usize, Vec<Pending<'_>>) {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        let threads = threads.clamp(2, 8).min(THREADS);
        let pages = (0..threads).map(|_| self.page(1)).collect();
        self.gate.wait_until("every thread has a page", |passes| {
            passes.came.len() == threads
        });
        (threads, pages)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // A failure must not wait for the threads.
        self.gate.let_through(1 << 20);
    }
}

/// Runs a future on a thread, and fails if it takes far too long.
fn soon<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let (done, finished) = channel();
    std::thread::spawn(move || done.send(block_on(future)));
    let answer = finished.recv_timeout(Duration::from_secs(30));
    answer.expect("it has its turn")
}

/// Of 400 pages of one client that wait, only one is read before the page of another client.
#[test]
fn each_client_has_its_turn() {
    let world = World::new();
    let (threads, _busy) = world.occupy();
    let _pages: Vec<_> = (0..400).map(|_| world.page(1)).collect();
    let _honest = world.page(2);
    world.gate.let_through(2);
    world.gate.wait_until("another client's page", |passes| {
        passes.came.contains(&2) || passes.came.len() > threads + 2
    });
    assert!(world.gate.came().contains(&2), "{:?}", world.gate.came());
}

/// An id is looked up while pages of many clients wait.
#[test]
fn a_look_up_does_not_wait_for_pages() {
    let world = World::new();
    let (_, _busy) = world.occupy();
    let _pages: Vec<_> = (0..400).map(|client| world.page(client)).collect();
    let history = Arc::clone(&world.history);
    let (asked, begun) = channel();
    let found = std::thread::spawn(move || {
        let mut look_up = history.position_of("mine-1");
        let mut context = Context::from_waker(Waker::noop());
        assert!(look_up.as_mut().poll(&mut context).is_pending());
        asked.send(()).expect("the test waits");
        block_on(look_up)
    });
    begun.recv().expect("it was asked for");
    // Each lets a thread continue with the next job: the look-up, the summary of a segment that it needs,
    // and a page in between.
    world.gate.let_through(8);
    let found = soon(async move { found.join() }).expect("no panic");
    assert_eq!(found, Ok(Lookup::Found(Position(UPDATES / 2 + 1))));
    let came = world.gate.came().len();
    assert!(came <= THREADS + 8, "{came} pages were read meanwhile");
}

/// A page whose reader has left is not read to its end, or not at all if it was not begun.
#[test]
fn a_page_stops_when_its_reader_leaves() {
    let world = World::new();
    let (threads, busy) = world.occupy();
    let pages: Vec<_> = (0..400).map(|client| world.page(client)).collect();
    assert_eq!(world.gate.judged(), threads);
    drop((pages, busy));
    world.gate.let_through(threads);
    let page = soon({
        let history = Arc::clone(&world.history);
        async move { read(&history, 0, UPDATES, 1 << 20, Everything) }
    });
    assert_eq!(page.expect("a page").frames.len() as u64, UPDATES);
    let judged = world.gate.judged();
    assert!(judged <= threads, "{judged} by {threads}");
}

/// The job of a reader that has left is dropped before its turn.
#[test]
fn a_reader_that_leaves_takes_its_filter_along() {
    let world = World::new();
    let (_, _busy) = world.occupy();
    let filter = Arc::new(Everything);
    let up_to = Position(UPDATES);
    let asked = |_| {
        let filter = Arc::clone(&filter);
        world.history.read(Position::ORIGIN, up_to, 1, filter)
    };
    let pages: Vec<_> = (0..400).map(asked).collect();
    assert_eq!(Arc::strong_count(&filter), 401);
    drop(pages);
    assert_eq!(Arc::strong_count(&filter), 1);
}

/// A client that fills the queue is told to retry; the page of another client is read.
#[test]
fn a_full_queue_rejects_the_client_that_filled_it() {
    let world = World::new();
    let (_, _busy) = world.occupy();
    let mut pages: Vec<_> = (0..70_000).map(|_| world.page(3)).collect();
    let mut context = Context::from_waker(Waker::noop());
    let mut newest = pages.pop().expect("a page");
    let refused = newest.as_mut().poll(&mut context);
    assert!(
        matches!(
            refused,
            std::task::Poll::Ready(Err(ReadError::Unavailable(_)))
        ),
        "{refused:?}"
    );
    let _honest = world.page(2);
    world.gate.let_through(3);
    world
        .gate
        .wait_until("another client's page", |passes| passes.came.contains(&2));
}

/// A page of many topics is bounded too, because each topic is looked up.
#[test]
fn a_page_of_many_topics_is_bounded() {
    const TOPICS: usize = 300;
    const EACH: usize = 20;
    struct Many {
        topics: Vec<String>,
        counting: Counting,
    }
    impl Admit for Many {
        fn judge(&self, frame: &Frame) -> Verdict {
            self.counting.judge(frame)
        }

        fn exact_topics(&self) -> Option<Vec<&str>> {
            Some(self.topics.iter().map(String::as_str).collect())
        }
    }
    let mut options = HistoryOptions::new(Arc::new(|| 1_000));
    options.sync = SyncMode::Never;
    let history = History::open(Model::new(1).mount(), options).expect("it opens");
    let history: Arc<dyn Transport> = Arc::new(history);
    let _recorder = start(&history);
    let topics: Vec<String> = (0..TOPICS).map(|number| format!("t{number}")).collect();
    for _ in 0..EACH {
        let updates = topics.iter().map(|topic| talaria_protocol::Update {
            topics: vec![topic.clone()],
            ..update(None, &"x".repeat(1_500))
        });
        block_on(history.append_all(updates.collect())).expect("they are stored");
    }
    let head = (TOPICS * EACH) as u64;
    let mut from = 0;
    while from < head {
        let counting = Counting::default();
        let judged = Arc::clone(&counting.0);
        let topics = topics.clone();
        let page = read(&history, from, head, 1, Many { topics, counting });
        from = page.expect("a page").looked_up_to.0;
        let judged = judged.load(std::sync::atomic::Ordering::SeqCst);
        // Updates of 1,500 bytes, within a MiB.
        assert!((1..=700).contains(&judged), "{judged} in one page");
    }
}

/// In memory a page is read on a worker of the runtime, so a long page lets other tasks run.
#[test]
fn a_long_page_in_memory_yields() {
    let memory = Memory::open(MemoryOptions::default()).expect("a log");
    let memory: Arc<dyn Transport> = Arc::new(memory);
    let _recorder = start(&memory);
    for _ in 0..10 {
        let updates = vec![update(None, ""); 1_000];
        block_on(memory.append_all(updates)).expect("they are stored");
    }
    let counting = Counting::default();
    let judged = Arc::clone(&counting.0);
    let mut page = memory.read(Position::ORIGIN, Position(10_000), 1, Arc::new(counting));
    let mut context = Context::from_waker(Waker::noop());
    assert!(page.as_mut().poll(&mut context).is_pending());
    let judged = judged.load(std::sync::atomic::Ordering::SeqCst);
    assert!(judged <= 4_096, "{judged} in one turn");
    let page = block_on(page).expect("a page");
    assert_eq!(page.looked_up_to.0, judged as u64);
    assert_eq!(places(&page.frames), [0; 0]);
}

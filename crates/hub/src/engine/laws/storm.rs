//! Threads that join, read and leave while another publishes: each reader gets what is due to it,
//! in order and once, and is rung for it.
//!
//! The test chooses at random what the threads do, and the machine decides when. A reader has no timeout:
//! once all groups are routed, a reader that was not rung must have received everything.

mod asked;
mod random;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;
use std::thread::{self, Thread};

use talaria_transport::sync::Mutex;
use talaria_transport::{Admit, Frame, Page, Position, Ring, Verdict};

use self::asked::{Asked, Published};
use self::random::Random;
use super::alphabet::base;
use crate::clock::{Clock, SystemClock};
use crate::engine::cursor::{Cursor, Deadlines, Step};
use crate::engine::router::{Effort, Router};

/// The bell of a reader that has a thread.
struct Bell {
    rang: AtomicBool,
    thread: Thread,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rang.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

impl Bell {
    /// Waits until it rings, or until all is published. Returns whether it rang.
    fn wait(&self, is_over: &AtomicBool) -> bool {
        loop {
            let is_over = is_over.load(Ordering::SeqCst);
            if self.rang.swap(false, Ordering::SeqCst) {
                return true;
            }
            if is_over {
                return false;
            }
            thread::park();
        }
    }
}

/// What was published, and the router that routed it.
struct World {
    router: Arc<Router>,
    log: Mutex<Vec<(Arc<Frame>, Published)>>,
    /// Whether all groups were routed.
    is_over: AtomicBool,
    /// The threads of the readers.
    threads: Mutex<Vec<Thread>>,
}

impl World {
    fn new(ring_bytes: usize, effort: Effort) -> Self {
        let ring = Arc::new(Ring::new(ring_bytes, Position::ORIGIN));
        let router = Router::new(ring, base(), effort, Position::ORIGIN);
        Self {
            router: Arc::new(router),
            log: Mutex::new(Vec::new()),
            is_over: AtomicBool::new(false),
            threads: Mutex::new(Vec::new()),
        }
    }

    /// What is due to a reader after a position.
    fn due(&self, asked: &Asked, from: Position, to: Position) -> Vec<Position> {
        let log = self.log.lock();
        let between = log[from.0 as usize..to.0 as usize].iter();
        let due = between.filter(|(_, published)| asked.receives(published));
        due.map(|(frame, _)| frame.position).collect()
    }

    /// Reads a page of the history, of at most `limit` frames.
    fn read(&self, from: Position, up_to: Position, limit: usize, filter: &dyn Admit) -> Page {
        let frames: Vec<_> = {
            let log = self.log.lock();
            let between = log[from.0 as usize..up_to.0 as usize].iter();
            between.map(|(frame, _)| Arc::clone(frame)).collect()
        };
        let mut page = Page {
            frames: Vec::new(),
            looked_up_to: from,
        };
        for frame in frames {
            match filter.judge(&frame) {
                Verdict::Later => break,
                Verdict::Admitted if page.frames.len() == limit => break,
                Verdict::Admitted => page.frames.push(Arc::clone(&frame)),
                Verdict::Refused => {}
            }
            page.looked_up_to = frame.position;
        }
        page
    }

    /// Publishes groups, then lets the readers end.
    fn publish(&self, groups: u64, all: &[Published], mut random: Random) {
        for _ in 0..groups {
            let group: Vec<_> = {
                let mut log = self.log.lock();
                let first = log.len();
                for _ in 0..1 + random.below(5) {
                    let published = &all[random.below(all.len() as u64) as usize];
                    let frame = published.frame(log.len() as u64 + 1);
                    log.push((frame, published.clone()));
                }
                log[first..]
                    .iter()
                    .map(|(frame, _)| Arc::clone(frame))
                    .collect()
            };
            let pauses = random.below(4);
            let pause = || (0..pauses).for_each(|_| thread::yield_now());
            self.router
                .route_in_parts(&group, &mut || {}, &mut || pause());
            pause();
        }
        self.is_over.store(true, Ordering::SeqCst);
        self.threads.lock().iter().for_each(Thread::unpark);
    }

    /// The life of a reader, which leaves after some steps or when all is over.
    fn live(&self, asked: &Asked, mut steps: u64, random: &mut Random) {
        let from = (random.below(3) == 0).then(|| random.below(self.router.visible().0 + 1));
        let membership = self.router.join(asked.selection(), 0);
        let start = from.map_or_else(|| self.router.visible(), Position);
        let mut cursor = Cursor::new(membership, Default::default(), start, Deadlines::default());
        let bell = Arc::new(Bell {
            rang: AtomicBool::new(false),
            thread: thread::current(),
        });
        let waker = Arc::clone(&bell).into();
        let now = SystemClock.now();
        let mut got = Vec::new();
        while steps > 0 {
            steps -= 1;
            match cursor.next(now, &waker) {
                Step::Send(chunk) => {
                    let text = String::from_utf8_lossy(&chunk);
                    let ids = text.lines().filter_map(|line| line.strip_prefix("id: "));
                    got.extend(ids.map(|id| Position(id.parse().expect("a position"))));
                }
                Step::NeedPage { from, up_to } => {
                    let limit = 1 + random.below(3) as usize;
                    let filter = cursor.filter();
                    cursor.supply(Ok(self.read(from, up_to, limit, &*filter)));
                }
                Step::Wait if bell.wait(&self.is_over) => {}
                Step::Wait => {
                    let missed = self.due(asked, cursor.position(), self.router.visible());
                    assert_eq!(missed, [], "not rung: {asked:?} at {:?}", cursor.position());
                    break;
                }
                Step::End(end) => panic!("{end:?}"),
            }
        }
        let due = self.due(asked, start, cursor.position());
        assert_eq!(got, due, "{asked:?} from {start:?}");
    }
}

/// One round of `readers` readers, of which `staying` in six stay to the end, and `groups` groups.
fn round(world: &World, readers: u64, staying: u64, groups: u64, random: &mut Random) {
    let known: Vec<_> = (0..4).map(|_| Asked::any(random)).collect();
    let all: Vec<_> = (0..40).map(|_| Published::any(random)).collect();
    thread::scope(|scope| {
        for _ in 0..readers {
            let (mut random, known) = (random.split(), &known);
            scope.spawn(move || {
                world.threads.lock().push(thread::current());
                while !world.is_over.load(Ordering::SeqCst) {
                    let asked = match random.below(2) {
                        0 => known[random.below(4) as usize].clone(),
                        _ => Asked::any(&mut random),
                    };
                    let steps = match random.below(6) < staying {
                        true => u64::MAX,
                        false => 1 + random.below(200),
                    };
                    world.live(&asked, steps, &mut random);
                }
            });
        }
        world.publish(groups, &all, random.split());
    });
}

/// The number of rounds: `few`, or more in the acceptance.
fn rounds(few: u32) -> u64 {
    super::config_of(few).cases.into()
}

/// Most readers bring patterns that the router does not know, and leave soon.
#[test]
fn a_storm_of_new_patterns_loses_nothing() {
    for seed in 0..rounds(40) {
        let mut random = Random::new(seed);
        let ring_bytes = random.pick(&[1, 700, 5_000, 1 << 20]) as usize;
        let world = World::new(ring_bytes, random.effort());
        round(&world, 8, 1, 60, &mut random);
    }
}

/// A few groups only, so that no later bell makes up for one that was not rung.
#[test]
fn a_storm_of_readers_that_wait_loses_no_bell() {
    for seed in 0..rounds(150) {
        let mut random = Random::new(seed);
        let world = World::new(1 << 22, random.effort());
        round(&world, 8, 6, 1 + seed % 4, &mut random);
    }
}

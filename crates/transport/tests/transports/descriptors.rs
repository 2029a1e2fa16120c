//! Few descriptors: no request of a client takes those that others need for long.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use talaria_transport::history::{Disk, File, History, HistoryOptions, Space};
use talaria_transport::{Health, Lookup, Position, Transport};

use crate::power::model::Model;
use crate::suite::{Everything, append, block_on, look_up, places, read, start, update};
use crate::watched::names;

const SEGMENTS: u64 = 20;
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;

/// A disk that has a limited number of descriptors; cloning shares them.
#[derive(Clone)]
struct Scarce {
    disk: Arc<dyn Disk>,
    taken: Arc<AtomicUsize>,
    limit: Arc<AtomicUsize>,
    errno: i32,
}

/// A descriptor that is in use.
struct Descriptor(Arc<AtomicUsize>);

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Handle {
    file: Arc<dyn File>,
    _descriptor: Descriptor,
}

impl Scarce {
    fn new(disk: Arc<dyn Disk>, errno: i32) -> Self {
        Self {
            disk,
            taken: Arc::default(),
            limit: Arc::new(AtomicUsize::new(usize::MAX)),
            errno,
        }
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::SeqCst);
    }

    fn take(&self) -> io::Result<Descriptor> {
        let before = self.taken.fetch_add(1, Ordering::SeqCst);
        let descriptor = Descriptor(Arc::clone(&self.taken));
        if before >= self.limit.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(self.errno));
        }
        Ok(descriptor)
    }

    fn handle(
        &self,
        open: impl FnOnce() -> io::Result<Arc<dyn File>>,
    ) -> io::Result<Arc<dyn File>> {
        let descriptor = self.take()?;
        Ok(Arc::new(Handle {
            file: open()?,
            _descriptor: descriptor,
        }))
    }

    fn open_history(&self) -> Arc<dyn Transport> {
        let options = HistoryOptions::new(Arc::new(|| 1_000));
        Arc::new(History::open(Arc::new(self.clone()), options).expect("it opens"))
    }
}

impl Disk for Scarce {
    fn list(&self, each: &mut dyn FnMut(&str)) -> io::Result<()> {
        let _descriptor = self.take()?;
        self.disk.list(each)
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        self.disk.length(name)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.handle(|| self.disk.open(name))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.handle(|| self.disk.create(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync(&self) -> io::Result<()> {
        let _descriptor = self.take()?;
        self.disk.sync()
    }

    fn space(&self) -> io::Result<Space> {
        self.disk.space()
    }

    fn lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>> {
        self.disk.lock()
    }

    fn path(&self, name: &str) -> String {
        self.disk.path(name)
    }
}

impl File for Handle {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

/// Segments of two updates each, of which the first has a chosen id.
fn stored(errno: i32) -> Scarce {
    let disk = Scarce::new(Model::new(1).mount(), errno);
    for segment in 0..SEGMENTS {
        let history = disk.open_history();
        let _recorder = start(&history);
        append(&history, Some(&format!("mine-{segment}")));
        append(&history, None);
    }
    disk
}

fn find_all(history: &Arc<dyn Transport>) {
    for segment in 0..SEGMENTS {
        let found = Lookup::Found(Position(2 * segment + 1));
        assert_eq!(look_up(history, &format!("mine-{segment}")), found);
    }
}

/// The look-up of an unknown id reads every index, and leaves no file open.
#[test]
fn an_unknown_id_leaves_nothing_open() {
    let disk = stored(EMFILE);
    let history = disk.open_history();
    let before = disk.taken();
    assert_eq!(look_up(&history, "unknown"), Lookup::Unknown);
    assert_eq!(disk.taken(), before);
    find_all(&history);
}

/// Readers of many segments, and fewer descriptors than these have files.
#[test]
fn readers_close_what_was_opened_for_others() {
    for errno in [EMFILE, ENFILE] {
        let disk = stored(errno);
        let history = disk.open_history();
        disk.set_limit(disk.taken() + 5);
        for _ in 0..2 {
            assert_eq!(look_up(&history, "unknown"), Lookup::Unknown);
            find_all(&history);
            let page = read(&history, 0, 2 * SEGMENTS, 1 << 20, Everything).expect("a page");
            assert_eq!(places(&page.frames).len() as u64, 2 * SEGMENTS);
        }
    }
}

/// Publishing continues in a new segment although readers have the last descriptors.
#[test]
fn a_segment_is_begun_with_descriptors_of_readers() {
    for errno in [EMFILE, ENFILE] {
        let disk = stored(errno);
        let history = disk.open_history();
        let _recorder = start(&history);
        find_all(&history);
        let segments = || {
            let names = names(&*disk.disk).expect("a list");
            names
                .iter()
                .filter(|name| name.ends_with(".segment"))
                .count()
        };
        let before = segments();
        disk.set_limit(disk.taken());
        while segments() == before {
            block_on(history.append(update(None, &"x".repeat(100_000)))).expect("it is stored");
            assert_eq!(history.health(), Health::Ready);
        }
        find_all(&history);
    }
}

//! A disk in front of another one. It counts what is read, and fails or waits when a test says so.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use talaria_transport::history::{Disk, File, Space};

/// The names of the files of a disk.
pub fn names(disk: &dyn Disk) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    disk.list(&mut |name| names.push(name.to_owned()))?;
    Ok(names)
}

/// Decides which calls fail: by the file, and by the offset unless the file is being opened.
type Fault = dyn Fn(&str, Option<u64>) -> Option<io::Error> + Send + Sync;
/// Called before a file is opened.
type Before = dyn Fn(&str) + Send + Sync;

#[derive(Default)]
pub struct Watch {
    opens: AtomicU64,
    /// The bytes that were read.
    bytes: AtomicU64,
    fault: Mutex<Option<Arc<Fault>>>,
    before: Mutex<Option<Arc<Before>>>,
    /// The files whose opening waits.
    shut: Mutex<HashSet<String>>,
    changed: Condvar,
}

impl Watch {
    /// The files that were opened and the bytes that were read since the last call.
    pub fn take_counts(&self) -> (u64, u64) {
        let take = |count: &AtomicU64| count.swap(0, Ordering::SeqCst);
        (take(&self.opens), take(&self.bytes))
    }

    /// From now on calls fail if the function says so.
    pub fn fail(
        &self,
        fault: impl Fn(&str, Option<u64>) -> Option<io::Error> + Send + Sync + 'static,
    ) {
        *self.fault.lock().unwrap() = Some(Arc::new(fault));
    }

    /// From now on no call fails.
    pub fn heal(&self) {
        *self.fault.lock().unwrap() = None;
    }

    /// Calls this before a file is opened.
    pub fn before_opening(&self, before: impl Fn(&str) + Send + Sync + 'static) {
        *self.before.lock().unwrap() = Some(Arc::new(before));
    }

    /// Opening one of these files waits until [`Self::let_through`].
    pub fn shut(&self, names: impl IntoIterator<Item = String>) {
        self.shut.lock().unwrap().extend(names);
    }

    pub fn let_through(&self) {
        self.shut.lock().unwrap().clear();
        self.changed.notify_all();
    }

    fn check(&self, name: &str, offset: Option<u64>) -> io::Result<()> {
        let fault = self.fault.lock().unwrap().clone();
        match fault.and_then(|fault| fault(name, offset)) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

/// The disk; cloning shares the watch.
#[derive(Clone)]
pub struct Watched {
    disk: Arc<dyn Disk>,
    pub watch: Arc<Watch>,
}

impl Watched {
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self {
            disk,
            watch: Arc::default(),
        }
    }
}

struct WatchedFile {
    name: String,
    file: Arc<dyn File>,
    watch: Arc<Watch>,
}

impl Disk for Watched {
    fn list(&self, each: &mut dyn FnMut(&str)) -> io::Result<()> {
        self.disk.list(each)
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        self.disk.length(name)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let before = self.watch.before.lock().unwrap().clone();
        if let Some(before) = before {
            before(name);
        }
        let shut = self.watch.shut.lock().unwrap();
        let is_shut = |shut: &mut HashSet<String>| shut.contains(name);
        drop(self.watch.changed.wait_while(shut, is_shut).unwrap());
        self.watch.check(name, None)?;
        self.watch.opens.fetch_add(1, Ordering::SeqCst);
        Ok(Arc::new(WatchedFile {
            name: name.to_owned(),
            file: self.disk.open(name)?,
            watch: Arc::clone(&self.watch),
        }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        self.disk.create(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync(&self) -> io::Result<()> {
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

impl File for WatchedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.watch.check(&self.name, Some(offset))?;
        let read = self.file.read_at(buffer, offset)?;
        self.watch.bytes.fetch_add(read as u64, Ordering::SeqCst);
        Ok(read)
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

//! A disk in front of another one, which is full, slow or keeps files when a test says so.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use crate::watched::names;
use talaria_transport::history::{Disk, File, Space};

#[derive(Default)]
struct State {
    /// The most bytes of all files together.
    capacity: Option<u64>,
    /// Whether reading waits.
    stalled: bool,
    /// How many readers wait.
    waiting: usize,
    /// Whether nothing can be removed.
    stubborn: bool,
    /// Whether no segment can be created.
    barren: bool,
    /// Indexes that were opened.
    opened: usize,
    /// Files that were synced.
    synced: usize,
}

struct Inner {
    disk: Arc<dyn Disk>,
    state: Mutex<State>,
    changed: Condvar,
}

/// The disk; cloning shares it.
#[derive(Clone)]
pub struct Shaky(Arc<Inner>);

struct Handle {
    shaky: Shaky,
    file: Arc<dyn File>,
}

impl Shaky {
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self(Arc::new(Inner {
            disk,
            state: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    pub fn mount(&self) -> Arc<dyn Disk> {
        Arc::new(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no panic")
    }

    /// Bounds the bytes of all files together.
    pub fn set_capacity(&self, capacity: Option<u64>) {
        self.state().capacity = capacity;
    }

    /// Decides whether files can be removed.
    pub fn set_stubborn(&self, stubborn: bool) {
        self.state().stubborn = stubborn;
    }

    /// Decides whether segments can be created.
    pub fn set_barren(&self, barren: bool) {
        self.state().barren = barren;
    }

    /// Makes readers wait, or lets them continue.
    pub fn set_stalled(&self, stalled: bool) {
        self.state().stalled = stalled;
        self.0.changed.notify_all();
    }

    /// Returns once a reader waits.
    pub fn wait_for_reader(&self) {
        let state = self.state();
        let none_waits = |state: &mut State| state.waiting == 0;
        drop(
            self.0
                .changed
                .wait_while(state, none_waits)
                .expect("no panic"),
        );
    }

    /// The indexes that were opened so far.
    pub fn opened(&self) -> usize {
        self.state().opened
    }

    /// How often a file was synced so far.
    pub fn synced(&self) -> usize {
        self.state().synced
    }

    pub fn capacity(&self) -> Option<u64> {
        self.state().capacity
    }

    /// The bytes of all files.
    pub fn used(&self) -> u64 {
        self.try_used().expect("a list")
    }

    fn try_used(&self) -> io::Result<u64> {
        let mut used = 0;
        for name in names(&*self.0.disk)? {
            match self.0.disk.length(&name) {
                Ok(length) => used += length,
                // It was removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(used)
    }

    /// The files of a kind.
    pub fn files(&self, kind: &str) -> usize {
        let names = names(&*self.0.disk).expect("a list");
        names.iter().filter(|name| name.ends_with(kind)).count()
    }

    fn handle(&self, file: Arc<dyn File>) -> Arc<dyn File> {
        Arc::new(Handle {
            shaky: self.clone(),
            file,
        })
    }

    /// Refuses a write that needs more room than there is.
    fn take(&self, more: u64) -> io::Result<()> {
        let capacity = self.state().capacity;
        match capacity {
            Some(capacity) if more > 0 && self.try_used()? + more > capacity => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }
}

impl Disk for Shaky {
    fn list(&self, each: &mut dyn FnMut(&str)) -> io::Result<()> {
        self.0.disk.list(each)
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        self.0.disk.length(name)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        if name.ends_with(".index") {
            self.state().opened += 1;
        }
        Ok(self.handle(self.0.disk.open(name)?))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        if self.state().barren && name.ends_with(".segment.new") {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(self.handle(self.0.disk.create(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        if self.state().stubborn {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.0.disk.remove(name)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.disk.sync()
    }

    fn space(&self) -> io::Result<Space> {
        let capacity = self.state().capacity;
        match capacity {
            Some(total) => Ok(Space {
                available: total.saturating_sub(self.try_used()?),
                total,
            }),
            None => Ok(Space {
                available: 1 << 40,
                total: 1 << 40,
            }),
        }
    }

    fn lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>> {
        self.0.disk.lock()
    }

    fn path(&self, name: &str) -> String {
        self.0.disk.path(name)
    }
}

impl File for Handle {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.shaky.state();
        state.waiting += 1;
        self.shaky.0.changed.notify_all();
        let stalled = |state: &mut State| state.stalled;
        state = self
            .shaky
            .0
            .changed
            .wait_while(state, stalled)
            .expect("no panic");
        state.waiting -= 1;
        drop(state);
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset + bytes.len() as u64;
        self.shaky.take(end.saturating_sub(self.file.len()?))?;
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()?;
        self.shaky.state().synced += 1;
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
}

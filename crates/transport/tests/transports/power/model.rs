//! A model of a disk: what was written is durable once it was synced, and until then any part of it may be
//! lost, in any order.

mod losses;
mod mounted;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use talaria_transport::history::Disk;

use self::losses::survivors;
use self::mounted::Mounted;
use super::random::Random;

/// The bytes of the disk, unless a test says otherwise.
const TOTAL: u64 = 1 << 40;

/// A call that makes something durable, by what it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Barrier {
    /// A segment's header is synced before the segment gets its name.
    SyncHeader,
    /// A segment is synced after a group, or before its successor begins.
    SyncGroups,
    /// A segment is synced after it was cut.
    SyncCut,
    /// What a killed process left is synced before readers see it.
    SyncFound,
    /// The manifest is synced before it gets its name.
    SyncManifest,
    /// A segment gets its name.
    RenameSegment,
    /// The manifest gets its name.
    RenameManifest,
    /// The directory is synced after a segment got its name.
    DirectoryOfSegment,
    /// The directory is synced after the manifest got its name.
    DirectoryOfManifest,
    /// The file of events is synced before it gets its name.
    SyncEventsFile,
    /// The file of events is synced after it was appended to.
    SyncEvents,
    /// The file of events gets its name.
    RenameEvents,
    /// The directory is synced after the file of events got its name.
    DirectoryOfEvents,
}

/// A call that can be told to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Write,
    Sync,
}

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// What was written stays readable, durable or not.
    Kill,
    /// What was not durable may be lost.
    PowerLoss,
}

/// One change to a file that is not durable.
#[derive(Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

/// One change to the directory that is not durable.
#[derive(Clone)]
enum Entry {
    Add(String, usize),
    Rename(String, String, usize),
    Remove(String),
}

#[derive(Default)]
struct Inode {
    cached: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

struct State {
    random: Random,
    inodes: Vec<Inode>,
    cached: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    pending: Vec<Entry>,
    /// Handles of an earlier process are dead.
    process: u64,
    locked: bool,
    /// The process dies after this many calls.
    calls_left: Option<u64>,
    /// How many of a thousand calls fail.
    faults: u64,
    /// How many of a thousand calls that read fail, from a separate random sequence.
    read_faults: u64,
    read_random: Random,
    /// These calls fail.
    failing: Option<Call>,
    removed: Option<Barrier>,
    /// Bytes that may still be written.
    room: u64,
    /// The bytes of the disk.
    total: u64,
    /// How often a file was written to.
    writes: u64,
    next_sync: NextSync,
}

/// What happens to the next sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NextSync {
    Goes,
    /// It will be held up.
    IsHeld,
    /// It is being held up.
    Waits,
    Fails,
}

/// The model; cloning shares it.
#[derive(Clone)]
pub struct Model(Arc<(Mutex<State>, Condvar)>);

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(at, new) => {
            if bytes.len() < at + new.len() {
                bytes.resize(at + new.len(), 0);
            }
            bytes[*at..at + new.len()].copy_from_slice(new);
        }
        Change::Length(length) => bytes.resize(*length, 0),
    }
}

fn enter(entries: &mut BTreeMap<String, usize>, entry: &Entry) {
    match entry {
        Entry::Add(name, inode) => _ = entries.insert(name.clone(), *inode),
        Entry::Rename(from, to, inode) => {
            entries.remove(from);
            entries.insert(to.clone(), *inode);
        }
        Entry::Remove(name) => _ = entries.remove(name),
    }
}

fn error(what: &str) -> io::Error {
    io::Error::other(what.to_owned())
}

impl Model {
    pub fn new(seed: u64) -> Self {
        let state = State {
            random: Random::new(seed),
            inodes: Vec::new(),
            cached: BTreeMap::new(),
            durable: BTreeMap::new(),
            pending: Vec::new(),
            process: 0,
            locked: false,
            calls_left: None,
            faults: 0,
            read_faults: 0,
            read_random: Random::new(!seed),
            failing: None,
            removed: None,
            room: TOTAL,
            total: TOTAL,
            writes: 0,
            next_sync: NextSync::Goes,
        };
        Self(Arc::new((Mutex::new(state), Condvar::new())))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().expect("the model does not panic")
    }

    /// From now on chance goes another way.
    pub fn reseed(&self, seed: u64) {
        self.state().random = Random::new(seed);
    }

    /// Makes a barrier do nothing.
    pub fn remove_barrier(&self, barrier: Barrier) {
        self.state().removed = Some(barrier);
    }

    /// From now on `faults` of a thousand calls fail.
    pub fn set_faults(&self, faults: u64) {
        self.state().faults = faults;
    }

    /// From now on `faults` of a thousand calls that open, list or read fail.
    pub fn set_read_faults(&self, faults: u64) {
        self.state().read_faults = faults;
    }

    /// All calls of a kind fail from now on, or none.
    pub fn set_failing(&self, failing: Option<Call>) {
        self.state().failing = failing;
    }

    /// The next sync of a file waits until it is told to fail.
    pub fn hold_next_sync(&self) {
        self.state().next_sync = NextSync::IsHeld;
    }

    /// Returns once a sync was held up, and lets it fail.
    pub fn fail_held_sync(&self) {
        let comes = |state: &mut State| state.next_sync == NextSync::IsHeld;
        let state = self.0.1.wait_while(self.state(), comes);
        state.expect("no panic").next_sync = NextSync::Fails;
        self.0.1.notify_all();
    }

    /// How often a file was written to.
    pub fn writes(&self) -> u64 {
        self.state().writes
    }

    /// How many bytes may still be written.
    pub fn set_room(&self, room: u64) {
        self.state().room = room;
    }

    /// The bytes of the disk.
    pub fn set_total(&self, total: u64) {
        self.state().total = total;
    }

    /// Whether a loss of power would lose nothing of what the segments hold.
    pub fn is_durable(&self) -> bool {
        let state = self.state();
        let mut segments = state
            .cached
            .iter()
            .filter(|(name, _)| name.ends_with(".segment"));
        segments.all(|(_, inode)| state.inodes[*inode].pending.is_empty())
    }

    /// Ends the process after `calls` calls.
    pub fn crash_after(&self, calls: u64) {
        self.state().calls_left = Some(calls);
    }

    /// Whether the process has not died.
    pub fn is_alive(&self) -> bool {
        !self.state().is_dead()
    }

    /// Cancels the end of the process; returns whether it was going to end.
    pub fn live_on(&self) -> bool {
        self.state().calls_left.take() == Some(0)
    }

    /// Ends the process, and leaves what the next one finds.
    pub fn crash(&self, crash: Crash) {
        let mut state = self.state();
        state.process += 1;
        state.locked = false;
        state.calls_left = None;
        state.faults = 0;
        state.read_faults = 0;
        if crash == Crash::PowerLoss {
            state.lose_power();
        }
    }

    /// The bytes of a file as they can be read.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.inodes[state.cached[name]].cached.clone()
    }

    /// Creates a file, durably.
    pub fn put(&self, name: &str, bytes: Vec<u8>) {
        let mut state = self.state();
        state.inodes.push(Inode {
            cached: bytes.clone(),
            durable: bytes,
            pending: Vec::new(),
        });
        let inode = state.inodes.len() - 1;
        state.cached.insert(name.to_owned(), inode);
        state.durable.insert(name.to_owned(), inode);
    }

    /// Removes a file, durably.
    pub fn take(&self, name: &str) {
        let mut state = self.state();
        state.cached.remove(name);
        state.durable.remove(name);
    }

    pub fn names(&self) -> Vec<String> {
        self.state().cached.keys().cloned().collect()
    }

    /// A copy of everything, as another directory.
    pub fn copy(&self) -> Self {
        let copy = Self::new(1);
        for name in self.names() {
            copy.put(&name, self.bytes(&name));
        }
        copy
    }

    /// The disk for the current process.
    pub fn mount(&self) -> Arc<dyn Disk> {
        Arc::new(Mounted::new(self.clone(), self.state().process))
    }
}

impl State {
    /// Returns whether the process survives this call; an error if the call fails or the process is dead.
    fn call(&mut self) -> io::Result<()> {
        match &mut self.calls_left {
            Some(0) => return Err(error("the process is dead")),
            Some(left) => *left -= 1,
            None => {}
        }
        if self.faults > 0 && self.random.below(1_000) < self.faults {
            return Err(error("the disk fails"));
        }
        Ok(())
    }

    /// An error if a call that reads fails: an I/O error, or no descriptor is left.
    fn read_call(&mut self) -> io::Result<()> {
        const EIO: i32 = 5;
        const EMFILE: i32 = 24;
        if self.read_faults > 0 && self.read_random.below(1_000) < self.read_faults {
            let code = [EIO, EMFILE][self.read_random.below(2) as usize];
            return Err(io::Error::from_raw_os_error(code));
        }
        Ok(())
    }

    fn fails(&self, call: Call) -> io::Result<()> {
        if self.failing == Some(call) {
            return Err(error("the disk fails"));
        }
        Ok(())
    }

    /// Holds up a sync if a test has asked for it; an error if the sync is to fail.
    fn pass_sync<'a>(
        mut state: MutexGuard<'a, Self>,
        model: &'a Model,
    ) -> (MutexGuard<'a, Self>, io::Result<()>) {
        if state.next_sync != NextSync::IsHeld {
            return (state, Ok(()));
        }
        state.next_sync = NextSync::Waits;
        model.0.1.notify_all();
        let waits = |state: &mut Self| state.next_sync == NextSync::Waits;
        let state = model.0.1.wait_while(state, waits);
        let mut state = state.expect("no panic");
        state.next_sync = NextSync::Goes;
        (state, Err(error("the disk fails")))
    }

    fn is_dead(&self) -> bool {
        self.calls_left == Some(0)
    }

    fn lose_power(&mut self) {
        let Self { inodes, random, .. } = self;
        for inode in inodes.iter_mut() {
            for change in std::mem::take(&mut inode.pending) {
                for change in survivors(change, random) {
                    apply(&mut inode.durable, &change);
                }
            }
            inode.cached.clone_from(&inode.durable);
        }
        self.lose_entries();
        self.cached.clone_from(&self.durable);
    }

    /// Loses any of the changes to the directory that are not durable.
    fn lose_entries(&mut self) {
        for entry in std::mem::take(&mut self.pending) {
            if self.random.below(2) == 0 {
                enter(&mut self.durable, &entry);
            }
        }
    }
}

//! The model as one process sees it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use talaria_transport::history::{Disk, File, Space};

use super::{Barrier, Call, Change, Entry, Inode, Model, State, apply, enter, error, survivors};

/// The disk as one process sees it. It fails once the process has ended.
pub struct Mounted {
    model: Model,
    process: u64,
}

struct Handle {
    model: Model,
    inode: usize,
    process: u64,
    name: String,
    changed: Mutex<Changed>,
}

#[derive(Default, Clone, Copy)]
struct Changed {
    synced: bool,
    cut: bool,
}

impl Mounted {
    pub(super) fn new(model: Model, process: u64) -> Self {
        Self { model, process }
    }

    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.model.state();
        if state.process == self.process {
            Ok(state)
        } else {
            Err(error("the process is dead"))
        }
    }

    fn handle(&self, name: &str, inode: usize) -> Arc<dyn File> {
        Arc::new(Handle {
            model: self.model.clone(),
            inode,
            process: self.process,
            name: name.to_owned(),
            changed: Mutex::default(),
        })
    }
}

impl Disk for Mounted {
    fn list(&self, each: &mut dyn FnMut(&str)) -> io::Result<()> {
        let mut state = self.state()?;
        state.call()?;
        state.read_call()?;
        state.cached.keys().for_each(|name| each(name));
        Ok(())
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        let state = self.state()?;
        if state.is_dead() {
            return Err(error("the process is dead"));
        }
        let inode = state.cached.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(state.inodes[*inode].cached.len() as u64)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut state = self.state()?;
        state.call()?;
        state.read_call()?;
        let inode = state.cached.get(name).copied();
        let inode = inode.ok_or(io::ErrorKind::NotFound)?;
        Ok(self.handle(name, inode))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut state = self.state()?;
        state.call()?;
        state.inodes.push(Inode::default());
        let inode = state.inodes.len() - 1;
        let entry = Entry::Add(name.to_owned(), inode);
        enter(&mut state.cached, &entry);
        state.pending.push(entry);
        Ok(self.handle(name, inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state()?;
        state.call()?;
        let barrier = match to {
            "manifest" => Some(Barrier::RenameManifest),
            "events" => Some(Barrier::RenameEvents),
            to if to.ends_with(".segment") => Some(Barrier::RenameSegment),
            _ => None,
        };
        if barrier.is_some() && barrier == state.removed {
            return Ok(());
        }
        let inode = state.cached.get(from).copied();
        let inode = inode.ok_or(io::ErrorKind::NotFound)?;
        let entry = Entry::Rename(from.to_owned(), to.to_owned(), inode);
        enter(&mut state.cached, &entry);
        state.pending.push(entry);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state()?;
        state.call()?;
        if state.cached.remove(name).is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.pending.push(Entry::Remove(name.to_owned()));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state()?;
        if let Err(error) = state.call() {
            // It is unknown what was written, and the system reports the rest as written.
            state.lose_entries();
            return Err(error);
        }
        let renamed = state.pending.iter().rev().find_map(|entry| match entry {
            Entry::Rename(_, to, _) => Some(to.clone()),
            _ => None,
        });
        let barrier = renamed.map(|to| match to.as_str() {
            "manifest" => Barrier::DirectoryOfManifest,
            "events" => Barrier::DirectoryOfEvents,
            _ => Barrier::DirectoryOfSegment,
        });
        if barrier.is_some() && barrier == state.removed {
            return Ok(());
        }
        for entry in std::mem::take(&mut state.pending) {
            enter(&mut state.durable, &entry);
        }
        Ok(())
    }

    fn space(&self) -> io::Result<Space> {
        let state = self.state()?;
        Ok(Space {
            available: state.room,
            total: state.total,
        })
    }

    fn lock(&self) -> io::Result<Option<Box<dyn Send + Sync>>> {
        struct Guard(Mounted);
        impl Drop for Guard {
            fn drop(&mut self) {
                if let Ok(mut state) = self.0.state() {
                    state.locked = false;
                }
            }
        }
        let mut state = self.state()?;
        if state.locked {
            return Ok(None);
        }
        state.locked = true;
        Ok(Some(Box::new(Guard(Self {
            model: self.model.clone(),
            process: self.process,
        }))))
    }

    fn path(&self, name: &str) -> String {
        format!("model/{name}")
    }
}

impl Handle {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.model.state();
        if state.process == self.process {
            Ok(state)
        } else {
            Err(error("this handle is of a dead process"))
        }
    }

    fn change(&self, state: &mut State, change: Change) {
        let inode = &mut state.inodes[self.inode];
        apply(&mut inode.cached, &change);
        inode.pending.push(change);
    }

    fn barrier(&self) -> Barrier {
        let changed = *self.changed.lock().expect("no panic");
        if self.name.starts_with("manifest") {
            Barrier::SyncManifest
        } else if self.name.starts_with("events") && !changed.synced {
            Barrier::SyncEventsFile
        } else if self.name.starts_with("events") {
            Barrier::SyncEvents
        } else if self.name.ends_with(".new") && !changed.synced {
            Barrier::SyncHeader
        } else if changed.cut {
            Barrier::SyncCut
        } else if changed.synced {
            Barrier::SyncGroups
        } else {
            Barrier::SyncFound
        }
    }
}

impl File for Handle {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.state()?;
        if state.is_dead() {
            return Err(error("the process is dead"));
        }
        state.read_call()?;
        let bytes = &state.inodes[self.inode].cached;
        let start = (offset as usize).min(bytes.len());
        let length = buffer.len().min(bytes.len() - start);
        buffer[..length].copy_from_slice(&bytes[start..start + length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state()?;
        state.writes += 1;
        let called = state.call().and_then(|()| state.fails(Call::Write));
        let called = called.and_then(|()| {
            // A process does not see the end of its last call.
            if state.is_dead() {
                Err(error("the process is dead"))
            } else {
                Ok(())
            }
        });
        // A part of the bytes may be there, or all.
        let written = match &called {
            Ok(()) => bytes.len(),
            Err(_) if state.random.below(3) == 0 => bytes.len(),
            Err(_) => state.random.below(bytes.len() as u64 + 1) as usize,
        };
        let change = Change::Write(offset as usize, bytes[..written].to_vec());
        self.change(&mut state, change);
        called
    }

    fn sync_data(&self) -> io::Result<()> {
        let (mut state, passed) = State::pass_sync(self.state()?, &self.model);
        let barrier = self.barrier();
        let called = passed.and_then(|()| state.call());
        let called = called.and_then(|()| state.fails(Call::Sync));
        if called.is_ok() && state.removed == Some(barrier) {
            return Ok(());
        }
        let fails = called.is_err();
        *self.changed.lock().expect("no panic") = Changed {
            synced: true,
            cut: false,
        };
        let State { inodes, random, .. } = &mut *state;
        let inode = &mut inodes[self.inode];
        for change in std::mem::take(&mut inode.pending) {
            // After a failure it is unknown what was written, and the system reports the rest as written.
            let kept = if fails {
                survivors(change, random)
            } else {
                vec![change]
            };
            for change in kept {
                apply(&mut inode.durable, &change);
            }
        }
        called
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.state()?;
        state.call()?;
        // A length that does not change is not a change.
        if state.inodes[self.inode].cached.len() as u64 != length {
            self.changed.lock().expect("no panic").cut = true;
        }
        self.change(&mut state, Change::Length(length as usize));
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.state()?;
        state.call()?;
        state.read_call()?;
        Ok(state.inodes[self.inode].cached.len() as u64)
    }
}

//! A thread that syncs a file while the writer prepares what comes next.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::history::disk::File;

/// The thread; it ends when this is dropped.
pub(in crate::history) struct Syncer {
    files: Option<SyncSender<Arc<dyn File>>>,
    outcomes: Receiver<io::Result<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    pub(in crate::history) fn start() -> io::Result<Self> {
        let (files, asked) = sync_channel::<Arc<dyn File>>(1);
        let (answer, outcomes) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("talaria-sync".to_owned())
            .spawn(move || {
                while let Ok(file) = asked.recv() {
                    if answer.send(file.sync_data()).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self {
            files: Some(files),
            outcomes,
            thread: Some(thread),
        })
    }

    /// Begins to sync a file; whether it did. One at a time.
    pub(super) fn begin(&self, file: &Arc<dyn File>) -> bool {
        let asked = self
            .files
            .as_ref()
            .map(|files| files.send(Arc::clone(file)));
        matches!(asked, Some(Ok(())))
    }

    /// Waits until it is synced.
    pub(super) fn end(&self) -> io::Result<()> {
        let outcome = self.outcomes.recv();
        outcome.unwrap_or_else(|_| Err(io::Error::other("the thread that syncs has failed")))
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.files = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by its hook; there is nothing to add.
            _ = thread.join();
        }
    }
}

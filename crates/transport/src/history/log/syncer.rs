//! A thread that syncs a file while the writer prepares what comes next.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::history::disk::File;

/// The share of a sync, in percent, after which the next group is prepared: what comes later is
/// added when it has ended.
const MOST: u32 = 50;
/// Nothing is usual before the first one.
const FIRST: Duration = Duration::from_millis(1);

/// What syncing came to, and how long it took.
type Outcome = (io::Result<()>, Duration);

/// The thread; it ends when this is dropped.
pub(in crate::history) struct Syncer {
    files: Option<SyncSender<Arc<dyn File>>>,
    outcomes: Receiver<Outcome>,
    /// An outcome that came while most of the sync was waited for.
    early: Option<Outcome>,
    /// How long a sync takes, more or less.
    usual: Duration,
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
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "nothing depends on it but speed"
                    )]
                    let begun = Instant::now();
                    let synced = file.sync_data();
                    if answer.send((synced, begun.elapsed())).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self {
            files: Some(files),
            outcomes,
            early: None,
            usual: Duration::ZERO,
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

    /// Waits while most of the usual time goes by; whether the file is still being synced.
    pub(super) fn wait_for_most(&mut self) -> bool {
        let most = self.usual * MOST / 100;
        self.early = self.outcomes.recv_timeout(most).ok();
        self.early.is_none()
    }

    /// Waits until the file is synced.
    pub(super) fn end(&mut self) -> io::Result<()> {
        let outcome = self.early.take().map_or_else(|| self.outcomes.recv(), Ok);
        let failed = || io::Error::other("the thread that syncs has failed");
        let (synced, took) = outcome.map_err(|_| failed())?;
        // One sync that is ten times as long as usual should not count for more than that.
        self.usual = (self.usual * 7 + took.min(self.usual * 10 + FIRST)) / 8;
        synced
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

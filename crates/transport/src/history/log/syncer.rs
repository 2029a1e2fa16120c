//! A thread that syncs a file while the writer prepares the next group.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::history::disk::File;
use crate::measures::Histogram;

/// The share of the usual time of a sync, in percent, after which the next group is prepared. Updates
/// that come later are added when the sync has ended.
const MOST: u32 = 50;
/// The least bound on the time that a single sync adds to the average.
const FIRST: Duration = Duration::from_millis(1);

/// The result of a sync, and how long it took.
type Outcome = (io::Result<()>, Duration);

/// The thread that syncs. It ends when this is dropped.
pub(in crate::history) struct Syncer {
    files: Option<SyncSender<Arc<dyn File>>>,
    outcomes: Receiver<Outcome>,
    /// An outcome that came during [`wait_for_most`](Self::wait_for_most).
    early: Option<Outcome>,
    /// The moving average of the time that a sync takes.
    usual: Duration,
    times: Arc<Histogram>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    /// Starts the thread. `times` gets how long each sync takes, in nanoseconds.
    pub(in crate::history) fn start(times: Arc<Histogram>) -> io::Result<Self> {
        let (files, asked) = sync_channel::<Arc<dyn File>>(1);
        let (answer, outcomes) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("talaria-sync".to_owned())
            .spawn(move || {
                while let Ok(file) = asked.recv() {
                    if answer.send(timed(&file)).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self {
            files: Some(files),
            outcomes,
            early: None,
            usual: Duration::ZERO,
            times,
            thread: Some(thread),
        })
    }

    /// Syncs a file on this thread.
    pub(super) fn sync(&self, file: &Arc<dyn File>) -> io::Result<()> {
        let (synced, took) = timed(file);
        self.note(took);
        synced
    }

    fn note(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos());
        self.times.observe(nanoseconds.unwrap_or(u64::MAX));
    }

    /// Begins to sync a file; returns whether it did. Only one sync may be under way.
    pub(super) fn begin(&self, file: &Arc<dyn File>) -> bool {
        let asked = self
            .files
            .as_ref()
            .map(|files| files.send(Arc::clone(file)));
        matches!(asked, Some(Ok(())))
    }

    /// Waits for most of the usual time; returns whether the sync is still under way.
    pub(super) fn wait_for_most(&mut self) -> bool {
        let most = self.usual * MOST / 100;
        self.early = self.outcomes.recv_timeout(most).ok();
        self.early.is_none()
    }

    /// Waits for the end of the sync.
    pub(super) fn end(&mut self) -> io::Result<()> {
        let outcome = self.early.take().map_or_else(|| self.outcomes.recv(), Ok);
        let failed = || io::Error::other("the thread that syncs has failed");
        let (synced, took) = outcome.map_err(|_| failed())?;
        self.note(took);
        // A single sync counts for at most ten times the average.
        self.usual = (self.usual * 7 + took.min(self.usual * 10 + FIRST)) / 8;
        synced
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "it only decides how long to wait before preparing the next group, and is measured"
)]
fn timed(file: &Arc<dyn File>) -> Outcome {
    let begun = Instant::now();
    let synced = file.sync_data();
    (synced, begun.elapsed())
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.files = None;
        if let Some(thread) = self.thread.take() {
            // The panic hook has reported a panic of the thread.
            _ = thread.join();
        }
    }
}

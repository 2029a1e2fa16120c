//! Progress bars on standard error, for what takes longer than a second and is watched at a terminal.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use talaria_transport::history::{Directory, Disk, File, Space};

use super::clock;

/// What ends before is not shown.
const DELAY: Duration = Duration::from_secs(1);
/// How often a bar without a length moves.
const TICK: Duration = Duration::from_millis(200);
/// The name of the files that hold the updates.
const SEGMENT: &str = ".segment";

/// A bar that appears after a second if a person may be watching, and vanishes when it is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    begun: Instant,
    /// Whether a person may be watching, until the end.
    is_watched: AtomicBool,
    is_shown: AtomicBool,
}

impl Progress {
    /// The bar of something that reads this many bytes. `is_alone` says that nothing is written to the terminal
    /// meanwhile.
    pub(crate) fn of_bytes(what: &'static str, bytes: u64, is_alone: bool) -> Arc<Self> {
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::hidden());
        let style = "{msg} {wide_bar} {percent}% of {total_bytes}, {eta} left";
        Self::new(bar, style, what, is_alone)
    }

    /// The bar of something whose length is not known, which shows the time.
    pub(crate) fn of_time(what: &'static str, is_alone: bool) -> Arc<Self> {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        Self::new(bar, "{spinner} {msg} {elapsed}", what, is_alone)
    }

    fn new(bar: ProgressBar, style: &str, what: &'static str, is_alone: bool) -> Arc<Self> {
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_message(what);
        let is_watched = is_alone && io::stderr().is_terminal();
        Arc::new(Self {
            bar,
            begun: clock::monotonic(),
            is_watched: AtomicBool::new(is_watched),
            is_shown: AtomicBool::new(false),
        })
    }

    /// Reports that this many more bytes are done.
    pub(crate) fn advance(&self, bytes: u64) {
        if !self.is_watched() {
            return;
        }
        self.bar.inc(bytes);
        if !self.is_shown.load(Ordering::Relaxed) && self.begun.elapsed() >= DELAY {
            self.show();
        }
    }

    /// Shows a bar of time after the delay, if it is not dropped before.
    pub(crate) fn show_later(self: &Arc<Self>) {
        if !self.is_watched() {
            return;
        }
        let waiting = Arc::downgrade(self);
        // The thread ends by itself after the delay, and owns nothing that the program needs.
        _ = std::thread::Builder::new().spawn(move || {
            std::thread::sleep(DELAY);
            if let Some(progress) = waiting.upgrade() {
                progress.bar.enable_steady_tick(TICK);
                progress.show();
            }
        });
    }

    fn is_watched(&self) -> bool {
        self.is_watched.load(Ordering::Relaxed)
    }

    fn show(&self) {
        if self.is_watched() && !self.is_shown.swap(true, Ordering::Relaxed) {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Takes the bar away while `write` writes to the terminal.
    pub(crate) fn pause<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Takes the bar away for good.
    pub(crate) fn end(&self) {
        self.is_watched.store(false, Ordering::Relaxed);
        self.bar.finish_and_clear();
        self.bar.set_draw_target(ProgressDrawTarget::hidden());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A directory whose reads move a bar.
pub(crate) struct Watched {
    disk: Arc<Directory>,
    progress: Arc<Progress>,
}

impl Watched {
    /// Watches how all segments of `disk` are read this many times; the bar is of `what`.
    pub(crate) fn new(
        disk: Arc<Directory>,
        what: &'static str,
        times: u64,
        is_alone: bool,
    ) -> (Arc<Self>, Arc<Progress>) {
        // What cannot be listed is reported by the one that reads it.
        let mut bytes = 0_u64;
        _ = disk.list(&mut |name| {
            if name.ends_with(SEGMENT) {
                bytes += disk.length(name).unwrap_or_default();
            }
        });
        let progress = Progress::of_bytes(what, bytes.saturating_mul(times), is_alone);
        let watched = Self {
            disk,
            progress: Arc::clone(&progress),
        };
        (Arc::new(watched), progress)
    }

    fn file(&self, file: Arc<dyn File>) -> Arc<dyn File> {
        if !self.progress.is_watched() {
            return file;
        }
        Arc::new(WatchedFile {
            file,
            progress: Arc::clone(&self.progress),
        })
    }
}

impl Disk for Watched {
    fn list(&self, each: &mut dyn FnMut(&str)) -> io::Result<()> {
        self.disk.list(each)
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        self.disk.length(name)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = self.disk.open(name)?;
        Ok(match name.ends_with(SEGMENT) {
            true => self.file(file),
            false => file,
        })
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

struct WatchedFile {
    file: Arc<dyn File>,
    progress: Arc<Progress>,
}

impl File for WatchedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.file.read_at(buffer, offset)?;
        self.progress.advance(read as u64);
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

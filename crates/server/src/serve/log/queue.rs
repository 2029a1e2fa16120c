//! The queue between the threads that log and standard error or a file, whose reader or disk may be slow, stuck or
//! gone.
//!
//! The crate `tracing-appender` bounds lines and not bytes, loses the lines of a failed write, and does not log
//! how many it dropped.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// The most bytes of lines that wait for the writer. The same number may be under way to the reader.
pub(super) const QUEUE_BYTES: usize = 1024 * 1024;
/// How long to wait before a failed write is tried again.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_POLL: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};
/// Room for the line that says how many were dropped.
const NOTICE_BYTES: usize = 256;

/// How many lines found no room since the process began, of all queues.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// How many lines found no room since the process began.
pub(super) fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Lines that wait to be written by a thread.
pub(super) struct Queue {
    state: Mutex<State>,
    /// Notified when a line waits, and when the process is about to end.
    filled: Condvar,
    /// Notified when everything was written.
    emptied: Condvar,
}

struct State {
    waiting: Vec<u8>,
    /// Lines for which there was no room since the writer last took what waited.
    dropped: u64,
    /// Whether the writer holds lines that are not written yet.
    writing: bool,
    /// Whether the process is about to end: a write that fails is not tried again.
    ending: bool,
    /// Whether no line follows, so that the writer ends.
    closed: bool,
}

// The lines stay out of it.
impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

impl Queue {
    /// Starts the thread that writes to `out`. `renew` is called before each write of many lines: a file may have been
    /// moved away. `notice` gives the line that says how many lines were dropped.
    ///
    /// # Errors
    ///
    /// The system refuses a thread.
    pub(super) fn start<O: AsFd + Send + 'static>(
        mut out: O,
        mut renew: impl FnMut(&mut O) + Send + 'static,
        notice: impl Fn(u64) -> String + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let write = move |queue: &Self, lines: &[u8]| {
            renew(&mut out);
            queue.write(&out, lines);
        };
        Self::start_with(write, notice)
    }

    /// Starts the thread that calls `write` with whole lines. It returns when they are written, or cannot be and
    /// [`pause`](Self::pause) has said that the process ends.
    ///
    /// # Errors
    ///
    /// The system refuses a thread.
    pub(super) fn start_with(
        write: impl FnMut(&Self, &[u8]) + Send + 'static,
        notice: impl Fn(u64) -> String + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let queue = Arc::new(Self {
            state: Mutex::new(State {
                waiting: Vec::with_capacity(QUEUE_BYTES + NOTICE_BYTES),
                dropped: 0,
                writing: false,
                ending: false,
                closed: false,
            }),
            filled: Condvar::new(),
            emptied: Condvar::new(),
        });
        let writer = Arc::clone(&queue);
        std::thread::Builder::new()
            .name("talaria-log".to_owned())
            .spawn(move || writer.write_lines(write, notice))?;
        Ok(queue)
    }

    /// Queues a line, newline included; drops and counts it if there is no room. Never waits for the
    /// reader of the log.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.waiting.len() + line.len() > QUEUE_BYTES {
            state.dropped += 1;
            DROPPED.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let idle = state.waiting.is_empty();
        state.waiting.extend_from_slice(line);
        if idle {
            self.filled.notify_one();
        }
    }

    /// Waits until everything is written, at most this long.
    pub(super) fn finish(&self, limit: Duration) {
        let mut state = self.lock();
        state.ending = true;
        self.filled.notify_one();
        let unwritten = |state: &mut State| state.writing || !state.waiting.is_empty();
        // Whether time was up makes no difference, because the process ends.
        drop(self.emptied.wait_timeout_while(state, limit, unwritten));
    }

    /// Ends the writer once everything is written; a write that fails then is not tried again.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.ending = true;
        state.closed = true;
        self.filled.notify_one();
    }

    fn write_lines(&self, mut write: impl FnMut(&Self, &[u8]), notice: impl Fn(u64) -> String) {
        let mut lines = Vec::with_capacity(QUEUE_BYTES + NOTICE_BYTES);
        loop {
            let waiting = self.filled.wait_while(self.lock(), |state| {
                state.waiting.is_empty() && !state.closed
            });
            let mut state = waiting.unwrap_or_else(PoisonError::into_inner);
            if state.waiting.is_empty() {
                return;
            }
            std::mem::swap(&mut lines, &mut state.waiting);
            state.writing = true;
            let dropped = std::mem::take(&mut state.dropped);
            drop(state);
            if dropped > 0 {
                lines.extend_from_slice(notice(dropped).as_bytes());
            }
            write(self, &lines);
            lines.clear();
            self.lock().writing = false;
            self.emptied.notify_all();
        }
    }

    /// Writes everything, however long that takes. Any error may be temporary: a disk gets room, and a named
    /// pipe a new reader.
    fn write(&self, out: &impl AsFd, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match rustix::io::write(out, bytes) {
                Ok(written) if written > 0 => bytes = bytes.get(written..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    // The next write reports an error of this.
                    let mut ready = [PollFd::new(out, PollFlags::OUT)];
                    if poll(&mut ready, Some(&RETRY_POLL)).is_err() && !self.pause() {
                        return;
                    }
                }
                Ok(_) | Err(_) => {
                    if !self.pause() {
                        return;
                    }
                }
            }
        }
    }

    /// Waits before the next attempt; returns false if the process ends instead.
    pub(super) fn pause(&self) -> bool {
        let state = self.lock();
        if state.ending {
            return false;
        }
        drop(
            self.filled
                .wait_timeout_while(state, RETRY, |state| !state.ending),
        );
        true
    }

    /// Whether the process is about to end.
    pub(super) fn is_ending(&self) -> bool {
        self.lock().ending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::os::fd::BorrowedFd;
    use std::sync::atomic::AtomicUsize;

    fn start(out: impl AsFd + Send + 'static) -> Arc<Queue> {
        Queue::start(out, |_| {}, |dropped| format!("dropped={dropped}\n")).unwrap()
    }

    fn push_lines(queue: &Queue, numbers: std::ops::Range<usize>) {
        for number in numbers {
            queue.push(format!("{number:099}\n").as_bytes());
        }
    }

    /// The line numbers that `reader` gives, and how many were dropped, until both are `pushed` together. The
    /// queue may be taken, and the dropped lines told, before all are pushed.
    fn read_all(reader: impl io::Read, pushed: usize) -> (Vec<usize>, usize) {
        let (mut numbers, mut dropped) = (Vec::new(), 0);
        for line in io::BufRead::lines(io::BufReader::new(reader)) {
            let line = line.unwrap();
            match line.split_once("dropped=") {
                Some((_, more)) => dropped += more.parse::<usize>().unwrap(),
                None => numbers.push(line.parse().unwrap()),
            }
            if numbers.len() + dropped >= pushed {
                break;
            }
        }
        assert_eq!(numbers.len() + dropped, pushed);
        (numbers, dropped)
    }

    /// If the pipe is full, a bounded number of bytes is queued and further lines are counted. Both come out in
    /// order once the reader reads, and later lines are complete.
    #[test]
    fn a_full_pipe_costs_lines_and_says_how_many() {
        let (mut reader, writer) = io::pipe().unwrap();
        let queue = start(writer);
        let pushed = 4 * QUEUE_BYTES / 100;
        push_lines(&queue, 0..pushed);
        assert!(queue.lock().waiting.len() <= QUEUE_BYTES);
        let (numbers, dropped) = read_all(&mut reader, pushed);
        assert!(dropped > pushed / 4 && super::dropped() >= dropped as u64);
        assert!(numbers.is_sorted() && numbers.first() == Some(&0));
        assert!(numbers.len() * 100 > QUEUE_BYTES - 100);
        queue.push(b"and then\n");
        let mut text = [0; 9];
        reader.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"and then\n");
    }

    /// The same with a pipe that answers EAGAIN, because a parent process has made it non-blocking.
    #[test]
    fn the_queue_waits_for_a_full_pipe_that_does_not_block() {
        let (reader, writer) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let queue = start(writer);
        let pushed = 4 * QUEUE_BYTES / 100;
        push_lines(&queue, 0..pushed);
        let (_, dropped) = read_all(reader, pushed);
        assert!(dropped > 0);
    }

    /// A disk that is full for the first attempt, and a pipe afterwards.
    struct FullAtFirst {
        full: std::fs::File,
        pipe: io::PipeWriter,
        attempts: AtomicUsize,
    }

    impl AsFd for FullAtFirst {
        fn as_fd(&self) -> BorrowedFd<'_> {
            match self.attempts.fetch_add(1, Ordering::Relaxed) {
                0 => self.full.as_fd(),
                _ => self.pipe.as_fd(),
            }
        }
    }

    /// A write that fails is tried again until it works, and nothing is lost.
    #[test]
    fn what_could_not_be_written_is_written_later() {
        let (mut reader, pipe) = io::pipe().unwrap();
        let full = full_disk();
        let attempts = AtomicUsize::new(0);
        let queue = start(FullAtFirst {
            full,
            pipe,
            attempts,
        });
        queue.push(b"first\n");
        queue.push(b"second\n");
        let mut text = [0; 13];
        reader.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"first\nsecond\n");
    }

    fn full_disk() -> std::fs::File {
        let mut options = std::fs::File::options();
        options.write(true).open("/dev/full").unwrap()
    }

    /// At the end of the process, lines are written if they have a reader, and those without do not delay it.
    #[test]
    fn the_end_waits_for_lines_that_can_be_written() {
        let (mut reader, writer) = io::pipe().unwrap();
        let queue = start(writer);
        push_lines(&queue, 0..100);
        queue.finish(Duration::from_secs(600));
        let mut text = vec![0; 100 * 100];
        reader.read_exact(&mut text).unwrap();

        let full = full_disk();
        let queue = start(full);
        push_lines(&queue, 0..100);
        queue.finish(Duration::from_secs(600));

        let (_reader, mut writer) = io::pipe().unwrap();
        writer.write_all(&[0; 65_536]).unwrap();
        let queue = start(writer);
        push_lines(&queue, 0..100);
        queue.finish(Duration::from_millis(50));
    }
}

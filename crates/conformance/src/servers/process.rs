//! A server's process, and its log.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};

/// How often to check whether a process has ended.
const PAUSE: Duration = Duration::from_millis(20);
/// How much of a log is shown.
const SHOWN_LINES: usize = 60;

/// A process that ends with its owner.
pub(super) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program whose output goes to the file `log` in `folder`, which is its working directory.
    pub(super) fn start(mut command: Command, folder: &Path, log: &str) -> Self {
        let log = folder.join(log);
        let file = || File::options().create(true).append(true).open(&log);
        let child = command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(file().expect("the log can be written"))
            .stderr(file().expect("the log can be written"))
            .spawn()
            .unwrap_or_else(|error| panic!("{:?} does not start: {error}", command.get_program()));
        Self { child, log }
    }

    /// Its number.
    pub(super) fn number(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Stops it without letting it know.
    pub(super) fn suspend(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub(super) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Lets no file of it grow beyond this size, or all.
    pub(super) fn limit_files(&self, most: Option<u64>) {
        let maximum = getrlimit(Resource::Fsize).maximum;
        let limit = Rlimit {
            current: most.or(maximum),
            maximum,
        };
        prlimit(Some(self.pid()), Resource::Fsize, limit).expect("it still runs");
    }

    /// Tells it something.
    pub(super) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it still runs");
    }

    /// Tells it something, unless it has ended.
    pub(super) fn signal_if_running(&mut self, signal: Signal) {
        if !self.has_ended() {
            self.signal(signal);
        }
    }

    fn pid(&self) -> Pid {
        let pid = i32::try_from(self.number()).ok().and_then(Pid::from_raw);
        pid.expect("processes have positive numbers")
    }

    /// Waits until it has ended, for some seconds.
    pub(super) fn has_ended_within(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while !self.has_ended() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(PAUSE);
        }
        true
    }

    /// The end of its log.
    pub(super) fn log(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the end of {}:\n{}", self.log.display(), self.log());
        }
        // A kill ends it even while it is suspended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

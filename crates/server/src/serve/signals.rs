//! The signals that the program handles.

use std::io;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

const XFSZ: rustix::process::Signal = rustix::process::Signal::XFSZ;

/// Every signal that is not left to the system.
pub(crate) struct Signals {
    /// Those that stop the program.
    pub stop: Stop,
    /// Those that are logged, and otherwise ignored.
    pub ignored: Ignored,
}

impl Signals {
    /// Handles the signals from now on.
    ///
    /// # Errors
    /// The system refuses a handler.
    pub(crate) fn handle(runtime: &Runtime) -> io::Result<Self> {
        let _inside = runtime.enter();
        Ok(Self {
            stop: Stop {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
            },
            ignored: Ignored {
                hangup: signal(SignalKind::hangup())?,
                user_1: signal(SignalKind::user_defined1())?,
                user_2: signal(SignalKind::user_defined2())?,
                _file_size: signal(SignalKind::from_raw(XFSZ.as_raw()))?,
            },
        })
    }
}

/// SIGINT and SIGTERM.
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Signals that would end the process if they had no handler (B-050).
pub(crate) struct Ignored {
    hangup: Signal,
    user_1: Signal,
    user_2: Signal,
    /// Only handled: a file that may not grow is an error of that write, not the end of the hub.
    _file_size: Signal,
}

impl Ignored {
    /// Waits for the next one, and returns its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.hangup.recv() => "SIGHUP",
            _ = self.user_1.recv() => "SIGUSR1",
            _ = self.user_2.recv() => "SIGUSR2",
        }
    }
}

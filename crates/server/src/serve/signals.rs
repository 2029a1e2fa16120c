//! The signals that the program handles.

use std::io;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::serve::control::Control;
use crate::serve::log::in_one_line;

const XFSZ: rustix::process::Signal = rustix::process::Signal::XFSZ;

/// Every signal that is not left to the system.
pub(crate) struct Signals {
    /// Those that stop the program.
    pub stop: Stop,
    /// The one that reloads the configuration.
    pub reload: Reload,
    /// The one that ends the process at once.
    pub quit: Quit,
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
                is_told: false,
            },
            reload: Reload(signal(SignalKind::user_defined1())?),
            quit: Quit(signal(SignalKind::quit())?),
            ignored: Ignored {
                hangup: signal(SignalKind::hangup())?,
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
    /// Whether the program stops although no signal has come.
    is_told: bool,
}

impl Stop {
    /// Says that the program was told to stop otherwise. Then the first signal forces nothing: an orchestrator
    /// that asks the admin listener sends SIGTERM right after it.
    pub(crate) fn told(&mut self) {
        self.is_told = true;
    }

    /// Waits for a signal that ends the program at once: the second one.
    pub(crate) async fn again(&mut self) {
        self.next().await;
        if std::mem::take(&mut self.is_told) {
            tracing::info!(name: "stopping", "stopping already; a second signal exits at once");
            self.next().await;
        }
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// SIGUSR1 (B-050).
pub(crate) struct Reload(Signal);

impl Reload {
    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        self.0.recv().await;
    }
}

/// SIGQUIT (B-050).
pub(crate) struct Quit(Signal);

impl Quit {
    /// Waits for it.
    pub(crate) async fn next(&mut self) {
        self.0.recv().await;
    }
}

/// Signals that would end the process if they had no handler (B-050).
pub(crate) struct Ignored {
    hangup: Signal,
    user_2: Signal,
    /// Only handled: a file that may not grow is an error of that write, not the end of the hub.
    _file_size: Signal,
}

impl Ignored {
    /// Waits for the next one, and returns its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.hangup.recv() => "SIGHUP",
            _ = self.user_2.recv() => "SIGUSR2",
        }
    }
}

/// Reloads the file that the program was started with, because of SIGUSR1, and logs the outcome.
pub(crate) async fn reload(control: Control) {
    match control.load_again(true).await {
        Ok(_) => {
            tracing::info!(name: "config_reloaded", "the configuration was reloaded because of SIGUSR1")
        }
        Err(error) => {
            let error = in_one_line(&error);
            tracing::error!(
                name: "config_rejected",
                error,
                "SIGUSR1: the configuration was not reloaded; the old one stays"
            );
        }
    }
}

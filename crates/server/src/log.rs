//! The log: standard error, one line an event.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts logging at the level that `RUST_LOG` names, `info` unless set.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .try_init();
    // An embedding process may have a subscriber already; its choice stands.
    drop(started);
}

//! The log: standard error, one line an event.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts logging at the level that `RUST_LOG` names, `info` unless set.
///
/// # Errors
/// A sentence about a `RUST_LOG` that cannot be read.
pub fn start() -> Result<(), String> {
    let filter = match std::env::var(EnvFilter::DEFAULT_ENV) {
        Ok(levels) if !levels.is_empty() => EnvFilter::try_new(&levels).map_err(|error| {
            format!("RUST_LOG: {error}\n  write a level such as info, debug or talaria_hub=debug")
        })?,
        _ => EnvFilter::new("info"),
    };
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // It would report a log that cannot be written by a macro that panics then, and a full disk
        // or a dead pipe must not take the hub down.
        .log_internal_errors(false)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .try_init();
    started.map_err(|error| format!("the log cannot be started: {error}"))
}

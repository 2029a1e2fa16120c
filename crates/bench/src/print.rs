//! Writes figures to standard output, where a closed pipe is an error and not a panic.

use std::fmt::Arguments;
use std::io::{Write as _, stdout};
use std::sync::OnceLock;

use crate::error::Problem;

/// What surrounds each write, so that nothing else is on the terminal meanwhile.
pub(crate) type Around = Box<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

static AROUND: OnceLock<Around> = OnceLock::new();

/// Has `around` called for each write of this process; the first one counts.
pub(crate) fn surround(around: Around) {
    _ = AROUND.set(around);
}

/// Writes a text as it is.
///
/// # Errors
/// If standard output is closed or full.
pub(crate) fn write(text: Arguments<'_>) -> Result<(), Problem> {
    let mut written = Ok(());
    let mut write = || {
        let mut out = stdout().lock();
        written = out.write_fmt(text).and_then(|()| out.flush());
    };
    match AROUND.get() {
        Some(around) => around(&mut write),
        None => write(),
    }
    written.map_err(Problem::Output)
}

/// Writes a line.
///
/// # Errors
/// As [`write`].
pub(crate) fn line(text: Arguments<'_>) -> Result<(), Problem> {
    write(format_args!("{text}\n"))
}

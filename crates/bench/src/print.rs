//! Writes figures to standard output, where a closed pipe is an error and not a panic.

use std::fmt::Arguments;
use std::io::{Write as _, stdout};

use crate::error::Problem;

/// Writes a text as it is.
///
/// # Errors
/// If standard output is closed or full.
pub(crate) fn write(text: Arguments<'_>) -> Result<(), Problem> {
    let mut out = stdout().lock();
    out.write_fmt(text)
        .and_then(|()| out.flush())
        .map_err(Problem::Output)
}

/// Writes a line.
///
/// # Errors
/// As [`write`].
pub(crate) fn line(text: Arguments<'_>) -> Result<(), Problem> {
    write(format_args!("{text}\n"))
}

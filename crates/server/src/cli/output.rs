//! What verbs print: results on standard output, everything else on standard error.

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use talaria_config::{Error, Level, Notice};

/// The exit code of a program whose reader closed the pipe: what shells say of one that SIGPIPE ended.
const CLOSED_PIPE: i32 = 128 + 13;

/// Writes the one error message of a failed command.
pub(super) fn failure(error: impl Display) -> ExitCode {
    say(&format!("error: {error}"));
    ExitCode::FAILURE
}

/// Writes a line to standard error. If that cannot be written, only the exit code tells.
pub(super) fn say(line: &str) {
    let line = format!("{line}\n");
    wait_for(move || io::stderr().write_all(line.as_bytes()));
}

/// Writes to standard output or standard error on a thread, and waits 2 s at most for a reader that does
/// not read; `None` if the text is not written by then.
pub(super) fn wait_for(
    write: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Option<io::Result<()>> {
    const LIMIT: Duration = Duration::from_secs(2);
    let (written, done) = mpsc::channel();
    let writer = std::thread::Builder::new().spawn(move || {
        // After the limit there is no receiver.
        _ = written.send(write());
    });
    writer.ok()?;
    done.recv_timeout(LIMIT).ok()
}

/// Writes text to standard output.
pub(super) fn print(text: &str) -> ExitCode {
    match write_out(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure(not_written(error)),
    }
}

/// Writes text to standard output.
///
/// # Errors
/// No process reads it any more, or the disk is full.
pub(super) fn write_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Ends the program because the reader of standard output closed it.
pub(super) fn closed() -> ! {
    std::process::exit(CLOSED_PIPE)
}

/// Why the output of a command is incomplete. A closed pipe is not an error of ours: its reader, such as
/// `head`, has all it wants, so the program ends here without a word, as others do.
pub(super) fn not_written(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        closed();
    }
    Error::new("standard output")
        .caused_by(error)
        .remedy("make room, or write it elsewhere")
}

/// Writes notices to standard error, for verbs that have no log.
pub(super) fn warn(notices: &[Notice]) {
    for notice in notices {
        let level = match notice.level {
            Level::Info => "info",
            Level::Warning => "warning",
        };
        say(&format!("{level}: {}", notice.text));
    }
}

//! What an examination has found.

use crate::cli::output;

/// What was found. Each finding is printed at once.
#[derive(Default)]
pub(super) struct Findings {
    /// The number of faults.
    pub faults: usize,
}

impl Findings {
    /// Reports that something is as it should be.
    pub(super) fn good(&mut self, subject: &str, text: &str) {
        tell(&format!("ok      {subject}: {text}"));
    }

    /// Reports something that is not a fault.
    pub(super) fn note(&mut self, subject: &str, text: &str) {
        tell(&format!("note    {subject}: {text}"));
    }

    /// Reports a fault, and what to do about it.
    pub(super) fn fault(&mut self, subject: &str, text: &str, remedy: &str) {
        self.faults += 1;
        tell(&format!("FAULT   {subject}: {text}\n        {remedy}"));
    }
}

/// Prints a line. Without a reader there is nothing more to examine: `doctor … | head -1`.
pub(super) fn tell(line: &str) {
    if let Err(error) = output::write_out(&format!("{line}\n")) {
        output::failure(output::not_written(error));
        std::process::exit(1);
    }
}

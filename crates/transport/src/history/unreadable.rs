//! What an I/O error says about the log: nothing, unless retention has just deleted the segment.

use std::io;
use std::sync::Arc;

use super::names;
use super::segment::Segment;
use super::shared::Shared;
use crate::Unavailable;

/// How often an unreadable log is reported, in milliseconds: every client that comes back meets it.
const REPORTED_EACH_MS: u64 = 1_000;

/// Judges an error of reading a segment or its index: `Ok` if retention was faster, so that the
/// segment is no longer part of the log.
///
/// # Errors
/// When the segment is part of the log and cannot be read now, which is logged.
pub(super) fn judge(
    shared: &Shared,
    segment: &Arc<Segment>,
    error: &io::Error,
) -> Result<(), Unavailable> {
    // A segment leaves the list before its files are removed.
    let is_listed = shared
        .segments()
        .iter()
        .any(|kept| kept.number == segment.number);
    if error.kind() == io::ErrorKind::NotFound && !is_listed {
        return Ok(());
    }
    let now = (shared.options.clock)();
    if shared.files.may_report(now, REPORTED_EACH_MS) {
        let name = names::segment(segment.number, segment.first);
        tracing::error!(
            %error,
            file = shared.files.disk.path(&name),
            "a segment or its index cannot be read; subscribers that need it are told to come back"
        );
    }
    Err(Unavailable)
}

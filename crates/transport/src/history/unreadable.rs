//! I/O errors of readers. They say nothing about the log, unless retention has just deleted a segment.

use std::io;
use std::sync::Arc;

use super::names;
use super::segment::Segment;
use super::shared::Shared;
use crate::Unavailable;

/// An unreadable log is reported at most once in this time, since every client that retries finds it. In
/// milliseconds.
const REPORTED_EACH_MS: u64 = 1_000;

/// Judges an error of reading a segment or its index: `Ok` if retention has deleted the segment, so
/// that it is no longer part of the log.
///
/// # Errors
/// If the segment is part of the log and cannot be read now, which is logged.
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
            name: "segment_unreadable",
            %error,
            file = shared.files.disk.path(&name),
            "a segment or its index cannot be read; subscribers that need it are told to retry later"
        );
    }
    Err(Unavailable)
}

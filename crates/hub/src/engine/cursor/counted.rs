//! The beginning of a stream that is counted, and its end, however it ends.

use std::time::Instant;

use super::Cursor;
use super::tally::Tally;
use crate::statistics::Departure;

impl Cursor {
    /// Opens the stream now, without the opening comment: for a reader that is not a client over HTTP.
    pub(crate) fn opened(mut self, now: Instant) -> Self {
        self.sent_at = Some(now);
        self
    }

    /// Counts what the stream brings, and why it ends.
    pub(crate) fn counted_by(mut self, tally: Tally) -> Self {
        self.tally = Some(Box::new(tally));
        self
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        let Some(tally) = self.tally.take() else {
            return;
        };
        let now = tally.now();
        // A stream that its client blocks is cut at a deadline, and cannot end by itself.
        let end = self.due(now).map(Departure::from);
        tally.end(end.unwrap_or_else(|| tally.told()), now);
    }
}

//! Drives a cursor by polling: reads the pages that it needs, and wakes it at its deadline.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use talaria_transport::{Page, Pending, Position, ReadError, Transport};
use tokio::time::{Instant as TokioInstant, Sleep, sleep_until};

use crate::clock::Clock;
use crate::engine::cursor::{CHUNK_BYTES, Cursor, End, Output, Step};

/// The resolution of the runtime's timers.
const TICK: Duration = Duration::from_millis(1);

/// A cursor, the log that it reads, and its timer.
pub(crate) struct Driver {
    /// `None` before it begins and after it has ended.
    cursor: Option<Cursor>,
    end: Option<End>,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    page: Option<Pending<'static, Result<Page, ReadError>>>,
    /// Fires at the cursor's deadline or earlier. It is reset only when it fired or is too late, since
    /// every delivery moves the heartbeat.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Driver {
    /// A driver without a cursor.
    pub(crate) fn new(transport: Arc<dyn Transport>, clock: Arc<dyn Clock>) -> Self {
        Self {
            cursor: None,
            end: None,
            transport,
            clock,
            page: None,
            alarm: None,
        }
    }

    /// Takes the cursor to drive.
    pub(crate) fn begin(&mut self, cursor: Cursor) {
        self.cursor = Some(cursor);
    }

    /// Why the stream ended, if it has.
    pub(crate) fn end(&self) -> Option<End> {
        self.end
    }

    /// How far the stream has got, while it has a cursor.
    pub(crate) fn position(&self) -> Option<Position> {
        self.cursor.as_ref().map(Cursor::position)
    }

    /// What the stream sends next; `None` without a cursor, and when the stream has ended.
    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Output>> {
        let Some(cursor) = &mut self.cursor else {
            return Poll::Ready(None);
        };
        loop {
            if let Some(page) = &mut self.page
                && let Poll::Ready(page) = page.as_mut().poll(context)
            {
                cursor.supply(page);
                self.page = None;
            }
            match cursor.advance(self.clock.now(), context.waker()) {
                Step::Send(output) => return Poll::Ready(Some(output)),
                Step::NeedPage { from, up_to } => {
                    let transport = Arc::clone(&self.transport);
                    let filter = cursor.filter();
                    self.page = Some(Box::pin(async move {
                        transport.read(from, up_to, CHUNK_BYTES, filter).await
                    }));
                }
                Step::Wait => {
                    let deadline = cursor.deadline();
                    ready!(poll_alarm(&mut self.alarm, deadline, &*self.clock, context));
                }
                Step::End(end) => {
                    log_end(end, cursor);
                    self.end = Some(end);
                    self.cursor = None;
                    return Poll::Ready(None);
                }
            }
        }
    }
}

/// Ready when the deadline has come; pending for ever without one.
fn poll_alarm(
    alarm: &mut Option<Pin<Box<Sleep>>>,
    deadline: Option<Instant>,
    clock: &dyn Clock,
    context: &mut Context<'_>,
) -> Poll<()> {
    let Some(deadline) = deadline else {
        return Poll::Pending;
    };
    loop {
        // The runtime's time need not be the clock's, so only what is left is handed on.
        let left = deadline.saturating_duration_since(clock.now());
        if left.is_zero() {
            return Poll::Ready(());
        }
        let at = TokioInstant::now() + left;
        let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if alarm.is_elapsed() || alarm.deadline() > at + TICK {
            alarm.as_mut().reset(at);
        }
        ready!(alarm.as_mut().poll(context));
    }
}

fn log_end(end: End, cursor: &Cursor) {
    match end {
        // The target is a name that operators filter by, whatever this module is called.
        End::Passed => tracing::warn!(
            name: "stream_gap",
            target: "talaria_hub::stream",
            position = cursor.position().0,
            "what a subscriber has not received yet was deleted from the log or is damaged; it is disconnected and resumes with a gap it can see"
        ),
        End::Unavailable => tracing::warn!(
            name: "stream_interrupted",
            target: "talaria_hub::stream",
            position = cursor.position().0,
            "what a subscriber has not received yet cannot be read now; it is disconnected and resumes where it was"
        ),
        _ => {}
    }
}

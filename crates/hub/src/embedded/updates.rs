//! Updates as a stream.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::vec::IntoIter;

use futures_core::Stream;
use talaria_protocol::{Update, event};
use talaria_transport::Frame;
use tokio::task::coop;

use crate::engine::cursor::{End, Output};
use crate::engine::driver::Driver;

/// The updates that the application subscribed to, in the log's order: see
/// [`Hub::subscribe`](crate::Hub::subscribe).
///
/// It is a [`Stream`](futures_core::Stream); [`Self::next`] needs no crate for that. Each update has the
/// event id as its `id`. Its data has the line ends of an event stream: CR and CRLF are LF.
///
/// A draining hub waits until the stream has ended or is dropped. The stream does not end when the last
/// [`Hub`](crate::Hub) is dropped: it keeps the log open, yields what is in it, and then waits forever
/// unless another owner of the log appends to it. Keep a `Hub`, and [drain](crate::Hub::drain) it to end
/// its streams.
///
/// The stream must be polled within a tokio runtime whose timer is enabled (`enable_time` or
/// `enable_all` of its builder).
#[must_use = "a stream does nothing unless it is polled"]
pub struct Updates {
    driver: Driver,
    /// What the last look at the log brought and was not taken yet.
    frames: IntoIter<Arc<Frame>>,
    last_event_id: Option<String>,
}

impl Updates {
    /// `resolved` is the event id that the stream begins after, if one was asked for.
    pub(super) fn new(driver: Driver, resolved: Option<String>) -> Self {
        Self {
            driver,
            frames: Vec::new().into_iter(),
            last_event_id: resolved,
        }
    }

    /// The next update; `None` when the stream has ended. No update is lost if the returned future is
    /// dropped.
    pub async fn next(&mut self) -> Option<Update> {
        poll_fn(|context| self.poll_update(context)).await
    }

    /// The event id of the newest update that was received, to
    /// [resume after](crate::SubscribeOptions::resume_after) it. Before the first, it is the event id
    /// that the stream began after, if one was asked for. That is `earliest` if the log did not know the
    /// id: updates may be missing then.
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }

    /// Why the stream ended, if it has.
    pub fn end(&self) -> Option<End> {
        self.driver.end()
    }

    fn poll_update(&mut self, context: &mut Context<'_>) -> Poll<Option<Update>> {
        // A task that always finds an update ready must give way to others all the same.
        let budget = ready!(coop::poll_proceed(context));
        loop {
            for frame in self.frames.by_ref() {
                let id = self.last_event_id.get_or_insert_default();
                frame.event_id.as_ref().clone_into(id);
                if let Some(update) = update_of(&frame) {
                    budget.made_progress();
                    return Poll::Ready(Some(update));
                }
                tracing::error!(
                    name: "update_unreadable",
                    position = frame.position.0,
                    "an update in the log cannot be read; the application does not receive it"
                );
            }
            match ready!(self.driver.poll_next(context)) {
                Some(Output::Updates(frames)) => self.frames = frames.into_iter(),
                // Comments keep the connections of clients open.
                Some(Output::Text(_)) => {}
                None => return Poll::Ready(None),
            }
        }
    }
}

/// The update that a frame was made of; `None` if its bytes are damaged.
fn update_of(frame: &Frame) -> Option<Update> {
    let (update, id) = event::decode_update(&frame.bytes)?;
    let topics = frame.topics.iter().map(|topic| topic.to_string());
    Some(Update {
        topics: topics.collect(),
        id: Some(id),
        private: frame.private,
        // The application may append the update to another hub's log. That hub would list it among its
        // subscriptions.
        by_hub: false,
        trace: frame.trace.clone(),
        ..update
    })
}

impl Stream for Updates {
    type Item = Update;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Update>> {
        self.poll_update(context)
    }
}

impl fmt::Debug for Updates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Updates")
            .field("last_event_id", &self.last_event_id)
            .field("end", &self.end())
            .finish_non_exhaustive()
    }
}

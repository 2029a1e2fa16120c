//! The answers that publishers wait for.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::{AppendError, Appended, Frame, Pending};

/// What a publisher learns about its update.
pub(crate) type Answer = Result<Appended, AppendError>;

/// The future answer to a publisher whose update joined the queue.
pub(crate) fn one(
    joined: Result<oneshot::Receiver<Answer>, AppendError>,
) -> Pending<'static, Answer> {
    Box::pin(async move { joined?.await.map_err(|_| AppendError::Unknown)? })
}

/// The future answer to a publisher whose updates joined the queue together.
pub(crate) fn all(
    joined: Result<Vec<oneshot::Receiver<Answer>>, AppendError>,
) -> Pending<'static, Result<Vec<Appended>, AppendError>> {
    Box::pin(async move {
        let mut appended = Vec::new();
        for joined in joined? {
            appended.push(joined.await.map_err(|_| AppendError::Unknown)??);
        }
        Ok(appended)
    })
}

/// The publishers of a group, in the order of its updates. Dropping it tells them that the outcome is
/// unknown.
#[derive(Default)]
pub(super) struct Answers(Vec<oneshot::Sender<Answer>>);

impl Answers {
    pub(super) fn with_room(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    pub(super) fn push(&mut self, answer: oneshot::Sender<Answer>) {
        self.0.push(answer);
    }

    pub(super) fn append(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    /// Tells each publisher that its update was not stored.
    pub(super) fn refuse(self, error: &AppendError) {
        for answer in self.0 {
            // The publisher may have hung up, which changes nothing.
            _ = answer.send(Err(error.clone()));
        }
    }

    /// Tells each publisher where its update is in the log.
    pub(super) fn acknowledge(&mut self, frames: &[Arc<Frame>]) {
        for (answer, frame) in self.0.drain(..).zip(frames) {
            // The publisher may have hung up, which changes nothing.
            _ = answer.send(Ok(Appended {
                position: frame.position,
                event_id: frame.event_id.to_string(),
            }));
        }
    }
}

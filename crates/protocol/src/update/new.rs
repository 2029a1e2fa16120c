//! Updates that an application makes itself.

use std::sync::Arc;
use std::time::Duration;

use crate::{TraceContext, Update};

impl Update {
    /// A public update of one topic. It is checked when it is published.
    ///
    /// ```
    /// use talaria_protocol::Update;
    ///
    /// let update = Update::new("https://app.example/books/1", "Iliad")
    ///     .with_topic("https://app.example/authors/homer")
    ///     .private();
    /// assert!(update.private && update.topics.len() == 2);
    /// ```
    pub fn new(topic: impl Into<String>, data: impl Into<String>) -> Self {
        Self {
            topics: vec![topic.into()],
            data: data.into(),
            ..Self::default()
        }
    }

    /// The same update with an alternate topic.
    #[must_use]
    pub fn with_topic(mut self, topic: impl Into<String>) -> Self {
        self.topics.push(topic.into());
        self
    }

    /// The same update, which only subscribers with a grant may read.
    #[must_use]
    pub fn private(mut self) -> Self {
        self.private = true;
        self
    }

    /// The same update with an id that its publisher chose.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The same update with an SSE `event`, for which subscribers listen.
    #[must_use]
    pub fn with_event_type(mut self, event_type: impl Into<String>) -> Self {
        self.event_type = Some(event_type.into());
        self
    }

    /// The same update as part of a trace, which is stored with it.
    #[must_use]
    pub fn with_trace(mut self, trace: TraceContext) -> Self {
        self.trace = Some(Arc::new(trace));
        self
    }

    /// The same update, which tells its subscribers how long to wait before they reconnect.
    #[must_use]
    pub fn with_retry(mut self, retry: Duration) -> Self {
        self.retry = Some(retry.as_millis().try_into().unwrap_or(u64::MAX));
        self
    }
}

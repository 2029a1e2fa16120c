//! Subscribing from the application's own code.

use std::borrow::Cow;
use std::sync::Arc;

use talaria_protocol::form::Pair;
use talaria_protocol::{Matcher, MatcherType, ProtocolError, Rule, SubscribeRequest, Subscription};

use crate::embedded::updates::Updates;
use crate::engine::cursor::{Cursor, Deadlines};
use crate::engine::driver::Driver;
use crate::engine::interests::Selection;
use crate::http::shared::Shared;
use crate::http::subscribe::resolve;
use crate::hub::Hub;

/// What the application subscribes to: topics, the private updates that it wants to read, and where to
/// begin.
///
/// ```
/// use talaria_hub::SubscribeOptions;
///
/// let books = SubscribeOptions::new()
///     .url_pattern("https://app.example/books/:id")
///     .grant_all();
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct SubscribeOptions {
    selected: Vec<Subscription>,
    granted: Vec<Subscription>,
    after: Option<String>,
}

impl SubscribeOptions {
    /// Nothing yet; name at least one topic or pattern.
    pub fn new() -> Self {
        Self::default()
    }

    /// Selects a topic, or every topic with `*`.
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.selected.push(asked(MatcherType::Exact, topic));
        self
    }

    /// Selects the topics that a [URL Pattern](https://urlpattern.spec.whatwg.org/) matches.
    pub fn url_pattern(mut self, pattern: impl Into<String>) -> Self {
        self.selected.push(asked(MatcherType::UrlPattern, pattern));
        self
    }

    /// Grants the private updates of a topic. Without a grant, a private update is not received.
    pub fn grant_topic(mut self, topic: impl Into<String>) -> Self {
        self.granted.push(asked(MatcherType::Exact, topic));
        self
    }

    /// Grants the private updates of the topics that a URL Pattern matches.
    pub fn grant_url_pattern(mut self, pattern: impl Into<String>) -> Self {
        self.granted.push(asked(MatcherType::UrlPattern, pattern));
        self
    }

    /// Grants all private updates of what is selected.
    pub fn grant_all(self) -> Self {
        self.grant_topic("*")
    }

    /// Begins after the update with this event id, as far as the log still holds what follows;
    /// `earliest` begins with the oldest. Without this, only what is published from now on is received.
    pub fn resume_after(mut self, event_id: impl Into<String>) -> Self {
        self.after = Some(event_id.into());
        self
    }

    /// Parses what is selected by the checks of a subscription request.
    fn selection(&self, hub: &Shared) -> Result<Selection, ProtocolError> {
        let limits = &hub.options.limits;
        let pair = |asked: &'_ Subscription| -> Pair<'static> {
            let name = match asked.matcher_type {
                MatcherType::UrlPattern => "match_urlpattern",
                _ => "match",
            };
            (name.into(), Cow::Owned(asked.text.clone()))
        };
        let pairs: Vec<_> = self.selected.iter().map(pair).collect();
        let request = SubscribeRequest::from_pairs(&pairs, Rule::Modern, &hub.base, limits)?;
        let granted = self.granted.iter().map(|asked| {
            Matcher::parse(asked.matcher_type, &asked.text, "grant", &hub.base, limits)
        });
        Ok(Selection {
            matchers: request.matchers,
            grants: granted.collect::<Result<_, _>>()?,
        })
    }
}

fn asked(matcher_type: MatcherType, text: impl Into<String>) -> Subscription {
    Subscription {
        matcher_type,
        text: text.into(),
    }
}

/// Why the application cannot subscribe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// No topic is selected, or a topic or pattern is malformed.
    #[error(transparent)]
    Invalid(#[from] ProtocolError),
    /// The hub is draining, so every stream would end at once.
    #[error("the hub is stopping")]
    Draining,
    /// The log cannot be read now, so it is unknown where to begin. Trying again may succeed.
    #[error("the log cannot be read now")]
    Unavailable,
}

impl Hub {
    /// Subscribes the application to updates, and returns them as a stream.
    ///
    /// The application is trusted with what it subscribes to: it needs no token. But private updates are
    /// received only if the subscription [grants](SubscribeOptions::grant_all) them, so that code which
    /// forwards a stream does not give away by accident what is private.
    ///
    /// The stream has no queue. Like the stream of a client, it is a position in the log, and
    /// reads on when it is polled; at most 32 KiB of updates (or one that is larger) are held for it.
    /// If it is polled so rarely that the log no longer holds what comes next, it
    /// [ends](crate::Updates::end) with [`End::Passed`](crate::End::Passed). It also ends when the hub
    /// [drains](Hub::drain), and, if it has URL Patterns, when the hub [gets another
    /// URL](Hub::reconfigure). It is not counted as a client's stream, and not announced as a subscription.
    ///
    /// ```
    /// use talaria_hub::access::Issuers;
    /// use talaria_hub::protocol::Update;
    /// use talaria_hub::{Hub, SubscribeOptions};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let hub = Hub::builder(Issuers::default()).build()?;
    /// let books = SubscribeOptions::new().url_pattern("https://app.example/books/:id");
    /// let mut updates = hub.subscribe(books.clone()).await?;
    /// let first = hub.publish(Update::new("https://app.example/books/1", "Iliad")).await?;
    /// hub.publish(Update::new("https://app.example/books/2", "Odyssey")).await?;
    ///
    /// let update = updates.next().await.ok_or("the stream has ended")?;
    /// assert_eq!((update.data.as_str(), update.id.as_ref()), ("Iliad", Some(&first)));
    ///
    /// // Later, or in another process with the same log:
    /// let mut updates = hub.subscribe(books.resume_after(first)).await?;
    /// let update = updates.next().await.ok_or("the stream has ended")?;
    /// assert_eq!(update.data, "Odyssey");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The returned future and the stream must be polled within a tokio runtime whose timer is enabled
    /// (`enable_time` or `enable_all` of its builder).
    ///
    /// # Errors
    /// See [`SubscribeError`].
    pub async fn subscribe(&self, options: SubscribeOptions) -> Result<Updates, SubscribeError> {
        let hub = self.shared();
        let selection = options.selection(hub)?;
        // Entered first: a drain that begins after the check waits for this stream.
        let under_way = hub.drain.enter();
        if hub.drain.has_begun() {
            return Err(SubscribeError::Draining);
        }
        // Joined first, resolved second: what is committed in between is in the lane.
        // Where clients take turns at reading the log, each stream is one, so that no stream of the
        // application waits for another. The numbers of clients are as random.
        let membership = hub.router.join(selection, rand::random());
        let Ok(resolved) = resolve(hub, options.after.as_deref()).await else {
            return Err(SubscribeError::Unavailable);
        };
        let share = hub.permits.for_application(&hub.base, &membership);
        let cursor = Cursor::new(
            membership,
            under_way,
            resolved.position,
            Deadlines::default(),
        );
        // A drain that begins before the first poll does not take what was published until then.
        let cursor = cursor.under(share).opened(hub.clock.now());
        let mut driver = Driver::new(Arc::clone(&hub.transport), Arc::clone(&hub.clock));
        driver.begin(cursor);
        Ok(Updates::new(driver, resolved.field))
    }
}

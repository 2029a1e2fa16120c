//! Publishing from the application's own code.

use talaria_protocol::form::Pair;
use talaria_protocol::{Generation, ProtocolError, Update};
use talaria_transport::AppendError;

use crate::http::shared::Shared;
use crate::hub::Hub;

/// Who publishes, where repeated publishes are told apart. Issuers have names, so no client is this one.
const PUBLISHER: [&str; 2] = ["", ""];

/// Why an update that the application published has no acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The update is malformed, too large, or on a topic that is reserved for the hub.
    #[error(transparent)]
    Invalid(#[from] ProtocolError),
    /// The update was not stored, and never will be. Publishing it again may succeed.
    #[error("the update was not stored: {0}")]
    Refused(&'static str),
    /// The update may have been stored or not: the log failed while it was being written.
    #[error("whether the update was stored is unknown")]
    Unknown,
}

impl From<AppendError> for PublishError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Refused(reason) => Self::Refused(reason),
            AppendError::Unknown => Self::Unknown,
        }
    }
}

impl Hub {
    /// Publishes an update and returns its event id. The application needs no token: it may publish on
    /// every topic that a client with a grant for everything may publish on.
    ///
    /// All else is as for such a client: the same checks, [limits](crate::HubOptions::limits) and
    /// largest [size](crate::HubOptions::max_request_body_size), and the same namespace that is
    /// reserved for the hub's own events. With a [`repeat_window`](crate::HubOptions::repeat_window) the
    /// application is one publisher.
    ///
    /// The returned future must be polled within a tokio runtime. The update is stored even if the
    /// future is dropped after it was first polled.
    ///
    /// ```
    /// use talaria_hub::Hub;
    /// use talaria_hub::access::Issuers;
    /// use talaria_hub::protocol::Update;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let hub = Hub::builder(Issuers::default()).build()?;
    /// let update = Update::new("https://app.example/books/1", r#"{"title": "Iliad"}"#);
    /// let id = hub.publish(update.private()).await?;
    /// assert!(!id.is_empty());
    ///
    /// let reserved = Update::new("/.well-known/mercure/subscriptions", "");
    /// assert!(hub.publish(reserved).await.is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// See [`PublishError`].
    pub async fn publish(&self, update: Update) -> Result<String, PublishError> {
        let hub = self.shared();
        let _under_way = hub.drain.enter();
        let update = checked(hub, &update)?;
        let ids = hub.append(Some(PUBLISHER), vec![update]).await?;
        Ok(ids.concat())
    }
}

/// Reads the update as if a client had sent it, so that nothing can reach the log this way that a client
/// could not have published.
fn checked(hub: &Shared, update: &Update) -> Result<Update, ProtocolError> {
    if update.topics.is_empty() {
        let problem = "the update has none; give it one, as `Update::new` does";
        return Err(ProtocolError::malformed("topics", problem));
    }
    let options = &hub.options;
    let mut pairs: Vec<Pair<'_>> = vec![("data".into(), update.data.as_str().into())];
    let topics = update.topics.iter();
    pairs.extend(topics.map(|topic| ("topic".into(), topic.as_str().into())));
    let texts = [("id", &update.id), ("type", &update.event_type)];
    for (name, text) in texts {
        pairs.extend(
            text.as_ref()
                .map(|text| (name.into(), text.as_str().into())),
        );
    }
    pairs.extend(
        update
            .retry
            .map(|retry| ("retry".into(), retry.to_string().into())),
    );
    if update.private {
        pairs.push(("private".into(), "on".into()));
    }
    let bytes: usize = pairs.iter().map(|(_, value)| value.len()).sum();
    let most = options.max_request_body_size;
    if bytes > most {
        let problem = format!("{bytes} bytes are more than the {most} of one publish; shorten it");
        return Err(ProtocolError::too_large("update", problem));
    }
    let checks = options.rule.checks(Generation::V1);
    Update::from_form(&pairs, checks, &hub.base, &options.limits)
}

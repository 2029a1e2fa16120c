//! The state that the requests of a hub share: its options, its engine, and its memory of clients.

use std::sync::Arc;

use talaria_protocol::{Base, Update};
use talaria_transport::{AppendError, Transport};

use crate::access::Verifier;
use crate::clock::Clock;
use crate::engine::drain::Drain;
use crate::engine::router::Router;
use crate::http::cors::Cors;
use crate::http::repeats::Repeats;
use crate::limits::Budgets;
use crate::options::HubOptions;
use crate::presence::Reconciler;

/// The state that the requests of a hub share.
pub(crate) struct Shared {
    pub(crate) options: HubOptions,
    pub(crate) base: Arc<Base>,
    pub(crate) verifier: Verifier,
    pub(crate) cors: Option<Cors>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) router: Arc<Router>,
    /// Every request under way and every open stream has entered it.
    pub(crate) drain: Arc<Drain>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Publishes subscription events, if the options ask for them.
    pub(crate) presence: Option<Reconciler>,
    /// Remembers publishes, if the options have a window for repeats.
    pub(crate) repeats: Option<Repeats>,
    /// What clients may hold, and what they hold.
    pub(crate) budgets: Budgets,
    /// The names of the cookie, on connections without and with TLS.
    pub(crate) cookie_names: [Vec<String>; 2],
}

impl Shared {
    /// Appends the updates with one commit: all of them, or none. Returns their ids. `publisher` is whose
    /// repeated publishes are recognised, by issuer and subject.
    pub(crate) async fn append(
        &self,
        publisher: Option<[&str; 2]>,
        updates: Vec<Update>,
    ) -> Result<Vec<String>, AppendError> {
        match (&self.repeats, publisher) {
            (Some(repeats), Some(publisher)) => {
                let now = self.clock.now();
                repeats
                    .append(publisher, updates, &self.transport, now)
                    .await
            }
            _ => {
                let appended = self.transport.append_all(updates).await?;
                let ids = appended.into_iter().map(|appended| appended.event_id);
                Ok(ids.collect())
            }
        }
    }
}

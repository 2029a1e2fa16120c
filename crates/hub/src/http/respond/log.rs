//! The line of the log for a refusal.

use http::request::Parts;

use super::answer::field;
use super::refused::Refused;
use crate::http::connection::{Connection, Sender};

impl Refused {
    /// Logs one line for the operator: which client was refused, why, and what to do.
    pub(crate) fn log(&self, parts: &Parts) {
        let Sender { peer, client } = Sender::of(parts.extensions.get());
        let method = field(parts.method.as_str());
        let path = field(parts.uri.path());
        match self {
            Self::Presentation(_)
            | Self::Origin(_)
            | Self::NoToken
            | Self::Token(_)
            | Self::Scope { .. } => self.log_token(parts),
            Self::Misdirected { received, accepted } => {
                tracing::info!(
                    name: "request_misdirected",
                    reason = "misdirected",
                    received = field(received),
                    accepted,
                    peer,
                    client,
                    "request refused: its origin is not in public_urls; list it as this hub receives it (behind a proxy that takes TLS off, with http://)"
                );
            }
            Self::Exceeded(exceeded) => {
                log_limit(
                    parts,
                    self.reason(),
                    &exceeded.directive(),
                    &exceeded.to_string(),
                );
            }
            Self::BodyTooLarge { bound, .. } => {
                let text = self.body(self.status());
                let limit = bound.directive;
                log_limit(parts, self.reason(), limit, text.trim_end());
            }
            Self::TooManyTopics { .. } => {
                let text = self.body(self.status());
                log_limit(parts, self.reason(), "max_publish_topics", text.trim_end());
            }
            Self::NotStored(why) => {
                tracing::error!(
                    name: "publish_not_stored",
                    reason = "not_stored",
                    peer,
                    client,
                    "publish refused: {why}"
                );
            }
            Self::Unknown => tracing::error!(
                name: "publish_outcome_unknown",
                reason = "unknown_outcome",
                peer,
                client,
                "whether an update was stored is unknown; its publisher is not answered"
            ),
            other => {
                let status = other.status();
                let text = other.body(status);
                let status = status.as_u16();
                let reason = other.reason();
                tracing::debug!(reason, status, method, path, peer, client, "{text}");
            }
        }
    }

    /// The line for a request whose token is missing, refused or does not grant what is asked.
    fn log_token(&self, parts: &Parts) {
        let Sender { peer, client } = Sender::of(parts.extensions.get());
        let method = field(parts.method.as_str());
        let path = field(parts.uri.path());
        match self {
            Self::Presentation(error) => {
                let reason = error.code();
                tracing::info!(name: "token_refused", reason, method, path, peer, client, "token refused: {error}");
            }
            Self::Origin(error) => {
                let reason = error.code();
                tracing::info!(
                    name: "publish_by_cookie_refused",
                    reason,
                    method,
                    path,
                    peer,
                    client,
                    "publish by cookie refused: {error}"
                );
            }
            Self::NoToken => tracing::info!(
                name: "token_missing",
                reason = "no_token",
                method,
                path,
                peer,
                client,
                "request refused: it carries no token; send one in the Authorization header or the cookie, or allow subscribers without one by `anonymous`"
            ),
            Self::Token(refusal) => {
                let reason = refusal.code();
                tracing::info!(
                    name: "token_refused",
                    reason,
                    method,
                    path,
                    peer,
                    client,
                    "token refused: {refusal}"
                );
            }
            Self::Scope { action, topic } => tracing::info!(
                name: "scope_insufficient",
                reason = "insufficient_scope",
                topic = field(topic),
                method,
                path,
                peer,
                client,
                "request refused: the token does not grant the action {} on this topic",
                action.name()
            ),
            _ => {}
        }
    }
}

/// The line for a request beyond a limit, by the directive that sets it.
fn log_limit(parts: &Parts, reason: &str, limit: &str, text: &str) {
    let connection = parts.extensions.get::<Connection>();
    let Sender { peer, .. } = Sender::of(connection);
    // The address that is charged.
    let client = connection.and_then(Connection::client_address);
    tracing::warn!(
        name: "limit_exceeded",
        reason,
        limit,
        method = field(parts.method.as_str()),
        path = field(parts.uri.path()),
        peer,
        client = client.map(tracing::field::display),
        "request refused: {text}"
    );
}

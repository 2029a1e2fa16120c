//! The sentence that the client reads in a refusal.

use http::StatusCode;
use talaria_protocol::error::Shown;
use talaria_protocol::{Action, HUB_PATH};

use super::answer::FORM;
use super::refused::Refused;
use crate::http::body::bound::BodyBound;

/// The answer of the existing hub to an unknown path below its own (B-312).
const BODY_NOT_FOUND: &str = "404 page not found";

impl Refused {
    /// The sentence for the client. It does not say why a token was refused, which only the log does
    /// (specification, "Error Responses").
    pub(super) fn body(&self, status: StatusCode) -> String {
        match self {
            Self::Host(error) => error.to_string(),
            Self::Misdirected { received, .. } => {
                format!("this hub is not at {}; use its public URL", Shown(received))
            }
            Self::NotFound(path) => format!(
                "{BODY_NOT_FOUND}: {} is not a path of this hub; subscribe and publish at {HUB_PATH}, and find active subscriptions, where the directive `subscriptions` is set, at {HUB_PATH}/subscriptions",
                Shown(path)
            ),
            Self::Content(error) => error.to_string(),
            Self::Presentation(error) => error.to_string(),
            Self::Origin(error) => error.to_string(),
            Self::Method(received, allowed) => format!(
                "this resource does not support the method {}; use {allowed}",
                Shown(received.as_str())
            ),
            Self::PublishMediaType(received) | Self::QueryMediaType { received, .. } => {
                match received {
                    Some(received) => format!(
                        "Content-Type: {} is not what this resource reads; send the body as {FORM}",
                        Shown(received)
                    ),
                    None => format!("Content-Type: missing; send the body as {FORM} and say so"),
                }
            }
            Self::ContentCoding(received) => format!(
                "Content-Encoding: {} is not decoded here; send the body as it is",
                Shown(received)
            ),
            Self::NotAcceptable(received) => format!(
                "Accept: {} excludes the event stream that this resource is; accept text/event-stream",
                Shown(received)
            ),
            Self::BodyTimeout => "the body did not arrive in time; send it at once".to_owned(),
            Self::BodyBroken => {
                "the body broke off; send as many bytes as Content-Length says".to_owned()
            }
            Self::BodyTooLarge { bound, declared } => too_large(*bound, *declared),
            Self::TooManyTopics { count, most } => format!(
                "the update has {count} topics, more than the {most} that publishers of this issuer may give it; publish several updates, or raise max_publish_topics"
            ),
            Self::TooManyUpdates { count, most } => format!(
                "{count} updates are more than the {most} of one request; send several requests"
            ),
            Self::Exceeded(exceeded) => exceeded.to_string(),
            Self::NotStored(reason) => format!("the update was not stored: {reason}"),
            Self::Draining | Self::Unavailable => format!("{}; try again", self.for_now()),
            Self::NoToken => "Unauthorized: the request carries no token; send one in the Authorization header (\"Bearer <token>\") or in the cookie".to_owned(),
            Self::Scope { action, topic } => {
                let field = match action {
                    Action::Publish => "topic",
                    Action::Subscribe => "path",
                };
                format!(
                    "{field}: the token does not grant the action {} on {}; present one that does",
                    action.name(),
                    Shown(topic)
                )
            }
            Self::Token(_) | Self::Unknown => {
                status.canonical_reason().unwrap_or_default().to_owned()
            }
        }
    }
}

fn too_large(BodyBound { bytes, directive }: BodyBound, declared: Option<u64>) -> String {
    let size = declared.map_or_else(
        || "is larger than".to_owned(),
        |bytes| format!("of {bytes} bytes is larger than"),
    );
    format!("the body {size} the {bytes} bytes allowed; send less, or raise {directive}")
}

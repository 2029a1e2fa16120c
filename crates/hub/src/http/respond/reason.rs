//! The stable name of each refusal, by which logs and metrics tell them apart.

use http::StatusCode;
use talaria_protocol::Blame;

use super::refused::Refused;
use crate::access::SourceOriginError;
use crate::clock::UnixTime;
use crate::statistics::Statistics;

impl Refused {
    /// The stable name of the reason.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Host(error) => error.code(),
            Self::Misdirected { .. } => "misdirected",
            Self::NotFound(_) => "not_found",
            Self::Method(..) => "method_not_allowed",
            Self::Presentation(error) => error.code(),
            Self::Origin(error) => error.code(),
            Self::NoToken => "no_token",
            Self::Token(refusal) => refusal.code(),
            Self::Scope { .. } => "insufficient_scope",
            Self::Content(error) => match error.blame {
                Blame::Malformed => "malformed",
                Blame::TooLarge => "too_large",
                Blame::Reserved => "reserved_topic",
                Blame::Token => "details_invalid",
            },
            Self::PublishMediaType(_) | Self::QueryMediaType { .. } => "media_type",
            Self::ContentCoding(_) => "content_coding",
            Self::NotAcceptable(_) => "not_acceptable",
            Self::BodyTimeout => "body_timeout",
            Self::BodyBroken => "body_broken",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::TooManyTopics { .. } => "too_many_topics",
            Self::TooManyUpdates { .. } => "too_many_updates",
            Self::Exceeded(_) => "limit_exceeded",
            Self::NotStored(_) => "not_stored",
            Self::Draining => "draining",
            Self::Unavailable => "unavailable",
            Self::Unknown => "unknown_outcome",
        }
    }

    /// The sentence for an operator, which is shown apart from the request. Other than that of the log it repeats no
    /// path, no topic and no field of a request.
    fn told(&self, status: StatusCode) -> String {
        match self {
            Self::NotFound(_) => "the path is not one of this hub's",
            Self::Misdirected { .. } => {
                "the origin of the request is not in public_urls; list it as this hub receives it"
            }
            Self::Origin(SourceOriginError::BadReferer(_)) => {
                "the Referer of a publish with a cookie is not an absolute URL"
            }
            Self::Content(error) => match error.blame {
                Blame::Malformed => "a field of the publish or the subscription is malformed",
                Blame::TooLarge => "a field of the publish is too large, or there are too many",
                Blame::Reserved => "a topic of the publish is reserved for the hub",
                Blame::Token => "the authorization details of the token are malformed",
            },
            Self::Scope { action, .. } => {
                return format!(
                    "the token does not grant the action {} on a topic of the request",
                    action.name()
                );
            }
            Self::Token(refusal) => return refusal.to_string(),
            other => return other.body(status).trim_end().to_owned(),
        }
        .to_owned()
    }

    /// Counts the refusal, which is answered with this status.
    pub(crate) fn count(&self, statistics: &Statistics, status: StatusCode, at: UnixTime) {
        let reason = self.reason();
        statistics.refused(reason);
        let recent = statistics.recent_refusals();
        recent.note(at, status.as_u16(), reason, || self.told(status));
        match self {
            Self::Exceeded(exceeded) => statistics.exceeded(exceeded.directive()),
            Self::BodyTooLarge { bound, .. } => statistics.exceeded(bound.directive.to_owned()),
            Self::TooManyTopics { .. } => statistics.exceeded("max_publish_topics".to_owned()),
            _ => {}
        }
    }
}

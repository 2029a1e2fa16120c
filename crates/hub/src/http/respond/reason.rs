//! The stable name of each refusal, by which logs and metrics tell them apart.

use talaria_protocol::Blame;

use super::refused::Refused;
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

    /// Counts the refusal.
    pub(crate) fn count(&self, statistics: &Statistics) {
        statistics.refused(self.reason());
        match self {
            Self::Exceeded(exceeded) => statistics.exceeded(exceeded.directive()),
            Self::BodyTooLarge { bound, .. } => statistics.exceeded(bound.directive.to_owned()),
            Self::TooManyTopics { .. } => statistics.exceeded("max_publish_topics".to_owned()),
            _ => {}
        }
    }
}

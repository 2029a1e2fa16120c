//! Which generations of the protocol a hub accepts, and in which it answers (design §6).

use http::Method;
use http::request::Parts;
use talaria_protocol::{Generation, HUB_PATH};

use crate::access::{self, Presented};

/// One of the three rules of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rule {
    /// Mercure 1.0 alone.
    #[default]
    Modern,
    /// Both generations; answers are those of Mercure 1.0 (B-601 to B-621).
    Compatible,
    /// Both generations; who speaks 0.x is answered in 0.x (B-630 to B-657).
    Classic,
}

impl Rule {
    /// The name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Modern => "modern",
            Self::Compatible => "compatible",
            Self::Classic => "classic",
        }
    }

    /// The oldest generation that is accepted.
    pub fn oldest(self) -> Generation {
        match self {
            Self::Modern => Generation::V1,
            Self::Compatible | Self::Classic => Generation::V0,
        }
    }

    /// The generation in which a request is answered: under the classic rule 0.x for a
    /// subscription with `topic` parameters and for any request with a 0.x token.
    pub(crate) fn answers(self, parts: &Parts, presented: Option<&Presented>) -> Generation {
        if self != Self::Classic {
            return Generation::V1;
        }
        let subscribes = parts.uri.path() == HUB_PATH && parts.method != Method::POST;
        let has_older_token = || {
            let token = presented.and_then(|presented| access::generation_of(&presented.token));
            token == Some(Generation::V0)
        };
        if (subscribes && has_topic(parts)) || has_older_token() {
            Generation::V0
        } else {
            Generation::V1
        }
    }
}

fn has_topic(parts: &Parts) -> bool {
    let pairs = parts.uri.query().unwrap_or_default().split('&');
    pairs
        .map(|pair| pair.split('=').next().unwrap_or_default())
        .any(|name| name == "topic")
}

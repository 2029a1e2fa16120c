//! The rule by which a hub speaks one or both generations of the protocol.

use http::Method;
use http::request::Parts;
use percent_encoding::percent_decode_str;
pub use talaria_protocol::Rule;
use talaria_protocol::{Generation, HUB_PATH};

use crate::access::{self, Presented};

/// The generation in which a request is answered. Under the classic rule it is 0.x for a subscription with
/// `topic` parameters and for any request with a 0.x token.
pub(crate) fn answers(rule: Rule, parts: &Parts, presented: Option<&Presented>) -> Generation {
    if rule != Rule::Classic {
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

fn has_topic(parts: &Parts) -> bool {
    let pairs = parts.uri.query().unwrap_or_default().split('&');
    pairs
        .map(|pair| pair.split('=').next().unwrap_or_default())
        .any(|name| percent_decode_str(name).eq(*b"topic"))
}

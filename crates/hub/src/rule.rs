//! In which generation of the protocol a request is answered, and the log line that names the
//! generation of a token that grants nothing (design §6).

use http::Method;
use http::request::Parts;
use percent_encoding::percent_decode_str;
pub use talaria_protocol::Rule;
use talaria_protocol::{Generation, HUB_PATH};

use crate::access::{self, Presented};
use crate::respond::field;
use crate::{Connection, Sender};

/// The generation in which a request is answered: under the classic rule 0.x for a subscription
/// with `topic` parameters and for any request with a 0.x token.
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

/// One line for whoever runs the hub: why a token that is accepted grants nothing.
pub(crate) fn log_ignored_claim(parts: &Parts) {
    let connection = parts.extensions.get::<Connection>();
    let Sender { peer, client } = Sender::of(connection);
    tracing::info!(
        reason = "older_token",
        method = field(parts.method.as_str()),
        path = field(parts.uri.path()),
        peer,
        client,
        "token accepted, but it grants nothing: its claim \"mercure\" is of Mercure 0.x, and this hub reads the grants of Mercure 1.0 only; write `protocol_version_compatibility 8` to accept both, or have the application issue 1.0 tokens"
    );
}

fn has_topic(parts: &Parts) -> bool {
    let pairs = parts.uri.query().unwrap_or_default().split('&');
    pairs
        .map(|pair| pair.split('=').next().unwrap_or_default())
        .any(|name| percent_decode_str(name).eq(*b"topic"))
}

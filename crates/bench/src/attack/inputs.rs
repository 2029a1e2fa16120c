//! What attackers send: matchers, topics and updates that are expensive for the hub and cheap for the attacker.

use url::form_urlencoded::Serializer;

/// The beginning of the honest clients' topics, so that a hub has to compare more than that.
const HONEST: &str = "https://bench.example/";
/// A topic that is expensive to match.
pub(crate) const LONG: &str = "abcdefghij/klmnopqrst/uvwxyzabcd/efghijklmn/opqrstuvwx/yzabcdefgh/ijklmnopqr/stuvwxyzab/\
    cdefghijkl/mnopqrstuv/wxyzabcdef/ghijklmnop/qrstuvwxyz/abcdefghij/klmnopqrst/uvwxyzabcd/efghijklmn/opqrst";
/// A query that matches every update of the honest clients.
pub(crate) const EVERYTHING: &str = "match_urlpattern=https%3A%2F%2Fbench.example%2F*";
/// The topic of batches.
const SHARED: &str = "https://attack.example/s/t";

/// The beginning of a TLS handshake (RFC 8446, sections 4.1.2 and 5.1): the heads of a record and of a `ClientHello`,
/// then its version, and as much again that a client would continue with.
pub(crate) const CLIENT_HELLO: &[u8] = &[
    22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

const PATTERN: &str = "match_urlpattern";

/// 200 patterns with 24 optional wildcards each that match nothing.
pub(crate) fn optional_groups(stream: usize) -> String {
    let groups = "{*}?".repeat(24);
    form(
        PATTERN,
        (0..200).map(|n| format!("{HONEST}{groups}Z{stream}-{n}")),
    )
}

/// 64 patterns whose groups have 900 states.
pub(crate) fn custom_groups() -> String {
    form(
        PATTERN,
        (0..64).map(|n| format!(r"{HONEST}([a-z0-9\/]*[a-d\/][a-z0-9\/]{{900}})Z{n}")),
    )
}

/// 64 patterns whose bounded repetitions make large programs.
pub(crate) fn bounded_groups(stream: usize) -> String {
    form(
        PATTERN,
        (0..64).map(|n| format!(r"{HONEST}((?:\w{{1,40}}){{1,20}})/{stream}-{n}")),
    )
}

/// 256 patterns of one prefix, different for each visitor.
pub(crate) fn ordinary(visitor: usize) -> String {
    form(
        PATTERN,
        (0..256).map(|n| format!("https://attack.example/:room/{visitor}-{n}")),
    )
}

/// 256 patterns that all match [`SHARED`].
pub(crate) fn sharing() -> String {
    form(
        PATTERN,
        (0..256).map(|n| format!("https://attack.example/:a{n}/t")),
    )
}

/// 256 short topics.
pub(crate) fn topics() -> String {
    form("match", (0..256).map(|n| n.to_string()))
}

/// The form of an update with 1,000 long topics.
pub(crate) fn many_topics() -> String {
    form("topic", (0..1000).map(|n| format!("{HONEST}{LONG}/{n}"))) + "&data=x"
}

/// The lines of 10,000 updates.
pub(crate) fn batch() -> String {
    format!("{{\"topic\":\"{SHARED}\",\"data\":\"x\"}}\n").repeat(10_000)
}

/// A form of a parameter's values.
pub(crate) fn form(name: &str, values: impl Iterator<Item = String>) -> String {
    let mut form = Serializer::new(String::new());
    for value in values {
        form.append_pair(name, &value);
    }
    form.finish()
}

//! The fuzz targets: each takes any bytes and panics if something does not hold.
//!
//! `scripts/fuzz` looks for new inputs with libFuzzer; the tests of this crate replay those that
//! were worth keeping, in `corpus/<target>`.

#![forbid(unsafe_code)]

mod base;
mod language;
mod matching;

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use talaria_boltdb::Source;
use talaria_protocol::event::{Decoder, Item, decode_update, encode};
use talaria_protocol::matcher::UriTemplate;
use talaria_protocol::{
    Action, AuthorizationDetails, Generation, Limits, Matcher, MatcherType, Rule, SubscribeRequest,
    Topic, Update, form,
};
use talaria_transport::history::decode_sealed;

use self::base::BASE;
pub use self::language::language;
pub use self::matching::matching;

/// A target, which takes the bytes.
pub type Target = fn(&[u8]);

/// All targets by name.
pub const TARGETS: [(&str, Target); 11] = [
    ("publish_form", publish_form),
    ("matcher_parameters", matcher_parameters),
    ("matching", matching),
    ("url_pattern", url_pattern),
    ("uri_template", uri_template),
    ("token_details", token_details),
    ("event_stream", event_stream),
    ("caddyfile", caddyfile),
    ("language", language),
    ("boltdb", boltdb),
    ("log_record", log_record),
];

/// A publish: an accepted update is encoded, and decodes to the same update.
pub fn publish_form(bytes: &[u8]) {
    let Ok(pairs) = form::parse(bytes, &Limits::default()) else {
        return;
    };
    for checks in [Generation::V0, Generation::V1] {
        if let Ok(update) = Update::from_form(&pairs, checks, &BASE, &Limits::default()) {
            published(&update);
        }
    }
}

fn published(update: &Update) {
    let id = update.id.clone().unwrap_or_else(|| "id".to_owned());
    let encoded = encode(update, &id);
    let (decoded, decoded_id) = decode_update(&encoded).unwrap_or_default();
    assert_eq!((decoded_id, &decoded.event_type), (id, &update.event_type));
    assert_eq!(
        decoded.data.replace("\r\n", "\n").replace('\r', "\n"),
        update.data.replace("\r\n", "\n").replace('\r', "\n")
    );
}

/// A subscription's parameters, of both generations.
pub fn matcher_parameters(bytes: &[u8]) {
    let Ok(pairs) = form::parse(bytes, &Limits::default()) else {
        return;
    };
    for rule in [Rule::Classic, Rule::Compatible, Rule::Modern] {
        let asked = SubscribeRequest::from_pairs(&pairs, rule, &BASE, &Limits::default());
        if let Ok(asked) = asked {
            asked
                .matchers
                .matches(&Topic::new("https://example.com/1", &BASE));
        }
    }
}

/// Splits an input into two texts: the first line, and the rest.
fn two(bytes: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(bytes).ok()?.split_once('\n')
}

/// A URL Pattern, and a topic that it may match.
pub fn url_pattern(bytes: &[u8]) {
    let Some((text, topic)) = two(bytes) else {
        return;
    };
    let parse = || {
        Matcher::parse(
            MatcherType::UrlPattern,
            text,
            "match",
            &BASE,
            &Limits::default(),
        )
    };
    if let (Ok(first), Ok(second)) = (parse(), parse()) {
        assert_eq!(first, second);
        let topic = Topic::new(topic, &BASE);
        assert_eq!(first.matches(&topic), second.matches(&topic));
    }
}

/// A URI Template matches itself, and what it matches begins as it says.
pub fn uri_template(bytes: &[u8]) {
    let Some((text, topic)) = two(bytes) else {
        return;
    };
    if let Some(template) = UriTemplate::parse(text) {
        assert!(template.matches(text));
        if template.matches(topic) {
            assert!(topic == text || topic.starts_with(template.literal_prefix()));
        }
    }
}

/// The claims of a token, of both generations: whatever is in them, a token that grants nothing to
/// publishers does not grant a topic.
pub fn token_details(bytes: &[u8]) {
    let Ok(Value::Object(claims)) = serde_json::from_slice(bytes) else {
        return;
    };
    let limits = Limits::default();
    let topic = Topic::new("https://example.com/1", &BASE);
    let details = [
        claims
            .get("authorization_details")
            .map(|claim| AuthorizationDetails::parse(claim, &BASE, &limits)),
        Some(AuthorizationDetails::from_mercure_claim(
            &claims, &BASE, &limits,
        )),
    ];
    for details in details.into_iter().flatten().flatten() {
        let granted = details.grants(Action::Publish, &topic);
        assert!(!granted || details.topics_of(Action::Publish) > 0);
        details.payload_for("https://example.com/1", &BASE);
    }
}

/// An event stream gives the same items whole and byte by byte.
pub fn event_stream(bytes: &[u8]) {
    const MOST: usize = 1 << 12;
    let mut whole = Decoder::with_max_event_bytes(MOST);
    let at_once: Vec<_> = whole.feed(bytes).map(shown).collect();
    let mut apart = Decoder::with_max_event_bytes(MOST);
    let mut one_by_one = Vec::new();
    for byte in bytes {
        let items = apart.feed(std::slice::from_ref(byte)).map(shown);
        one_by_one.extend(items);
        if one_by_one
            .last()
            .is_some_and(|item| item.starts_with("Err"))
        {
            break;
        }
    }
    assert_eq!(at_once, one_by_one);
    assert_eq!(whole.last_event_id(), apart.last_event_id());
}

#[expect(clippy::needless_pass_by_value, reason = "it is mapped over")]
fn shown<E: std::fmt::Debug>(item: Result<Item, E>) -> String {
    format!("{item:?}")
}

/// A configuration is accepted, or refused with a text that names the place.
pub fn caddyfile(bytes: &[u8]) {
    // A fuzzer must not read the files that a configuration names.
    let Some(text) = std::str::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains("{file."))
    else {
        return;
    };
    if let Err(error) = talaria_server::validate(text) {
        assert!(!error.to_string().is_empty());
    }
}

/// A database of the existing hub: its entries are read, or an error says why not. The checksums of
/// its two meta pages are corrected first, since no fuzzer would find them.
pub fn boltdb(bytes: &[u8]) {
    const META: usize = 16;
    const SUMMED: usize = 56;
    let mut bytes = bytes.to_vec();
    let page = bytes
        .get(META + 8..META + 12)
        .and_then(|size| size.try_into().ok());
    let page = page.map_or(0, |size| u32::from_le_bytes(size) as usize);
    for start in [META, page.saturating_add(META)] {
        if let Some(meta) = bytes.get_mut(start..start.saturating_add(SUMMED + 8)) {
            let sum = meta[..SUMMED]
                .iter()
                .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
                    (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
                });
            meta[SUMMED..].copy_from_slice(&sum.to_le_bytes());
        }
    }
    let path = scratch();
    if fs::write(&path, &bytes).is_err() {
        return;
    }
    if let Ok(Some(source)) = Source::open(&path, "updates") {
        for entry in source.entries(0).take(10_000) {
            if entry.is_err() {
                break;
            }
        }
        source.summary();
    }
}

/// A file of this process and thread.
fn scratch() -> PathBuf {
    let thread = format!("{:?}", std::thread::current().id());
    let name: String = thread.chars().filter(char::is_ascii_digit).collect();
    std::env::temp_dir().join(format!("talaria-fuzzing-{}-{name}.db", std::process::id()))
}

/// A record of the history's log.
pub fn log_record(bytes: &[u8]) {
    if let Some(frame) = decode_sealed(bytes) {
        decode_update(&frame.bytes);
    }
}

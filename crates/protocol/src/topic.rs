//! Topics: which strings may be one, and how a topic is looked at by matchers.

use std::cell::OnceCell;

use percent_encoding::percent_decode_str;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use url::Url;

use crate::error::Shown;
use crate::{Base, Generation, HUB_PATH, ProtocolError};

/// Whether a character may occur in no topic, matcher, id or type: C0, DEL, C1 and general
/// category `Cf` (specification, "Terminology").
pub fn is_forbidden(c: char) -> bool {
    c.is_control() || (!c.is_ascii() && c.general_category() == GeneralCategory::Format)
}

/// Refuses a value that carries a forbidden character. By the checks of Mercure 0.x these are the
/// control characters alone: writing systems and emoji need format characters.
pub(crate) fn check_characters(
    field: &str,
    value: &str,
    checks: Generation,
) -> Result<(), ProtocolError> {
    let is_refused = match checks {
        Generation::V0 => char::is_control,
        Generation::V1 => is_forbidden,
    };
    match value.chars().find(|c| is_refused(*c)) {
        None => Ok(()),
        Some(c) => Err(ProtocolError::malformed(
            field.to_owned(),
            format!(
                "{} contains {}, a control or invisible format character; remove it",
                Shown(value),
                c.escape_unicode()
            ),
        )),
    }
}

/// Refuses a topic that a publisher may not use: forbidden characters, the namespace reserved for
/// the hub and, by the checks of Mercure 1.0, `*` (specification, "Publication").
pub(crate) fn check_published(
    topic: &str,
    checks: Generation,
    base: &Base,
) -> Result<(), ProtocolError> {
    check_characters("topic", topic, checks)?;
    if checks == Generation::V1 && topic == "*" {
        return Err(ProtocolError::malformed(
            "topic",
            "\"*\" is the wildcard of matchers and no topic; publish to a named topic",
        ));
    }
    if is_reserved(topic, checks, base) {
        return Err(ProtocolError {
            blame: crate::Blame::Reserved,
            field: "topic".into(),
            problem: format!(
                "{} lies in the namespace reserved for the hub, {HUB_PATH}; use another path",
                Shown(topic)
            )
            .into(),
        });
    }
    Ok(())
}

/// Whether a topic addresses the hub's own namespace, whatever its scheme and authority.
///
/// A hub behind a path has two: that of its own URL, and the one of its events, which no path precedes.
///
/// Mercure 0.x reserves every text that holds the hub's path (B-387), and no other. Of what resolves
/// to the hub's path, such as `#general`, only that below it could pass for an event of the hub.
fn is_reserved(topic: &str, checks: Generation, base: &Base) -> bool {
    if checks == Generation::V0 && topic.contains(HUB_PATH) {
        return true;
    }
    let Ok(url) = base.url().join(topic) else {
        return false;
    };
    // Decoding can produce dot segments only from `%2e`, which the URL parser already removed.
    let path = decode_unreserved(url.path());
    [base.url().path(), HUB_PATH].into_iter().any(|hub| {
        (checks == Generation::V1 && path == hub)
            || path
                .strip_prefix(hub)
                .is_some_and(|rest| rest.starts_with('/'))
    })
}

/// Decodes the percent-encoded unreserved characters of a path (RFC 3986, section 6.2.2.2).
fn decode_unreserved(path: &str) -> String {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        decoded.push_str(&rest[..at]);
        let octet = rest.get(at..at + 3);
        let byte = octet.and_then(|octet| percent_decode_str(octet).next());
        match (octet, byte) {
            (Some(_), Some(byte))
                if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') =>
            {
                decoded.push(char::from(byte));
                rest = &rest[at + 3..];
            }
            _ => {
                decoded.push('%');
                rest = &rest[at + 1..];
            }
        }
    }
    decoded.push_str(rest);
    decoded
}

/// A topic under evaluation: its text and, once a URL Pattern asks, its URL.
///
/// Parsing costs about a microsecond, so it happens at most once per topic and evaluation.
#[derive(Debug)]
pub struct Topic<'a> {
    text: &'a str,
    base: &'a Base,
    url: OnceCell<Option<TopicUrl>>,
}

impl<'a> Topic<'a> {
    /// A topic to be evaluated against the hub's base.
    pub fn new(text: &'a str, base: &'a Base) -> Self {
        Self {
            text,
            base,
            url: OnceCell::new(),
        }
    }

    /// The topic itself.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// A topic that was parsed before, by [`TopicUrl::parse`] with the same base.
    pub fn parsed(text: &'a str, base: &'a Base, url: Option<TopicUrl>) -> Self {
        Self {
            text,
            base,
            url: OnceCell::from(url),
        }
    }

    /// The length of its text or of its URL, whichever is longer.
    pub fn bytes(&self) -> usize {
        let url = self.url().map_or(0, |url| url.url().as_str().len());
        url.max(self.text.len())
    }

    /// The topic as a URL, or `None` if it is none, which then matches no URL Pattern.
    pub fn url(&self) -> Option<&TopicUrl> {
        self.url
            .get_or_init(|| TopicUrl::parse(self.text, self.base))
            .as_ref()
    }
}

/// The URL components of a topic, resolved against the hub's base.
#[derive(Debug, Clone)]
pub struct TopicUrl {
    url: Url,
    key: String,
}

impl TopicUrl {
    /// Resolves a topic, `None` if it cannot be parsed as a URL reference.
    pub fn parse(topic: &str, base: &Base) -> Option<Self> {
        let url = base.url().join(topic).ok()?;
        let key = Self::key_of(
            url.scheme(),
            url.host_str().unwrap_or(""),
            &Self::port_of(&url),
            url.path(),
        );
        Some(Self { url, key })
    }

    /// The parsed URL.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The port as URL Pattern sees it: empty when absent or the scheme's default.
    pub fn port_of(url: &Url) -> String {
        url.port().map(|port| port.to_string()).unwrap_or_default()
    }

    /// What a pattern's literal prefix is a prefix of: scheme, host, port and path.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Composes a key; `\0` occurs in no component.
    pub(crate) fn key_of(scheme: &str, host: &str, port: &str, path: &str) -> String {
        format!("{scheme}\0{host}\0{port}\0{path}")
    }
}

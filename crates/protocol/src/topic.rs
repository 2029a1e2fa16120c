//! Topics: which strings may be one, and how matchers read them.

use std::borrow::Cow;
use std::cell::OnceCell;

use url::Url;

use crate::base::{Base, HUB_PATH};
use crate::characters::is_forbidden;
use crate::error::{ProtocolError, Shown};
use crate::generation::Generation;

/// Refuses a value that holds a forbidden character. By the checks of Mercure 0.x these are the
/// control characters alone, because writing systems and emoji need format characters.
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
            "\"*\" is the wildcard of matchers, not a topic; publish to a named topic",
        ));
    }
    if is_reserved(topic, checks, base) {
        return Err(ProtocolError {
            blame: crate::error::Blame::Reserved,
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
/// A hub behind a path has two: that of its own URL, and that of its events, which no path
/// precedes. Each is reserved where a topic resolves to it, as the specification says. It is also
/// reserved where the text of the topic, as written or decoded, lies in it, because templates of
/// Mercure 0.x match the text: otherwise `/.well-known/mercure/subscriptions/../..` would reach
/// subscribers that wait for events of the hub.
///
/// Mercure 0.x reserves every text that holds the hub's path, and no other. Among the topics that
/// resolve to the hub's path, such as `#general`, only those below it could pass for an event of
/// the hub (B-387).
fn is_reserved(topic: &str, checks: Generation, base: &Base) -> bool {
    if checks == Generation::V0 && topic.contains(HUB_PATH) {
        return true;
    }
    let Ok(url) = base.url().join(topic) else {
        return false;
    };
    let hubs = [base.url().path(), HUB_PATH].map(decode);
    let leads_to = |path: &str| hubs.iter().any(|hub| leads_to(path, hub, checks, &url));
    // Nothing else can differ from what it resolves to.
    let is_plain = !topic.contains('%') && !topic.contains("..");
    leads_to(url.path())
        || (!is_plain && path_as_written(topic, base).is_some_and(|path| leads_to(&path)))
}

/// Whether a path, with its dot segments or without, is the hub's or below it; by the checks of
/// Mercure 0.x, below it.
fn leads_to(path: &str, hub: &str, checks: Generation, url: &Url) -> bool {
    let path = decode(path);
    let is_separator = |c| c == '/' || (c == '\\' && url.is_special());
    if !path.starts_with(is_separator) {
        return false;
    }
    let segments = path.split(is_separator);
    let written: Vec<&str> = segments
        .filter(|segment| !matches!(*segment, "" | "."))
        .collect();
    let mut resolved = Vec::new();
    for segment in &written {
        match *segment {
            ".." => _ = resolved.pop(),
            segment => resolved.push(segment),
        }
    }
    let hub: Vec<&str> = hub
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    [written, resolved].iter().any(|path_segments| {
        path_segments.starts_with(&hub)
            && (checks == Generation::V1
                || path_segments.len() > hub.len()
                || path.ends_with(is_separator))
    })
}

/// The path of a topic before its dot segments are removed.
fn path_as_written(topic: &str, base: &Base) -> Option<String> {
    /// This character precedes the first dot of a segment, so that the URL parser sees no dot
    /// segment; no topic has it.
    const MARK: &str = "-talaria-dot-";
    let mark = |text: &str| {
        let text = decode(text);
        let first = if text.starts_with('.') { MARK } else { "" };
        let marked = text.replace("/.", &format!("/{MARK}."));
        format!("{first}{}", marked.replace("\\.", &format!("\\{MARK}.")))
    };
    let mut marked = base.url().clone();
    marked.set_path(&mark(marked.path()));
    let url = marked.join(&mark(topic)).ok()?;
    Some(url.path().replace(MARK, ""))
}

/// Decodes percent-encoded bytes, also those that decoding yields.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return text.into();
    }
    let mut decoded = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        decoded.push(byte);
        while let Some((rest, [b'%', high, low])) = decoded.split_last_chunk() {
            let digit = |byte: &u8| char::from(*byte).to_digit(16);
            let (Some(high), Some(low)) = (digit(high), digit(low)) else {
                break;
            };
            let length = rest.len();
            decoded.truncate(length);
            decoded.push((high * 16 + low) as u8);
        }
    }
    String::from_utf8_lossy(&decoded).into_owned().into()
}

/// A topic under evaluation: its text, and its URL as soon as a URL Pattern needs it.
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

    /// The topic as a URL, or `None` if it is not one, and then matches no URL Pattern.
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
    fn port_of(url: &Url) -> String {
        url.port().map(|port| port.to_string()).unwrap_or_default()
    }

    /// The text that the literal prefix of a pattern is a prefix of: scheme, host, port and path.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Composes a key; `\0` occurs in no component.
    pub(crate) fn key_of(scheme: &str, host: &str, port: &str, path: &str) -> String {
        format!("{scheme}\0{host}\0{port}\0{path}")
    }
}

//! Serialises an update as an event, once per update.

use crate::update::Update;

/// An empty comment, which keeps a silent connection open (B-354, B-355).
pub const COMMENT: &[u8] = b":\n";

/// The event of an update with its id, blank line included.
///
/// The fields are `event` if the update has a type, `retry` if it has one, `id`, and one `data` for
/// each line of content, split at CR, LF and CRLF. There is always at least one `data` (B-356,
/// B-357).
pub fn encode(update: &Update, id: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(update.data.len() + id.len() + 48);
    let mut field = |name: &str, value: &str| {
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(b'\n');
    };
    if let Some(event_type) = &update.event_type {
        field("event", event_type);
    }
    if let Some(retry) = update.retry {
        field("retry", &retry.to_string());
    }
    field("id", id);
    for line in lines(&update.data) {
        field("data", line);
    }
    bytes.push(b'\n');
    bytes
}

/// Reads an update and its id from an event that [`encode`] made; `None` for other bytes. Topics,
/// privacy and the kind of line ends are lost.
pub fn decode_update(bytes: &[u8]) -> Option<(Update, String)> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix("\n\n")?;
    let (mut update, mut id, mut data) = (Update::default(), None, Vec::new());
    for line in text.split('\n') {
        match line.split_once(": ")? {
            ("event", value) => update.event_type = Some(value.to_owned()),
            ("retry", value) => update.retry = Some(value.parse().ok()?),
            ("id", value) => id = Some(value.to_owned()),
            ("data", value) => data.push(value),
            _ => return None,
        }
    }
    update.data = data.join("\n");
    Some((update, id?))
}

/// The lines of a text, by the line ends of the event stream format; a trailing line end yields a
/// final empty line.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        match text.find(['\r', '\n']) {
            None => {
                rest = None;
                Some(text)
            }
            Some(end) => {
                let width = if text[end..].starts_with("\r\n") {
                    2
                } else {
                    1
                };
                rest = Some(&text[end + width..]);
                Some(&text[..end])
            }
        }
    })
}

//! A strict incremental decoder of event streams (HTML standard, "Server-sent events", "Parsing an
//! event stream" and "Interpreting an event stream").

/// The greatest size of one event in bytes, unless [`Decoder::with_max_event_bytes`] sets another:
/// 16 MiB, more than any body that a hub accepts by default.
pub const DEFAULT_MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// One dispatched event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// The last event id in effect; empty when none was ever sent.
    pub id: String,
    /// The event type, `message` when none was sent.
    pub event_type: String,
    /// The data lines joined by LF.
    pub data: String,
}

/// What an event stream carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// An event, dispatched by its blank line.
    Event(Event),
    /// The text of a comment line after its colon, verbatim; servers send them as heartbeats.
    Comment(String),
    /// The reconnection time in milliseconds, in effect at once; a number beyond `u64` is
    /// `u64::MAX`.
    Retry(u64),
}

/// Why a stream cannot be decoded any further.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A line is not UTF-8, the only encoding that event streams have.
    #[error(
        "event stream: a line is not UTF-8; the server must encode its data, for example with base64"
    )]
    Utf8,
    /// One event, its current line included, has more bytes than the decoder's maximum.
    #[error("event stream: one event has more than {max} bytes; raise the maximum to read it")]
    TooLarge {
        /// The maximum in force, in bytes.
        max: usize,
    },
}

/// Turns chunks of bytes into items, whatever the chunk boundaries.
///
/// An event that the stream's end leaves without its blank line is never dispatched: drop the
/// decoder. Memory stays below a small multiple of the maximal event, time is linear in the bytes.
#[derive(Debug)]
pub struct Decoder {
    max_event_bytes: usize,
    /// The bytes of a line whose end has not come yet.
    line: Vec<u8>,
    /// Whether the last line ended with a CR, to which an LF may still belong.
    after_cr: bool,
    first_line: bool,
    failed: Option<DecodeError>,
    fields: Fields,
}

/// The buffers of "Interpreting an event stream".
#[derive(Debug, Default)]
struct Fields {
    data: String,
    event_type: String,
    id: String,
    last_event_id: String,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::with_max_event_bytes(DEFAULT_MAX_EVENT_BYTES)
    }
}

impl Decoder {
    /// A decoder of events that have at most `max_event_bytes` bytes, the current line included.
    pub fn with_max_event_bytes(max_event_bytes: usize) -> Self {
        Self {
            max_event_bytes,
            line: Vec::new(),
            after_cr: false,
            first_line: true,
            failed: None,
            fields: Fields::default(),
        }
    }

    /// Decodes a chunk. The iterator must be run to its end, or the rest of the chunk is lost.
    ///
    /// # Errors
    /// The iterator's last item is the [`DecodeError`] that ended the stream; every later chunk
    /// yields it again.
    pub fn feed<'a>(&'a mut self, bytes: &'a [u8]) -> Items<'a> {
        Items {
            decoder: self,
            bytes,
            ended: false,
        }
    }

    /// The id to send as `Last-Event-ID` when reconnecting, in effect since the last blank line;
    /// empty when there is none. It moves even when the event had no data and so was not
    /// dispatched.
    pub fn last_event_id(&self) -> &str {
        &self.fields.last_event_id
    }

    fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Item>, DecodeError> {
        while let Some(first) = bytes.first() {
            if std::mem::take(&mut self.after_cr) && *first == b'\n' {
                *bytes = &bytes[1..];
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if self.fields.data.len() + self.line.len() + part.len() > self.max_event_bytes {
                return Err(DecodeError::TooLarge {
                    max: self.max_event_bytes,
                });
            }
            let Some(end) = end else {
                self.line.extend_from_slice(part);
                *bytes = &[];
                break;
            };
            self.after_cr = bytes[end] == b'\r';
            *bytes = &bytes[end + 1..];
            let first_line = std::mem::take(&mut self.first_line);
            let item = if self.line.is_empty() {
                self.fields.take_line(part, first_line)?
            } else {
                self.line.extend_from_slice(part);
                let item = self.fields.take_line(&self.line, first_line)?;
                self.line.clear();
                item
            };
            if item.is_some() {
                return Ok(item);
            }
        }
        Ok(None)
    }
}

impl Fields {
    fn take_line(&mut self, line: &[u8], first: bool) -> Result<Option<Item>, DecodeError> {
        let mut line = std::str::from_utf8(line).map_err(|_| DecodeError::Utf8)?;
        if first {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        if line.is_empty() {
            return Ok(self.dispatch().map(Item::Event));
        }
        let (name, value) = match line.split_once(':') {
            Some(("", comment)) => return Ok(Some(Item::Comment(comment.to_owned()))),
            Some((name, value)) => (name, value.strip_prefix(' ').unwrap_or(value)),
            None => (line, ""),
        };
        match name {
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "event" => value.clone_into(&mut self.event_type),
            "id" if !value.contains('\0') => value.clone_into(&mut self.id),
            "retry" => return Ok(retry(value).map(Item::Retry)),
            _ => {}
        }
        Ok(None)
    }

    fn dispatch(&mut self) -> Option<Event> {
        self.last_event_id.clone_from(&self.id);
        let mut event_type = std::mem::take(&mut self.event_type);
        let mut data = std::mem::take(&mut self.data);
        data.pop()?;
        if event_type.is_empty() {
            "message".clone_into(&mut event_type);
        }
        Some(Event {
            id: self.last_event_id.clone(),
            event_type,
            data,
        })
    }
}

fn retry(value: &str) -> Option<u64> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| value.parse().unwrap_or(u64::MAX))
}

/// The items of one chunk, in order; see [`Decoder::feed`].
#[derive(Debug)]
#[must_use = "a chunk is decoded while its items are taken"]
pub struct Items<'a> {
    decoder: &'a mut Decoder,
    bytes: &'a [u8],
    ended: bool,
}

impl Iterator for Items<'_> {
    type Item = Result<Item, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = match self.decoder.failed {
            Some(error) => Err(error),
            None => self.decoder.next(&mut self.bytes),
        };
        if let Err(error) = next {
            self.decoder.failed = Some(error);
            self.ended = true;
        }
        next.transpose()
    }
}

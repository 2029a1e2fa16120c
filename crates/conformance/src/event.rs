//! A strict decoder of event streams, which rejects what a hub has no reason to send.

use std::collections::VecDeque;

/// One dispatched event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The `id` line of this event; the specification asks for one in every event.
    pub id: String,
    /// The `event` line, empty when there was none.
    pub event_type: String,
    /// The data lines joined by LF.
    pub data: String,
    /// The `retry` line in milliseconds.
    pub retry: Option<u64>,
}

/// One thing that a stream can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A line that starts with a colon, without it.
    Comment(String),
    /// An event.
    Event(Event),
    /// A `retry` line that no event followed.
    Retry(u64),
}

/// Turns chunks of bytes into items, whatever the chunk boundaries.
#[derive(Debug, Default)]
pub struct Decoder {
    line: Vec<u8>,
    id: Option<String>,
    event_type: Option<String>,
    data: Option<String>,
    retry: Option<u64>,
    items: VecDeque<Item>,
}

impl Decoder {
    /// Takes the next bytes of the stream.
    ///
    /// # Errors
    ///
    /// What is wrong with the stream: a CR, bytes that are not UTF-8, an unknown or repeated
    /// field, a field without the space after its colon, an event without `id` or `data`.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let (head, tail) = rest.split_at(end);
            rest = tail.get(1..).unwrap_or_default();
            if self.line.is_empty() {
                self.line(head)?;
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(head);
                self.line(&line)?;
            }
        }
        self.line.extend_from_slice(rest);
        Ok(())
    }

    /// The next complete item, if there is one.
    pub fn next_item(&mut self) -> Option<Item> {
        self.items.pop_front()
    }

    /// Whether the bytes so far end between two items.
    #[must_use]
    pub fn at_rest(&self) -> bool {
        self.line.is_empty() && self.id.is_none() && self.data.is_none()
    }

    fn line(&mut self, line: &[u8]) -> Result<(), String> {
        let line = std::str::from_utf8(line).map_err(|_| format!("not UTF-8: {line:?}"))?;
        if line.contains('\r') {
            return Err(format!("a CR in the line {line:?}"));
        }
        if line.is_empty() {
            return self.dispatch();
        }
        if let Some(comment) = line.strip_prefix(':') {
            self.items.push_back(Item::Comment(comment.to_owned()));
            return Ok(());
        }
        let (name, value) = line
            .split_once(": ")
            .ok_or_else(|| format!("a field without \": \": {line:?}"))?;
        let again = match name {
            "data" => {
                match &mut self.data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                    None => self.data = Some(value.to_owned()),
                }
                false
            }
            "id" => self.id.replace(value.to_owned()).is_some(),
            "event" => self.event_type.replace(value.to_owned()).is_some(),
            "retry" => {
                let retry = value.parse().map_err(|_| format!("retry is {value:?}"))?;
                self.retry.replace(retry).is_some()
            }
            _ => return Err(format!("unknown field in {line:?}")),
        };
        if again {
            Err(format!("a second {name} in one event"))
        } else {
            Ok(())
        }
    }

    fn dispatch(&mut self) -> Result<(), String> {
        let event_type = self.event_type.take();
        match (self.id.take(), self.data.take(), self.retry.take()) {
            (Some(id), Some(data), retry) => {
                let event_type = event_type.unwrap_or_default();
                self.items.push_back(Item::Event(Event {
                    id,
                    event_type,
                    data,
                    retry,
                }));
            }
            (None, None, Some(retry)) if event_type.is_none() => {
                self.items.push_back(Item::Retry(retry));
            }
            (None, None, None) if event_type.is_none() => {}
            (id, data, _) => {
                return Err(format!(
                    "an event needs id and data, got {id:?} and {data:?}"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(chunks: &[&str]) -> Result<Vec<Item>, String> {
        let mut decoder = Decoder::default();
        for chunk in chunks {
            decoder.push(chunk.as_bytes())?;
        }
        Ok(std::iter::from_fn(|| decoder.next_item()).collect())
    }

    #[test]
    fn chunk_boundaries_do_not_matter() {
        let text =
            ":\nevent: kind\nretry: 7\nid: a\ndata: one\ndata: \ndata: é\n\n: hi\nretry: 9\n\n";
        let whole = decode(&[text]).unwrap();
        assert_eq!(
            whole,
            [
                Item::Comment(String::new()),
                Item::Event(Event {
                    id: "a".into(),
                    event_type: "kind".into(),
                    data: "one\n\né".into(),
                    retry: Some(7)
                }),
                Item::Comment(" hi".into()),
                Item::Retry(9),
            ]
        );
        let mut decoder = Decoder::default();
        for byte in text.as_bytes() {
            decoder.push(&[*byte]).unwrap();
        }
        assert_eq!(
            std::iter::from_fn(|| decoder.next_item()).collect::<Vec<_>>(),
            whole
        );
        assert!(decoder.at_rest());
    }

    #[test]
    fn sloppy_streams_are_refused() {
        for text in [
            "id: a\r\n",
            "data: a\n\n",
            "id: a\n\n",
            "id:a\n",
            "nonsense\n",
            "id: a\nid: b\n",
            "retry: x\n",
        ] {
            assert!(decode(&[text]).is_err(), "{text:?}");
        }
        assert!(Decoder::default().push(b"data: \xff\n").is_err());
    }
}

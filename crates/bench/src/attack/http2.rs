//! HTTP/2 frame by frame, for requests that no well-behaved client sends (RFC 9113).

use std::io;

use tokio::io::AsyncReadExt as _;

use super::client::{Client, Connection};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The largest payload that a server must accept (RFC 9113, section 4.2).
const FRAME_BYTES: usize = 16 * 1024;
/// The identifier of the setting `SETTINGS_INITIAL_WINDOW_SIZE` (RFC 9113, section 6.5.2).
const INITIAL_WINDOW: [u8; 2] = [0, 4];
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// Frame types (RFC 9113, section 6).
mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

/// A connection that keeps a number of streams open.
pub(crate) struct Http2 {
    connection: Connection,
    next_stream: u32,
    /// Bytes of each stream that the hub may send.
    window: u32,
}

impl Http2 {
    /// Connects, and announces the window of each stream. With a window of 0 the hub can send no data.
    pub(crate) async fn connect(client: &Client, window: u32) -> io::Result<Self> {
        let mut connection = client.connect().await?;
        connection.send(PREFACE).await?;
        let mut http2 = Self {
            connection,
            next_stream: 1,
            window,
        };
        let settings = [&INITIAL_WINDOW[..], &window.to_be_bytes()].concat();
        http2.send(kind::SETTINGS, 0, 0, &settings).await?;
        Ok(http2)
    }

    /// Sends a request's head; `block` holds its fields, encoded.
    pub(crate) async fn open(&mut self, block: &[u8], ends_stream: bool) -> io::Result<()> {
        let stream = self.next_stream;
        self.next_stream += 2;
        let mut frame = kind::HEADERS;
        let mut flags = if ends_stream { END_STREAM } else { 0 };
        let mut pieces = block.chunks(FRAME_BYTES).peekable();
        while let Some(piece) = pieces.next() {
            if pieces.peek().is_none() {
                flags |= END_HEADERS;
            }
            self.send(frame, flags, stream, piece).await?;
            (frame, flags) = (kind::CONTINUATION, 0);
        }
        Ok(())
    }

    /// Keeps the connection alive: reads frames, answers pings, and returns when a stream has ended.
    ///
    /// # Errors
    /// When the hub ends the connection.
    pub(crate) async fn until_a_stream_ends(&mut self) -> io::Result<()> {
        loop {
            let mut head = [0; 9];
            self.connection.stream.read_exact(&mut head).await?;
            let [a, b, c, frame, flags, stream @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.connection.stream.read_exact(&mut payload).await?;
            let stream = u32::from_be_bytes(stream);
            match frame {
                kind::SETTINGS if flags & ACK == 0 => {
                    self.send(kind::SETTINGS, ACK, 0, &[]).await?;
                }
                kind::PING if flags & ACK == 0 => self.send(kind::PING, ACK, 0, &payload).await?,
                // `:status 200` of the static table; anything else is a refusal (RFC 7541, appendix A).
                kind::HEADERS => {
                    let status = if payload.first() == Some(&0x88) {
                        200
                    } else {
                        0
                    };
                    self.connection.tally.answered(status);
                }
                kind::DATA if self.window > 0 && !payload.is_empty() => {
                    let length = (payload.len() as u32).to_be_bytes();
                    self.send(kind::WINDOW_UPDATE, 0, 0, &length).await?;
                    if flags & END_STREAM == 0 {
                        self.send(kind::WINDOW_UPDATE, 0, stream, &length).await?;
                    }
                }
                kind::RST_STREAM => self.connection.tally.broke(),
                kind::GOAWAY => return Err(io::ErrorKind::ConnectionReset.into()),
                _ => {}
            }
            let may_end = frame == kind::HEADERS || frame == kind::DATA;
            if frame == kind::RST_STREAM || (may_end && flags & END_STREAM != 0) {
                return Ok(());
            }
        }
    }

    async fn send(&mut self, frame: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let length = (payload.len() as u32).to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend_from_slice(&[frame, flags]);
        bytes.extend_from_slice(&stream.to_be_bytes());
        bytes.extend_from_slice(payload);
        self.connection.send(&bytes).await
    }
}

/// Opens `streams` streams on one connection, and a new one whenever one ends, until the connection ends.
pub(crate) async fn keep_streams(
    client: &Client,
    window: u32,
    streams: usize,
    block: impl Fn(usize) -> Vec<u8>,
) -> io::Result<()> {
    let mut http2 = Http2::connect(client, window).await?;
    for stream in 0..streams {
        http2.open(&block(stream), true).await?;
    }
    let mut stream = streams;
    loop {
        http2.until_a_stream_ends().await?;
        http2.open(&block(stream), true).await?;
        stream += 1;
    }
}

/// Opens streams and resets each at once, until the hub ends the connection.
pub(crate) async fn reset_streams(client: &Client, block: &[u8]) -> io::Result<()> {
    /// Streams between two looks at what the hub has said.
    const STREAMS: usize = 100;
    const CANCEL: [u8; 4] = 8_u32.to_be_bytes();
    let mut http2 = Http2::connect(client, 1 << 20).await?;
    let mut said = vec![0; FRAME_BYTES];
    loop {
        for _ in 0..STREAMS {
            let stream = http2.next_stream;
            http2.open(block, true).await?;
            http2.send(kind::RST_STREAM, 0, stream, &CANCEL).await?;
        }
        // Otherwise it would wait for room.
        match http2.connection.stream.try_read(&mut said) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            _ => {}
        }
    }
}

/// The fields of a request, each a literal that is not in a table (RFC 7541, section 6.2.2).
pub(crate) fn literals(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        string(&mut block, name);
        string(&mut block, value);
    }
    block
}

/// The fields of a subscription.
pub(crate) fn subscription(client: &Client, query: &str) -> Vec<u8> {
    let path = format!("{}?{query}", client.target.path);
    literals(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", &client.target.authority),
        (":path", &path),
    ])
}

/// The fields of a `QUERY` without its body yet. One short field is sent once and then repeated by its index,
/// which takes a byte each time (RFC 7541, sections 6.1 and 6.2.1).
pub(crate) fn repeated(client: &Client, times: usize, is_first: bool) -> Vec<u8> {
    /// The first index of the dynamic table.
    const NEWEST: u8 = 62;
    let mut block = literals(&[
        (":method", "QUERY"),
        (":scheme", "http"),
        (":authority", &client.target.authority),
        (":path", &client.target.path),
        ("content-type", "application/x-www-form-urlencoded"),
    ]);
    if is_first {
        block.push(0x40);
        string(&mut block, "x");
        string(&mut block, "1234567");
    }
    block.extend(std::iter::repeat_n(0x80 | NEWEST, times));
    block
}

/// A string without Huffman coding, after its length (RFC 7541, section 5.2).
fn string(block: &mut Vec<u8>, text: &str) {
    const PREFIX: usize = 0x7f;
    let mut length = text.len();
    if length < PREFIX {
        block.push(length as u8);
    } else {
        block.push(PREFIX as u8);
        length -= PREFIX;
        while length >= 0x80 {
            block.push((length % 0x80) as u8 | 0x80);
            length /= 0x80;
        }
        block.push(length as u8);
    }
    block.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A length fits the prefix, is its limit, or takes several bytes (RFC 7541, section 5.1).
    #[test]
    fn lengths_of_strings_are_encoded() {
        for (length, expected) in [
            (5, &[5][..]),
            (126, &[126]),
            (127, &[127, 0]),
            (255, &[127, 0x80, 1]),
            (1464, &[127, 0xb9, 0x0a]),
        ] {
            let mut block = Vec::new();
            string(&mut block, &"x".repeat(length));
            assert_eq!(
                block.strip_suffix("x".repeat(length).as_bytes()),
                Some(expected),
                "{length}"
            );
        }
    }
}

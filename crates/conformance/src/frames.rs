//! HTTP/2 frame by frame, for tests that do what no well-behaved client does (RFC 9113).

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::within;

/// What every connection begins with (section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The identifier of `SETTINGS_INITIAL_WINDOW_SIZE` (section 6.5.2).
const INITIAL_WINDOW: u8 = 4;

/// The largest frame that a server must take (section 4.2).
const FRAME_BYTES: usize = 16 * 1024;
/// The flag of the last frame of a header block (section 6.2).
const END_HEADERS: u8 = 0x4;

/// Frame types (section 6).
pub mod kind {
    /// DATA.
    pub const DATA: u8 = 0;
    /// HEADERS.
    pub const HEADERS: u8 = 1;
    /// PRIORITY.
    pub const PRIORITY: u8 = 2;
    /// RST_STREAM.
    pub const RST_STREAM: u8 = 3;
    /// SETTINGS.
    pub const SETTINGS: u8 = 4;
    /// PING.
    pub const PING: u8 = 6;
    /// GOAWAY.
    pub const GOAWAY: u8 = 7;
    /// WINDOW_UPDATE.
    pub const WINDOW_UPDATE: u8 = 8;
    /// CONTINUATION.
    pub const CONTINUATION: u8 = 9;
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// One of [`kind`].
    pub kind: u8,
    /// The flags of its type.
    pub flags: u8,
    /// The stream, 0 for the connection.
    pub stream: u32,
    /// The payload, which follows the nine bytes of the frame head.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Whether the stream ends with this frame: `END_STREAM`, or a reset.
    #[must_use]
    pub fn ends_stream(&self) -> bool {
        let may_end = [kind::DATA, kind::HEADERS].contains(&self.kind);
        self.kind == kind::RST_STREAM || (may_end && self.flags & 1 != 0)
    }

    /// Whether this frame is a GOAWAY with an error code, after which streams are lost (section
    /// 6.8).
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.kind == kind::GOAWAY && self.payload.get(4..8) != Some(&[0; 4])
    }

    /// The status in a HEADERS frame that is the first of its connection, so that its fields are
    /// not in a table yet.
    #[must_use]
    pub fn status(&self) -> u16 {
        assert_eq!(self.kind, kind::HEADERS, "{self:?}");
        match *self.payload {
            // Fields of the static table (RFC 7541, appendix A).
            [index @ 0x88..=0x8e, ..] => {
                [200, 204, 206, 304, 400, 404, 500][usize::from(index - 0x88)]
            }
            // A name of the static table, and three digits.
            [0x08 | 0x18 | 0x48, length, ref rest @ ..] => {
                let text = &rest[..usize::from(length & 0x7f)];
                match length & 0x80 {
                    0 => text
                        .iter()
                        .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')),
                    _ => huffman_number(text),
                }
            }
            _ => panic!("no status in {:?}", self.payload),
        }
    }
}

/// Our end of a connection that acknowledges nothing by itself.
pub struct Frames {
    /// The side that sends.
    pub output: Output,
    /// The side that receives.
    pub input: Input,
    /// The hub's first SETTINGS (section 6.5.1).
    pub settings: Vec<u8>,
    /// Frames that came before the one that a test waited for.
    passed: VecDeque<Frame>,
}

/// The side that sends.
pub struct Output(OwnedWriteHalf);

/// The side that receives.
pub struct Input {
    half: OwnedReadHalf,
    bytes: VecDeque<u8>,
}

impl Frames {
    /// Connects, sends the preface with this initial window of each stream, and waits for the
    /// hub's SETTINGS.
    pub async fn connect(address: SocketAddr, window: u32) -> Self {
        let stream = within("a connection", TcpStream::connect(address))
            .await
            .expect("the hub accepts");
        let (input, output) = stream.into_split();
        let mut frames = Self {
            output: Output(output),
            input: Input {
                half: input,
                bytes: VecDeque::new(),
            },
            settings: Vec::new(),
            passed: VecDeque::new(),
        };
        let mut payload = vec![0, INITIAL_WINDOW];
        payload.extend_from_slice(&window.to_be_bytes());
        frames.output.0.write_all(PREFACE).await.expect("it reads");
        frames.output.send(kind::SETTINGS, 0, 0, &payload).await;
        let first = within("SETTINGS", frames.input.next())
            .await
            .expect("the connection lives")
            .expect("the connection goes on");
        assert_eq!(first.kind, kind::SETTINGS);
        frames.settings = first.payload;
        frames
    }

    /// The next frame of type `kind` on a stream. Pings are answered meanwhile, and other frames
    /// are kept until a test asks for them: the hub may reset one stream before it goes on with
    /// another.
    pub async fn next_of(&mut self, kind: u8, stream: u32) -> Frame {
        let is_wanted = |frame: &Frame| frame.kind == kind && frame.stream == stream;
        if let Some(at) = self.passed.iter().position(is_wanted) {
            return self.passed.remove(at).expect("it was found");
        }
        loop {
            let frame = within("a frame", self.input.next()).await;
            let frame = frame.expect("no reset").expect("the connection goes on");
            assert!(!frame.is_failure(), "{frame:?}");
            if frame.kind == kind::PING && frame.flags == 0 {
                self.output.send(kind::PING, 1, 0, &frame.payload).await;
            }
            if is_wanted(&frame) {
                return frame;
            }
            self.passed.push_back(frame);
        }
    }
}

impl Output {
    /// Sends a frame.
    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a short payload");
        let mut frame = length.to_be_bytes()[1..].to_vec();
        frame.extend_from_slice(&[kind, flags]);
        frame.extend_from_slice(&stream.to_be_bytes());
        frame.extend_from_slice(payload);
        // Some tests wait for the hub to close the connection, so it may be closed here already.
        let _ = self.0.write_all(&frame).await;
    }

    /// Sends a request without a body, with these fields, pseudo-fields first.
    pub async fn request<V: AsRef<[u8]>>(&mut self, stream: u32, fields: &[(&str, V)]) {
        // END_STREAM and END_HEADERS.
        self.head(0x5, stream, fields).await;
    }

    /// Sends the head of a request whose body follows.
    pub async fn request_with_body<V: AsRef<[u8]>>(&mut self, stream: u32, fields: &[(&str, V)]) {
        // END_HEADERS.
        self.head(0x4, stream, fields).await;
    }

    async fn head<V: AsRef<[u8]>>(&mut self, flags: u8, stream: u32, fields: &[(&str, V)]) {
        let mut block = Vec::new();
        for (name, value) in fields {
            // A literal without indexing, its name as a literal, too (RFC 7541, section 6.2.2).
            block.push(0);
            string(&mut block, name.as_bytes());
            string(&mut block, value.as_ref());
        }
        let mut pieces = block.chunks(FRAME_BYTES).peekable();
        let mut kind = kind::HEADERS;
        let mut flags = flags & !END_HEADERS;
        while let Some(piece) = pieces.next() {
            if pieces.peek().is_none() {
                flags |= END_HEADERS;
            }
            self.send(kind, flags, stream, piece).await;
            (kind, flags) = (kind::CONTINUATION, 0);
        }
    }

    /// Sends these bytes, frames or not.
    pub async fn raw(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
    }

    /// Lets the hub send this many more bytes on a stream, or on the connection (stream 0).
    pub async fn widen(&mut self, stream: u32, bytes: u32) {
        self.send(kind::WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
            .await;
    }
}

impl Input {
    /// The next frame; `None` at the end of the connection. Nothing is lost if it is dropped.
    ///
    /// # Errors
    ///
    /// When the connection breaks.
    pub async fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.take() {
                return Ok(Some(frame));
            }
            let mut chunk = [0; 4096];
            let count = self.half.read(&mut chunk).await?;
            if count == 0 {
                return Ok(None);
            }
            self.bytes.extend(&chunk[..count]);
        }
    }

    fn take(&mut self) -> Option<Frame> {
        let bytes = self.bytes.make_contiguous();
        let (head, rest) = bytes.split_first_chunk::<9>()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let frame = Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]),
            payload: rest.get(..length)?.to_vec(),
        };
        self.bytes.drain(..9 + length);
        Some(frame)
    }
}

/// A string without Huffman coding (RFC 7541, sections 5.1 and 5.2).
fn string(block: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        short @ ..127 => block.push(short as u8),
        long => {
            block.push(127);
            let mut rest = long - 127;
            while rest >= 128 {
                block.push((rest % 128) as u8 | 128);
                rest /= 128;
            }
            block.push(rest as u8);
        }
    }
    block.extend_from_slice(text);
}

/// A number of three digits in Huffman's code: `0` to `2` have five bits, the others six (RFC 7541,
/// appendix B).
fn huffman_number(text: &[u8]) -> u16 {
    let mut bits = text
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1));
    let mut number = 0;
    for _ in 0..3 {
        let five = bits
            .by_ref()
            .take(5)
            .fold(0, |sum, bit| sum << 1 | u16::from(bit));
        let digit = match five {
            0..=2 => five,
            _ => (five << 1 | u16::from(bits.next().expect("six bits"))) - 0x19 + 3,
        };
        number = number * 10 + digit;
    }
    number
}

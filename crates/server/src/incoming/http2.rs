//! The requests of an HTTP/2 connection (RFC 9113).
//!
//! h2 resets a stream for a `:path` that `http` does not take, and the whole connection for one that is
//! not UTF-8. So header blocks are read here first. As long as none has to be changed they pass as they
//! are. From the first one on that has, each is written anew, without compression: h2's table does
//! not follow the client's any more, and nothing may refer to it.

use std::borrow::Cow;

use bytes::Bytes;

use super::hpack::{self, Decoder, Field};
use super::layer::{Reader, Rest};
use super::{Fault, HEAD_BYTES, TARGET_BYTES, target};

const PREFACE_BYTES: usize = 24;
const FRAME_HEAD_BYTES: usize = 9;
/// The largest frame that is taken: the default, which hyper leaves alone (section 4.2).
const FRAME_BYTES: usize = 16 * 1024;
/// The most frames of one block, which h2 bounds too.
const MOST_FRAMES: usize = 128;

const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// Finds the header blocks of requests.
pub struct Http2 {
    /// Bytes that are not of a header block, up to the next frame's head.
    passing: usize,
    decoder: Decoder,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Every block passed as it was.
    Mirroring,
    /// A block was written anew.
    Writing,
    /// The connection is broken, which h2 finds out by itself.
    Broken,
}

impl Http2 {
    /// From the preface on.
    pub fn new() -> Self {
        Self {
            passing: PREFACE_BYTES,
            decoder: Decoder::new(),
            state: State::Mirroring,
        }
    }

    /// What is read of a block that is not one: what h2 refuses, too.
    fn give_up(&mut self, received: usize, stream: [u8; 4]) -> Option<Rest> {
        let written = self.state == State::Writing;
        self.state = State::Broken;
        written.then(|| {
            let mut broken = Vec::new();
            // An index of 0 is an error (RFC 7541, section 6.1).
            write_block(&[0x80], 0, stream, &mut broken);
            Rest::Replaced(received, broken)
        })
    }

    /// What replaces a complete block, if anything has to.
    fn replacement(&mut self, block: &Block<'_>) -> Option<Rest> {
        let Ok(fields) = self.decoder.read(&block.fragment, HEAD_BYTES) else {
            return self.give_up(block.received, block.stream);
        };
        let fields = match fields {
            None => Some(refused(Fault::HeadTooLarge)),
            Some(fields) => match changed(&fields) {
                None if self.state == State::Mirroring => None,
                None => Some(fields),
                changed => changed,
            },
        };
        let fields = fields?;
        self.state = State::Writing;
        let mut fragment = Vec::new();
        fields
            .iter()
            .for_each(|field| hpack::write(field, &mut fragment));
        let mut frames = Vec::new();
        write_block(&fragment, block.flags, block.stream, &mut frames);
        Some(Rest::Replaced(block.received, frames))
    }
}

/// A request that stands for one at fault.
fn refused(fault: Fault) -> Vec<Field> {
    [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "refused"),
        (":path", &fault.target()),
    ]
    .map(|(name, value)| {
        (
            Bytes::copy_from_slice(name.as_bytes()),
            Bytes::copy_from_slice(value.as_bytes()),
        )
    })
    .into()
}

/// The fields as h2 takes them; `None` if it takes them as they are.
fn changed(fields: &[Field]) -> Option<Vec<Field>> {
    let at = fields.iter().position(|(name, _)| name == ":path")?;
    let target = &fields[at].1;
    let read = match target::read(target) {
        Ok(read) if read.length == target.len() => read,
        Ok(_) => return Some(refused(Fault::Target)),
        Err(fault) => return Some(refused(fault)),
    };
    if read.encoded.unwrap_or(read.length) > TARGET_BYTES {
        return Some(refused(Fault::TargetTooLong));
    }
    if !target.starts_with(b"/") && target != "*" {
        return Some(refused(Fault::Target));
    }
    read.encoded?;
    let mut encoded = Vec::new();
    target::encode(target, &mut encoded);
    let mut fields = fields.to_vec();
    fields[at].1 = encoded.into();
    Some(fields)
}

impl Reader for Http2 {
    fn read(&mut self, bytes: &[u8]) -> (usize, Rest) {
        let mut at = 0;
        while at < bytes.len() {
            if self.state == State::Broken {
                return (bytes.len(), Rest::Held);
            }
            let left = &bytes[at..];
            if self.passing > 0 {
                let here = self.passing.min(left.len());
                self.passing -= here;
                at += here;
                continue;
            }
            let Some(frame) = Frame::read(left) else {
                break;
            };
            if frame.kind != HEADERS {
                self.passing = FRAME_HEAD_BYTES + frame.length;
                continue;
            }
            let replaced = match Block::read(left) {
                Ok(None) => break,
                Ok(Some(block)) => {
                    let replaced = self.replacement(&block);
                    if replaced.is_none() {
                        self.passing = block.received;
                    }
                    replaced
                }
                Err(NotABlock) => self.give_up(left.len(), frame.stream),
            };
            if let Some(replaced) = replaced {
                return (at, replaced);
            }
        }
        (at, Rest::Held)
    }

    fn is_worth_reading(&self, _: &[u8], _: usize) -> bool {
        true
    }
}

/// The head of a frame (section 4.1).
struct Frame {
    length: usize,
    kind: u8,
    flags: u8,
    stream: [u8; 4],
}

impl Frame {
    fn read(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, stream @ ..] = bytes.first_chunk::<FRAME_HEAD_BYTES>()?;
        Some(Self {
            length: usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c),
            kind: *kind,
            flags: *flags,
            stream: *stream,
        })
    }
}

/// A header block, whose frames came all (section 4.3).
struct Block<'a> {
    received: usize,
    /// Those that say something about the stream.
    flags: u8,
    stream: [u8; 4],
    fragment: Cow<'a, [u8]>,
}

/// The frames of a block break off.
struct NotABlock;

impl<'a> Block<'a> {
    /// `None` if not all of it has come.
    fn read(bytes: &'a [u8]) -> Result<Option<Self>, NotABlock> {
        let mut block: Option<Self> = None;
        let mut at = 0;
        for _ in 0..MOST_FRAMES {
            let Some(frame) = Frame::read(&bytes[at..]) else {
                return Ok(None);
            };
            let kind = if block.is_none() {
                HEADERS
            } else {
                CONTINUATION
            };
            if frame.kind != kind || frame.length > FRAME_BYTES {
                return Err(NotABlock);
            }
            let start = at + FRAME_HEAD_BYTES;
            let Some(payload) = bytes.get(start..start + frame.length) else {
                return Ok(None);
            };
            at = start + frame.length;
            let whole = match &mut block {
                None => block.insert(Self {
                    received: at,
                    flags: frame.flags & END_STREAM,
                    stream: frame.stream,
                    fragment: Cow::Borrowed(fragment(payload, frame.flags)?),
                }),
                Some(block) => {
                    if block.stream != frame.stream {
                        return Err(NotABlock);
                    }
                    block.fragment.to_mut().extend_from_slice(payload);
                    block.received = at;
                    block
                }
            };
            if frame.flags & END_HEADERS != 0 {
                return Ok(block);
            }
            if whole.received > 2 * HEAD_BYTES {
                return Err(NotABlock);
            }
        }
        Err(NotABlock)
    }
}

/// The payload of HEADERS without padding and priority (section 6.2).
fn fragment(payload: &[u8], flags: u8) -> Result<&[u8], NotABlock> {
    let (payload, padding) = match payload {
        [padding, rest @ ..] if flags & PADDED != 0 => (rest, usize::from(*padding)),
        payload if flags & PADDED == 0 => (payload, 0),
        _ => return Err(NotABlock),
    };
    let skipped = if flags & PRIORITY != 0 { 5 } else { 0 };
    let end = payload.len().checked_sub(padding).ok_or(NotABlock)?;
    payload.get(skipped..end).ok_or(NotABlock)
}

/// Appends the frames of a block.
fn write_block(fragment: &[u8], flags: u8, stream: [u8; 4], into: &mut Vec<u8>) {
    let (mut kind, mut flags, mut left) = (HEADERS, flags, fragment);
    loop {
        let (chunk, rest) = left.split_at(left.len().min(FRAME_BYTES));
        if rest.is_empty() {
            flags |= END_HEADERS;
        }
        let length = u32::try_from(chunk.len()).unwrap_or_default();
        into.extend_from_slice(&length.to_be_bytes()[1..]);
        into.extend_from_slice(&[kind, flags]);
        into.extend_from_slice(&stream);
        into.extend_from_slice(chunk);
        if rest.is_empty() {
            return;
        }
        (kind, flags, left) = (CONTINUATION, 0, rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What hyper reads of these bytes, if they come in pieces.
    fn through(sent: &[u8], piece: usize) -> Vec<u8> {
        let mut reader = Http2::new();
        let (mut held, mut read) = (Vec::new(), Vec::new());
        for piece in sent.chunks(piece) {
            held.extend_from_slice(piece);
            loop {
                let (passing, rest) = reader.read(&held);
                read.extend(held.drain(..passing));
                let Rest::Replaced(received, by) = rest else {
                    break;
                };
                held.drain(..received);
                read.extend(by);
            }
        }
        read
    }

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    }

    /// Stream, flags and fields of each block that hyper reads, and the types of the other frames.
    fn understood(read: &[u8]) -> Vec<String> {
        let mut decoder = Decoder::new();
        let mut left = &read[PREFACE_BYTES..];
        let mut found = Vec::new();
        while let Some(frame) = Frame::read(left) {
            if frame.kind != HEADERS {
                found.push(format!("frame {}", frame.kind));
                left = &left[FRAME_HEAD_BYTES + frame.length..];
                continue;
            }
            let block = Block::read(left).ok().flatten().unwrap();
            let fields = decoder.read(&block.fragment, HEAD_BYTES).unwrap().unwrap();
            let fields = fields
                .iter()
                .map(|(name, value)| format!(" {}={}", name.escape_ascii(), value.escape_ascii()));
            let fields: String = fields.collect();
            found.push(format!("{} {}{fields}", block.stream[3], block.flags));
            left = &left[block.received..];
        }
        found
    }

    /// RFC 7541, section 2.3: fields that later blocks refer to, before and after the first block that
    /// is changed; and the other frames, padding and priority among them.
    #[test]
    fn later_blocks_mean_what_they_meant() {
        let sent = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(4, 0, 0, b""),
            // GET, http, and three that the table keeps.
            frame(1, 5, 1, b"\x82\x86\x44\x02/a\x41\x01h\x40\x01x\x01y"),
            frame(0, 0, 1, b"PRI * \x01"),
            // All of it by reference: x, :authority, :path.
            frame(1, 4, 3, b"\x82\x86\xc0\xbf\xbe"),
            // A target to be encoded, which the table keeps as it was sent.
            frame(
                1,
                0x2d,
                5,
                b"\x02\0\0\0\0\x10\x82\x86\x44\x03/\"\xff\xbf\0\0",
            ),
            frame(8, 0, 0, b"\0\0\0\x01"),
            frame(1, 1, 7, b"\x82\x86"),
            frame(9, 0, 7, b"\xbe"),
            frame(9, 4, 7, b"\xc0"),
            // Trailers of nothing, and a target that is refused.
            frame(1, 5, 3, b""),
            frame(1, 5, 9, b"\x82\x86\x04\x03/#a"),
            frame(1, 5, 11, b"\x82\x86\xc1\xc0\xbf"),
        ]
        .concat();
        let expected = [
            "frame 4",
            "1 1 :method=GET :scheme=http :path=/a :authority=h x=y",
            "frame 0",
            "3 0 :method=GET :scheme=http :path=/a :authority=h x=y",
            "5 1 :method=GET :scheme=http :path=/%22%FF x=y",
            "frame 8",
            "7 1 :method=GET :scheme=http :path=/%22%FF :authority=h",
            "3 1",
            "9 1 :method=GET :scheme=http :authority=refused :path=/\\\"6",
            "11 1 :method=GET :scheme=http :path=/a :authority=h x=y",
        ];
        for piece in [1, 2, 7, 20, sent.len()] {
            assert_eq!(
                understood(&through(&sent, piece)),
                expected,
                "pieces of {piece}"
            );
        }
    }

    /// Nothing is changed on a connection that needs nothing.
    #[test]
    fn ordinary_connections_pass_as_they_are() {
        let sent = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(1, 4, 1, b"\x83\x86\x44\x02/a\x41\x01h"),
            frame(0, 1, 1, b"topic=a"),
            frame(1, 0x0d, 3, b"\x01\x82\x86\x84\xbe\0"),
        ]
        .concat();
        for piece in [1, 9, sent.len()] {
            assert_eq!(through(&sent, piece), sent);
        }
    }

    /// What is no block passes as it is, or as something that h2 refuses, and so does all after it.
    #[test]
    fn broken_connections_stay_broken() {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let changed = frame(1, 5, 1, b"\x82\x86\x04\x02/\"");
        let endless = [
            frame(1, 1, 3, b"\x82"),
            frame(9, 0, 3, b"").repeat(MOST_FRAMES),
        ]
        .concat();
        for broken in [
            frame(1, 5, 3, b"\x80"),
            frame(1, 0xd, 3, b"\x09"),
            frame(1, 0x25, 3, b"\0\0"),
            [frame(1, 1, 3, b"\x82"), frame(0, 0, 3, b"")].concat(),
            [frame(1, 1, 3, b"\x82"), frame(9, 4, 5, b"\x82")].concat(),
            endless,
        ] {
            let later = frame(1, 5, 7, b"\x82\x86\x04\x02/\"");
            let sent = [&preface[..], &broken, &later].concat();
            assert_eq!(through(&sent, sent.len()), sent);
            let sent = [&preface[..], &changed, &broken, &later].concat();
            let read = through(&sent, sent.len());
            let error = frame(HEADERS, END_HEADERS, 3, b"\x80");
            assert!(
                read.windows(error.len()).any(|window| window == error),
                "{read:?}"
            );
        }
    }
}

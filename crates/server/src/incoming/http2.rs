//! The requests of an HTTP/2 connection (RFC 9113).
//!
//! h2 resets a stream for a `:path` that `http` does not take, and the whole connection for one that is
//! not UTF-8. So header blocks are read here first. As long as none has to be changed they pass as they
//! are. From the first one on that has, each is written anew, without compression: h2's table does
//! not follow the client's any more, and nothing may refer to it.

use bytes::Bytes;
use http::uri::Authority;

use super::frames::{Block, FRAME_HEAD_BYTES, Frame, HEADERS, NotABlock, write_block};
use super::hpack::{self, Decoder, Field};
use super::layer::{Reader, Rest};
use super::{Fault, HEAD_BYTES, TARGET_BYTES, target};

const PREFACE_BYTES: usize = 24;

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
    let position = |wanted: &str| fields.iter().position(|(name, _)| name == wanted);
    let at = position(":path")?;
    let authority = position(":authority").map(|at| &fields[at].1);
    if authority.is_some_and(|text| Authority::try_from(text.as_ref()).is_err()) {
        return Some(refused(Fault::Authority));
    }
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

#[cfg(test)]
mod tests {
    use super::super::frames::{END_HEADERS, MOST_FRAMES};
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

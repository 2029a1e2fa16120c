//! The requests of an HTTP/2 connection (RFC 9113).
//!
//! h2 resets a stream for a `:path` that `http` does not take, and the whole connection for one that is
//! not UTF-8. So header blocks are read here first. As long as none has to be changed they pass as they
//! are. From the first one on that has, each is written anew, without compression: h2's table does
//! not follow the client's any more, and nothing may refer to it. References can make a block of a few
//! bytes a megabyte long, so the decoder bounds what they add.
//!
//! h2 answers a malformed head with a reset, or ends the connection for it. So [`fields::judge`] refuses what
//! is malformed. What is not a header block at all, and malformed trailers, h2 still ends the connection
//! or the stream for.

use bytes::Bytes;

use super::fields::{self, is_head};
use super::frames::{
    Block, END_STREAM, FRAME_HEAD_BYTES, Frame, HEADERS, NotABlock, PUSH_PROMISE, id, write_block,
};
use super::hpack::{self, Decoder, Field};
use super::layer::{Reader, Rest};
use super::{Fault, HEAD_BYTES, HTTP2_FIELDS};

const PREFACE_BYTES: usize = 24;
/// The most fields of a block: those of a request, with `:method`, `:scheme`, `:authority` and `:path`.
const MOST_FIELDS: usize = HTTP2_FIELDS + 4;

/// Finds the header blocks of requests.
pub struct Http2 {
    /// Bytes that are not of a header block, up to the next frame's head.
    passing: usize,
    decoder: Decoder,
    state: State,
    /// The newest stream. A block of an older one carries trailers.
    newest: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Every block passed as it was.
    Mirroring,
    /// A block was written anew.
    Writing,
    /// h2 ends the connection.
    Broken,
}

impl Http2 {
    /// From the preface on.
    pub fn new() -> Self {
        Self {
            passing: PREFACE_BYTES,
            decoder: Decoder::new(),
            state: State::Mirroring,
            newest: 0,
        }
    }

    /// Replaces what is not a block by what h2 ends the connection for, so that the two tables never go on
    /// with different entries.
    fn give_up(&mut self, received: usize, stream: [u8; 4]) -> Rest {
        self.state = State::Broken;
        let mut broken = Vec::new();
        // An index of 0 is an error (RFC 7541, section 6.1).
        write_block(&[0x80], 0, stream, &mut broken);
        Rest::Replaced(received, broken)
    }

    /// What replaces a complete block, if anything has to.
    fn replacement(&mut self, block: &Block<'_>) -> Option<Rest> {
        let read = self.decoder.read(&block.fragment, MOST_FIELDS, HEAD_BYTES);
        let Ok(read) = read else {
            return Some(self.give_up(block.received, block.stream));
        };
        let is_request = id(block.stream) > self.newest;
        self.newest = self.newest.max(id(block.stream));
        let changed = match () {
            () if read.are_too_many => Err(Fault::HeadTooLarge),
            () if is_request => fields::judge(&read.fields, block.flags & END_STREAM != 0),
            () => Ok(None),
        };
        if changed == Ok(None) && self.state == State::Mirroring {
            return None;
        }
        self.state = State::Writing;
        let is_head = is_head(&read.fields);
        let fields = match changed {
            Err(fault) => refused(fault, is_head),
            Ok(changed) => changed.unwrap_or(read.fields),
        };
        let mut fragment = Vec::new();
        fields
            .iter()
            .for_each(|field| hpack::write(field, &mut fragment));
        let mut frames = Vec::new();
        write_block(&fragment, block.flags, block.stream, &mut frames);
        Some(Rest::Replaced(block.received, frames))
    }
}

/// The request that stands for one at fault. A `HEAD` request stays one, because its answer has no body.
fn refused(fault: Fault, is_head: bool) -> Vec<Field> {
    [
        (":method", if is_head { "HEAD" } else { "GET" }),
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
            if frame.kind == PUSH_PROMISE {
                return (at, self.give_up(left.len(), frame.stream));
            }
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
                Err(NotABlock) => Some(self.give_up(left.len(), frame.stream)),
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
    use super::super::layer;
    use super::*;

    /// What hyper reads of these bytes, if they come in pieces.
    fn through(sent: &[u8], piece: usize) -> Vec<u8> {
        layer::through(Http2::new(), sent, piece)
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
            let read = decoder.read(&block.fragment, MOST_FIELDS, HEAD_BYTES);
            let fields = read.unwrap().fields;
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
        let refused = format!(
            "9 1 :method=GET :scheme=http :authority=refused :path={}",
            Fault::Fragment.target().as_bytes().escape_ascii()
        );
        let expected = [
            "frame 4",
            "1 1 :method=GET :scheme=http :path=/a :authority=h x=y",
            "frame 0",
            "3 0 :method=GET :scheme=http :path=/a :authority=h x=y",
            "5 1 :method=GET :scheme=http :path=/%22%FF x=y",
            "frame 8",
            "7 1 :method=GET :scheme=http :path=/%22%FF :authority=h",
            "3 1",
            &refused,
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

    /// References to one long entry of the table: each block of 300 bytes means a megabyte. Each is refused,
    /// the table goes on, and a `HEAD` request stays one.
    #[test]
    fn references_do_not_make_blocks_longer() {
        let mut entry = b"\x82\x86\x84\x40\x01x\x7f\xa1\x1e".to_vec();
        entry.resize(entry.len() + 4000, b'a');
        let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        sent.extend(frame(1, 5, 1, b"\x82\x86\x04\x02/\""));
        write_block(&entry, END_STREAM, [0, 0, 0, 3], &mut sent);
        for stream in (5..255).step_by(2) {
            let block = [&b"\x02\x04HEAD\x86\x84"[..], &[0xbe; 240]].concat();
            sent.extend(frame(1, 5, stream, &block));
        }
        sent.extend(frame(1, 5, 255, b"\x82\x86\x84\xbe\xbe"));
        let read = through(&sent, sent.len());
        assert!(read.len() < 2 * sent.len(), "{}", read.len());
        let found = understood(&read);
        let refused = format!(
            "1 :method=HEAD :scheme=http :authority=refused :path={}",
            Fault::HeadTooLarge.target().as_bytes().escape_ascii()
        );
        assert_eq!(found.len(), 128);
        assert!(found[2..127].iter().all(|found| found.ends_with(&refused)));
        assert!(found[127].len() > 8000, "two references are ordinary");
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

    /// What is not a block becomes something that h2 ends the connection for: also what h2 would not read
    /// into its table, or would read into it behind our back.
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
            frame(1, 0x25, 3, b"\x80\0\0\x03\0\x82\x86\x84\x40\x01x\x01y"),
            frame(5, 4, 3, b"\0\0\0\x02\x82\x86\x84\x40\x01x\x01y"),
            frame(1, 5, 3, b"\x82\x86\x84\x40\0\x01y"),
            [
                frame(1, 1, 3, b"\x82\x86\x84\x40\0\x01y"),
                frame(9, 4, 3, b"\x40\x01x\x01y"),
            ]
            .concat(),
            [frame(1, 1, 3, b"\x82"), frame(0, 0, 3, b"")].concat(),
            [frame(1, 1, 3, b"\x82"), frame(9, 4, 5, b"\x82")].concat(),
            endless,
        ] {
            let later = frame(1, 5, 7, b"\x82\x86\x04\x02/\"");
            let error = frame(HEADERS, END_HEADERS, 3, b"\x80");
            for before in [&b""[..], &changed] {
                let sent = [&preface[..], before, &broken, &later].concat();
                let read = through(&sent, sent.len());
                assert!(
                    read.windows(error.len()).any(|window| window == error),
                    "{read:?}"
                );
            }
        }
    }
}

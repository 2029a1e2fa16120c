//! The requests of an HTTP/2 connection (RFC 9113).
//!
//! h2 resets a stream because of a `:path` that `http` does not accept, and ends the connection because of one that
//! is not UTF-8. So header blocks are read here first. Blocks pass as they are until the first one that must be
//! changed. From then on each is written anew, without compression: h2's table does not follow the client's any
//! more, so nothing may refer to it. References can make a block of a few bytes a megabyte long, so the decoder
//! bounds what they add.
//!
//! h2 answers a malformed head with a reset, or ends the connection. So [`fields::judge`] refuses malformed heads.
//! h2 still ends the connection or the stream because of malformed trailers, and of what is not a header block at
//! all. A block that is too long is refused before its end has come. Its rest is dropped, and no further block can
//! be read on the connection, because the table lacks the entries of the rest.
//!
//! Frames that ask for nothing are counted ([`Allowance`]). A client that sends too many of them gets
//! `ENHANCE_YOUR_CALM`, and its connection ends.

use talaria_config::settings::HeadSettings;

use super::allowance::Allowance;
use super::fault::Fault;
use super::fields::{self, PSEUDO_FIELDS, is_head, refused};
use super::frames::{
    Block, CONTINUATION, END_HEADERS, END_STREAM, FRAME_HEAD_BYTES, Frame, HEADERS, NotABlock,
    PUSH_PROMISE, id, most_frames, write_block, write_frame,
};
use super::hpack::{self, Decoder, Field};
use super::reader::{Reader, Rest};

const PREFACE_BYTES: usize = 24;

/// Finds the header blocks of requests.
pub(crate) struct Http2 {
    /// Bytes that are not of a header block, up to the next frame's head.
    passing: usize,
    bounds: HeadSettings,
    decoder: Decoder,
    allowance: Allowance,
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
    /// The rest of a refused block is dropped.
    Dropping { left: usize, is_last: bool },
    /// A block was not read to its end, so that no further one can be read.
    Lost,
    /// h2 ends the connection.
    Broken,
}

impl Http2 {
    /// A reader for a connection that begins with the preface.
    pub(crate) fn new(bounds: HeadSettings) -> Self {
        Self {
            passing: PREFACE_BYTES,
            bounds,
            decoder: Decoder::new(),
            allowance: Allowance::new(),
            state: State::Mirroring,
            newest: 0,
        }
    }

    /// Replaces what is not a block by something that makes h2 end the connection, so that the two tables never
    /// continue with different entries.
    fn break_off(&mut self, received: usize, stream: [u8; 4]) -> Rest {
        self.state = State::Broken;
        let mut broken = Vec::new();
        // An index of 0 is an error (RFC 7541, section 6.1).
        write_block(&[0x80], 0, stream, &mut broken);
        Rest::Replaced(received, broken)
    }

    /// A block that does not end, for which h2 ends the connection with `ENHANCE_YOUR_CALM`.
    fn calm_down(&mut self) -> Vec<u8> {
        self.state = State::Broken;
        let stream = ((self.newest + 1) | 1).to_be_bytes();
        let mut endless = Vec::new();
        write_frame(&[], HEADERS, 0, stream, &mut endless);
        for _ in 0..=most_frames(self.bounds.bytes) {
            write_frame(&[], CONTINUATION, 0, stream, &mut endless);
        }
        endless
    }

    /// Refuses a request whose block is too long already, and drops the part of the block that has come.
    fn refuse_long(&mut self, begun: &[u8], stream: [u8; 4]) -> Rest {
        let (mut at, mut last, mut flags) = (0, None, 0);
        // The head of the last frame may not have come as a whole; it is read with the rest.
        while at <= begun.len()
            && let Some(frame) = Frame::read(&begun[at..])
        {
            at += FRAME_HEAD_BYTES + frame.length;
            flags |= frame.flags & END_STREAM;
            last = Some(frame);
        }
        let is_last = last.is_some_and(|frame| frame.flags & END_HEADERS != 0);
        self.state = State::Dropping {
            left: at.saturating_sub(begun.len()),
            is_last,
        };
        self.newest = self.newest.max(id(stream));
        let mut frames = Vec::new();
        let fields = refused(Fault::HeadTooLarge, false);
        write_block(&written(&fields), flags, stream, &mut frames);
        Rest::Replaced(at.min(begun.len()), frames)
    }

    /// Drops bytes of the block that was refused.
    fn drop_rest(&mut self, bytes: &[u8], left: usize, is_last: bool) -> Option<Rest> {
        let (here, left, is_last) = if left > 0 {
            let here = left.min(bytes.len());
            (here, left - here, is_last)
        } else {
            let frame = Frame::read(bytes)?;
            if frame.kind != CONTINUATION || !self.allowance.allows(frame.kind) {
                return Some(Rest::Replaced(bytes.len(), self.calm_down()));
            }
            let is_last = frame.flags & END_HEADERS != 0;
            (FRAME_HEAD_BYTES, frame.length, is_last)
        };
        self.state = match left {
            0 if is_last => State::Lost,
            left => State::Dropping { left, is_last },
        };
        Some(Rest::Replaced(here, Vec::new()))
    }

    /// What replaces a complete block, if it must be replaced.
    fn replacement(&mut self, block: &Block<'_>) -> Option<Rest> {
        let most = self.bounds.fields + PSEUDO_FIELDS;
        let read = self.decoder.read(&block.fragment, most, self.bounds.bytes);
        let Ok(read) = read else {
            return Some(self.break_off(block.received, block.stream));
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
        let mut frames = Vec::new();
        write_block(&written(&fields), block.flags, block.stream, &mut frames);
        Some(Rest::Replaced(block.received, frames))
    }
}

/// The fields as a fragment that no table keeps.
fn written(fields: &[Field]) -> Vec<u8> {
    let mut fragment = Vec::new();
    fields
        .iter()
        .for_each(|field| hpack::write(field, &mut fragment));
    fragment
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
            if let State::Dropping {
                left: rest,
                is_last,
            } = self.state
            {
                match self.drop_rest(left, rest, is_last) {
                    Some(dropped) => return (at, dropped),
                    None => break,
                }
            }
            let Some(frame) = Frame::read(left) else {
                break;
            };
            if frame.kind == PUSH_PROMISE {
                return (at, self.break_off(left.len(), frame.stream));
            }
            if frame.kind != HEADERS {
                if !self.allowance.allows(frame.kind) {
                    return (at, Rest::Replaced(left.len(), self.calm_down()));
                }
                self.passing = FRAME_HEAD_BYTES + frame.length;
                continue;
            }
            if self.state == State::Lost {
                return (at, Rest::Replaced(left.len(), self.calm_down()));
            }
            let replaced = match Block::read(left, most_frames(self.bounds.bytes)) {
                Ok(None) if left.len() >= self.bounds.bytes => {
                    Some(self.refuse_long(left, frame.stream))
                }
                Ok(None) => break,
                Ok(Some(block)) => {
                    let replaced = self.replacement(&block);
                    if replaced.is_none() {
                        self.passing = block.received;
                    }
                    replaced
                }
                Err(NotABlock) => Some(self.break_off(left.len(), frame.stream)),
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

    fn is_within_head(&self) -> bool {
        matches!(self.state, State::Dropping { .. })
    }

    fn give_up(&mut self, _: Fault, _: &[u8]) -> Vec<u8> {
        self.calm_down()
    }

    fn sent(&mut self, bytes: usize) {
        self.allowance.earn(bytes);
    }
}

#[cfg(test)]
mod tests;

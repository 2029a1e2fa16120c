//! The request on a stream of HTTP/3 (RFC 9114, section 4.1).
//!
//! h3 keeps a frame until all of it has come, however long it is, and resets a stream without a word because of a
//! head that is malformed. So frames are read here first: a head is measured while it comes, decoded, and judged as
//! over HTTP/2. What is at fault is replaced by a request that stands for the [`Fault`]. DATA frames pass without a
//! copy, and frames of unknown types and trailers, which nothing reads, are skipped.

mod control;
mod frame;

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use talaria_config::settings::HeadSettings;

use self::frame::{DATA, FrameHead, HEADERS, Partial, split};
use super::fault::Fault;
use super::fields::{self, PSEUDO_FIELDS, is_head, refused};
use super::hpack::Field;
use super::qpack;
use crate::serve::admission::{HeadMemory, Place};

pub(crate) use self::control::Unidirectional;

/// By how many bytes the buffer of a head grows, at first and later.
const FIRST_STEP: usize = 4 * 1024;
const STEP: usize = 16 * 1024;
/// A block that refers to a dynamic table, because of which h3 ends the connection as RFC 9204 asks (section 2.2).
const NOT_A_BLOCK: &[u8] = b"\0\0\x80";

/// The stream ended within a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream ended within a frame")]
pub(crate) struct Truncated;

/// Reads the frames of one request.
pub(crate) struct Http3 {
    bounds: HeadSettings,
    /// Counts the memory of the head.
    place: Place,
    state: State,
    partial: Partial,
    has_head: bool,
    has_body: bool,
    /// The beginning of the head, until the rest has come.
    held: BytesMut,
    memory: Option<HeadMemory>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between two frames.
    Between,
    /// Within the head.
    Head(u64),
    /// Within a frame that h3 reads.
    Passing(u64),
    /// Within a frame that is dropped.
    Skipping(u64),
    /// The rest of the stream does not matter.
    Over,
}

impl State {
    /// Within a frame with this many bytes left, or after it.
    fn within(left: u64, state: impl Fn(u64) -> Self) -> Self {
        match left {
            0 => Self::Between,
            left => state(left),
        }
    }
}

impl Http3 {
    /// A reader for the beginning of a stream, on the connection that has this place.
    pub(crate) fn new(bounds: HeadSettings, place: Place) -> Self {
        Self {
            bounds,
            place,
            state: State::Between,
            partial: Partial::default(),
            has_head: false,
            has_body: false,
            held: BytesMut::new(),
            memory: None,
        }
    }

    /// Whether the head has come, or what stands for it.
    pub(crate) fn has_head(&self) -> bool {
        self.has_head
    }

    /// Whether a part of the body has come.
    pub(crate) fn has_body(&self) -> bool {
        self.has_body
    }

    /// Reads what has come, and adds what h3 reads of it.
    pub(crate) fn read(&mut self, mut bytes: Bytes, into: &mut VecDeque<Bytes>) {
        while !bytes.is_empty() {
            self.state = match self.state {
                State::Over => return,
                State::Between => match self.partial.head(&mut bytes) {
                    None => return,
                    Some(head) => self.begin(head, into),
                },
                State::Head(left) => self.head(&mut bytes, left, into),
                State::Passing(left) => {
                    let (part, left) = split(&mut bytes, left);
                    into.push_back(part);
                    State::within(left, State::Passing)
                }
                State::Skipping(left) => {
                    let (_, left) = split(&mut bytes, left);
                    State::within(left, State::Skipping)
                }
            };
        }
    }

    /// Notes that the stream has ended.
    ///
    /// # Errors
    /// It ended within a frame of the body.
    pub(crate) fn end(&mut self, into: &mut VecDeque<Bytes>) -> Result<(), Truncated> {
        match self.state {
            State::Passing(_) => Err(Truncated),
            State::Between if self.partial.is_empty() => Ok(()),
            State::Over => Ok(()),
            State::Between | State::Head(_) | State::Skipping(_) => {
                // The beginning of a frame, because of which h3 ends the connection (RFC 9114, section 7.1).
                let kind = HEADERS;
                into.push_back(FrameHead { kind, length: 1 }.written());
                Ok(())
            }
        }
    }

    /// Stops waiting for the rest of the head, and gives h3 what stands for it.
    pub(crate) fn give_up(&mut self, fault: Fault, into: &mut VecDeque<Bytes>) {
        self.replace(&refused(fault, false), into);
        self.state = State::Over;
    }

    fn begin(&mut self, head: FrameHead, into: &mut VecDeque<Bytes>) -> State {
        match head.kind {
            HEADERS if !self.has_head => {
                if head.length <= self.bounds.bytes as u64 && head.length > 0 {
                    return State::Head(head.length);
                }
                let block: &[Field] = &refused(Fault::HeadTooLarge, false);
                match head.length {
                    0 => self.pass(NOT_A_BLOCK.into(), into),
                    _ => self.replace(block, into),
                }
                State::within(head.length, State::Skipping)
            }
            // Nothing reads the trailers, and nothing may follow them.
            HEADERS => State::Over,
            DATA => {
                self.has_body = true;
                into.push_back(head.written());
                State::within(head.length, State::Passing)
            }
            _ => {
                if head.is_known() {
                    // h3 ends the connection because of its type.
                    into.push_back(FrameHead { length: 0, ..head }.written());
                }
                State::within(head.length, State::Skipping)
            }
        }
    }

    /// Takes more of the head, and judges it once it is complete.
    fn head(&mut self, bytes: &mut Bytes, left: u64, into: &mut VecDeque<Bytes>) -> State {
        let (part, left) = split(bytes, left);
        if left == 0 && self.held.is_empty() {
            self.judge(part, into);
            return State::Between;
        }
        if self.hold(&part).is_err() {
            self.replace(&refused(Fault::Busy, false), into);
            return State::within(left, State::Skipping);
        }
        if left > 0 {
            return State::Head(left);
        }
        let block = std::mem::take(&mut self.held).freeze();
        self.judge(block, into);
        State::Between
    }

    /// Holds a part of the head.
    ///
    /// # Errors
    /// Heads hold all the memory that they may.
    fn hold(&mut self, part: &[u8]) -> Result<(), Fault> {
        let needed = self.held.len() + part.len();
        if needed > self.held.capacity() {
            let step = if needed > STEP { STEP } else { FIRST_STEP };
            let capacity = needed.next_multiple_of(step);
            self.memory = None;
            self.memory = self.place.head(capacity).map_err(|_| Fault::Busy)?;
            let mut held = BytesMut::with_capacity(capacity);
            held.extend_from_slice(&self.held);
            self.held = held;
        }
        self.held.extend_from_slice(part);
        Ok(())
    }

    fn judge(&mut self, block: Bytes, into: &mut VecDeque<Bytes>) {
        let most = self.bounds.fields + PSEUDO_FIELDS;
        let Ok(read) = qpack::read(&block, most, self.bounds.bytes) else {
            return self.pass(NOT_A_BLOCK.into(), into);
        };
        let judged = match read.are_too_many {
            true => Err(Fault::HeadTooLarge),
            // Whether a body follows is known only when the stream has ended.
            false => fields::judge(&read.fields, false),
        };
        match judged {
            Ok(None) => self.pass(block, into),
            Ok(Some(fields)) => self.replace(&fields, into),
            Err(fault) => self.replace(&refused(fault, is_head(&read.fields)), into),
        }
    }

    fn replace(&mut self, fields: &[Field], into: &mut VecDeque<Bytes>) {
        self.pass(qpack::write(fields).into(), into);
    }

    /// Gives h3 a block, and lets go of what was held.
    fn pass(&mut self, block: Bytes, into: &mut VecDeque<Bytes>) {
        self.has_head = true;
        self.held = BytesMut::new();
        self.memory = None;
        let (kind, length) = (HEADERS, block.len() as u64);
        into.push_back(FrameHead { kind, length }.written());
        into.push_back(block);
    }
}

#[cfg(test)]
mod tests;

//! What a client sends on a unidirectional stream of HTTP/3 (RFC 9114, section 6.2).
//!
//! h3 keeps a frame until all of it has come, however long it is. So the frames of the control stream are measured
//! here: those of unknown types are skipped, and a known one must be short.

use std::collections::VecDeque;

use bytes::Bytes;

use super::frame::{
    CANCEL_PUSH, FrameHead, GOAWAY, MAX_PUSH_ID, Partial, SETTINGS, split, written,
};

/// The type of the control stream.
const CONTROL: u64 = 0x0;
/// The most bytes of a frame on the control stream. SETTINGS of ordinary clients have less than a hundred.
const FRAME_BYTES: u64 = 1024;

/// A frame of the control stream is longer than any that an ordinary client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame on the control stream is longer than {FRAME_BYTES} bytes")]
pub(crate) struct TooLong;

/// Reads one unidirectional stream before h3 does.
#[derive(Debug, Default)]
pub(crate) struct Unidirectional {
    state: State,
    partial: Partial,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The type of the stream has not come.
    #[default]
    Beginning,
    /// The stream is not the control stream. h3 reads its type, and nothing else.
    Other,
    /// Between two frames of the control stream.
    Between,
    /// Within a frame that h3 reads.
    Passing(u64),
    /// Within a frame that is dropped.
    Skipping(u64),
}

impl Unidirectional {
    /// Reads what has come, and adds what h3 reads of it.
    ///
    /// # Errors
    /// A frame of the control stream is too long.
    pub(crate) fn read(
        &mut self,
        mut bytes: Bytes,
        into: &mut VecDeque<Bytes>,
    ) -> Result<(), TooLong> {
        while !bytes.is_empty() {
            self.state = match self.state {
                State::Other => return Ok(()),
                State::Beginning => match self.partial.integer(&mut bytes) {
                    None => return Ok(()),
                    Some(kind) => {
                        into.push_back(written(kind));
                        match kind {
                            CONTROL => State::Between,
                            _ => State::Other,
                        }
                    }
                },
                State::Between => match self.partial.head(&mut bytes) {
                    None => return Ok(()),
                    Some(head) => begin(head, into)?,
                },
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
        Ok(())
    }
}

/// What becomes of a frame on the control stream.
fn begin(head: FrameHead, into: &mut VecDeque<Bytes>) -> Result<State, TooLong> {
    let is_allowed = [CANCEL_PUSH, SETTINGS, GOAWAY, MAX_PUSH_ID].contains(&head.kind);
    if is_allowed && head.length > FRAME_BYTES {
        return Err(TooLong);
    }
    if is_allowed {
        into.push_back(head.written());
        return Ok(State::within(head.length, State::Passing));
    }
    if head.is_known() {
        // h3 ends the connection because of its type.
        into.push_back(FrameHead { length: 0, ..head }.written());
    }
    Ok(State::within(head.length, State::Skipping))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What h3 gets of a stream, whatever the pieces that the stream comes in.
    fn read(stream: &[u8]) -> Result<Vec<u8>, TooLong> {
        let mut outcomes = Vec::new();
        for size in [1, 2, 7, stream.len()] {
            let mut reader = Unidirectional::default();
            let mut into = VecDeque::new();
            let mut pieces = stream.chunks(size).map(Bytes::copy_from_slice);
            let outcome = pieces.try_for_each(|piece| reader.read(piece, &mut into));
            let read: Vec<u8> = into.into_iter().flatten().collect();
            outcomes.push(outcome.map(|()| read));
        }
        assert!(outcomes.iter().all(|one| *one == outcomes[0]), "{stream:?}");
        outcomes.swap_remove(0)
    }

    #[test]
    fn unknown_frames_are_skipped() {
        let stream = b"\x00\x21\x03abc\x04\x02\x06\x05\x40\x21\x00\x07\x01\x04";
        assert_eq!(read(stream).unwrap(), b"\x00\x04\x02\x06\x05\x07\x01\x04");
    }

    /// A frame that does not belong there is passed on without its content, so that h3 refuses it at once.
    #[test]
    fn forbidden_frames_lose_their_content() {
        assert_eq!(
            read(b"\x00\x01\x80\x01\x00\x00abc").unwrap(),
            b"\x00\x01\x00"
        );
        assert_eq!(
            read(b"\x00\x06\x02ab\x04\x00").unwrap(),
            b"\x00\x06\x00\x04\x00"
        );
    }

    #[test]
    fn long_frames_end_the_connection() {
        assert_eq!(read(b"\x00\x04\x44\x01"), Err(TooLong));
        assert!(read(b"\x00\x04\x44\x00").is_ok());
    }

    /// Of other streams h3 reads the type alone.
    #[test]
    fn other_streams_pass_their_type() {
        assert_eq!(read(b"\x02anything").unwrap(), b"\x02");
        assert_eq!(read(b"\x40\x54anything").unwrap(), b"\x40\x54");
    }
}

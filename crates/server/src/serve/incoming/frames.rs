//! The frames of HTTP/2 that carry header blocks (RFC 9113, sections 4 and 6.2).

use std::borrow::Cow;

/// The length of a frame's head (section 4.1).
pub(super) const FRAME_HEAD_BYTES: usize = 9;
/// The largest frame that is accepted: the default, which hyper does not change (section 4.2).
const FRAME_BYTES: usize = 16 * 1024;

/// The most CONTINUATION frames of one block that h2 accepts for heads of at most `head_bytes` bytes: as many as
/// such a head fills and a quarter more, at least 5, and the last one.
pub(super) fn most_frames(head_bytes: usize) -> usize {
    let full = (head_bytes / FRAME_BYTES).max(1);
    (full + full / 4).max(5) + 1
}

/// The type of frames with bytes of a body.
pub(super) const DATA: u8 = 0;
/// The type of frames that are acknowledged.
pub(super) const SETTINGS: u8 = 4;
/// The type of frames that are answered.
pub(super) const PING: u8 = 6;
/// The type of the frame that begins a block.
pub(super) const HEADERS: u8 = 1;
/// The type of the frames that continue a block.
pub(super) const CONTINUATION: u8 = 9;
/// A server must not receive this frame, which carries a block, too (section 8.4).
pub(super) const PUSH_PROMISE: u8 = 5;
/// The flag of a request without a body.
pub(super) const END_STREAM: u8 = 0x1;
/// The flag of the frame that ends a block.
pub(super) const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;

/// The head of a frame (section 4.1).
pub(super) struct Frame {
    /// The length of its payload.
    pub length: usize,
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// The stream, as four bytes.
    pub stream: [u8; 4],
}

impl Frame {
    /// `None` if not all of it has come.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let [a, b, c, kind, flags, stream @ ..] = bytes.first_chunk::<FRAME_HEAD_BYTES>()?;
        Some(Self {
            length: usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c),
            kind: *kind,
            flags: *flags,
            stream: *stream,
        })
    }
}

/// A header block, all of whose frames came (section 4.3).
pub(super) struct Block<'a> {
    /// The length of its frames.
    pub received: usize,
    /// The flags that say something about the stream.
    pub flags: u8,
    /// The stream, as four bytes.
    pub stream: [u8; 4],
    /// What is compressed.
    pub fragment: Cow<'a, [u8]>,
}

/// The frames of a block break off.
pub(super) struct NotABlock;

impl<'a> Block<'a> {
    /// Reads the frames of a block; `None` if not all of them have come.
    ///
    /// # Errors
    ///
    /// The frames break off, are more than h2 accepts, or depend on their own stream.
    pub(super) fn read(bytes: &'a [u8], most_frames: usize) -> Result<Option<Self>, NotABlock> {
        let Some(received) = extent(bytes, most_frames)? else {
            return Ok(None);
        };
        let mut left = &bytes[..received];
        let mut block: Option<Self> = None;
        while let Some(frame) = Frame::read(left) {
            let (payload, rest) = left[FRAME_HEAD_BYTES..].split_at(frame.length);
            left = rest;
            match &mut block {
                None => {
                    block = Some(Self {
                        received,
                        flags: frame.flags & END_STREAM,
                        stream: frame.stream,
                        fragment: Cow::Borrowed(fragment(payload, &frame)?),
                    });
                }
                Some(block) if block.stream == frame.stream => {
                    block.fragment.to_mut().extend_from_slice(payload);
                }
                Some(_) => return Err(NotABlock),
            }
        }
        Ok(block)
    }
}

/// The length of the frames of a block; `None` if not all of them have come. It copies nothing, because every read
/// calls it again.
fn extent(bytes: &[u8], most_frames: usize) -> Result<Option<usize>, NotABlock> {
    let mut at = 0;
    let continued = std::iter::repeat_n(CONTINUATION, most_frames);
    for kind in std::iter::once(HEADERS).chain(continued) {
        let Some(frame) = bytes.get(at..).and_then(Frame::read) else {
            return Ok(None);
        };
        if frame.kind != kind || frame.length > FRAME_BYTES {
            return Err(NotABlock);
        }
        at += FRAME_HEAD_BYTES + frame.length;
        if frame.flags & END_HEADERS != 0 {
            return Ok(Some(at).filter(|at| *at <= bytes.len()));
        }
    }
    Err(NotABlock)
}

/// The payload of HEADERS without padding and priority (section 6.2).
fn fragment<'a>(payload: &'a [u8], frame: &Frame) -> Result<&'a [u8], NotABlock> {
    let flags = frame.flags;
    let (payload, padding) = match payload {
        [padding, rest @ ..] if flags & PADDED != 0 => (rest, usize::from(*padding)),
        payload if flags & PADDED == 0 => (payload, 0),
        _ => return Err(NotABlock),
    };
    let skipped = if flags & PRIORITY != 0 { 5 } else { 0 };
    let end = payload.len().checked_sub(padding).ok_or(NotABlock)?;
    let fragment = payload.get(skipped..end).ok_or(NotABlock)?;
    // h2 resets a stream that depends on itself, and does not read the block into its table.
    let depends_on_itself = payload[..skipped]
        .first_chunk()
        .is_some_and(|other| id(*other) == id(frame.stream));
    if depends_on_itself {
        return Err(NotABlock);
    }
    Ok(fragment)
}

/// The number of a stream, whose first bit says something else or nothing (section 4.1).
pub(super) fn id(stream: [u8; 4]) -> u32 {
    u32::from_be_bytes(stream) & 0x7fff_ffff
}

/// Appends the frames of a block.
pub(super) fn write_block(fragment: &[u8], flags: u8, stream: [u8; 4], into: &mut Vec<u8>) {
    let (mut kind, mut flags, mut left) = (HEADERS, flags, fragment);
    loop {
        let (chunk, rest) = left.split_at(left.len().min(FRAME_BYTES));
        if rest.is_empty() {
            flags |= END_HEADERS;
        }
        write_frame(chunk, kind, flags, stream, into);
        if rest.is_empty() {
            return;
        }
        (kind, flags, left) = (CONTINUATION, 0, rest);
    }
}

/// Appends a frame.
pub(super) fn write_frame(
    payload: &[u8],
    kind: u8,
    flags: u8,
    stream: [u8; 4],
    into: &mut Vec<u8>,
) {
    let length = u32::try_from(payload.len()).unwrap_or_default();
    into.extend_from_slice(&length.to_be_bytes()[1..]);
    into.extend_from_slice(&[kind, flags]);
    into.extend_from_slice(&stream);
    into.extend_from_slice(payload);
}

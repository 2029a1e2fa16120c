//! Chunks: the bytes of a few frames that are sent at a time.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use talaria_transport::Frame;

/// The most bytes of one chunk, unless a single update is larger.
pub(crate) const CHUNK_BYTES: usize = 32 * 1024;

/// The number of frames that fit into one chunk, and at least one if there is one.
pub(super) fn fitting(frames: &[Arc<Frame>]) -> usize {
    let mut bytes = 0;
    let fits = |frame: &&Arc<Frame>| {
        bytes += frame.bytes.len();
        bytes <= CHUNK_BYTES
    };
    frames
        .iter()
        .take_while(fits)
        .count()
        .max(usize::from(!frames.is_empty()))
}

/// Joins the bytes of frames to a chunk. The bytes of a single frame are shared, not copied.
pub(super) fn join(frames: &[Arc<Frame>]) -> Bytes {
    match frames {
        [only] => only.bytes.clone(),
        frames => {
            let length = frames.iter().map(|frame| frame.bytes.len()).sum();
            let mut chunk = BytesMut::with_capacity(length);
            frames
                .iter()
                .for_each(|frame| chunk.extend_from_slice(&frame.bytes));
            chunk.freeze()
        }
    }
}

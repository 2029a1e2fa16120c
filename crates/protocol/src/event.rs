//! Server-Sent Events: updates as bytes, and bytes as events.

mod decode;
mod encode;

pub use decode::{DEFAULT_MAX_EVENT_BYTES, DecodeError, Decoder, Event, Item, Items};
pub use encode::{COMMENT, decode_update, encode};

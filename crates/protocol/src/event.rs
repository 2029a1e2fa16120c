//! Server-Sent Events: updates as bytes, and bytes as events.

mod decode;
mod encode;

pub use decode::{Decoder, Event};
pub use encode::{COMMENT, encode};

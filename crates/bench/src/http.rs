//! The bench's side of HTTP/1.1: where the hub is, what is asked, and how answers are read.

pub(crate) mod error;
pub(crate) mod keep_alive;
pub(crate) mod response;
pub(crate) mod target;

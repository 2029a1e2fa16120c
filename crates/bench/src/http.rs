//! The bench's side of HTTP/1.1: whom it asks, and how it reads answers.

pub mod response;
pub mod target;

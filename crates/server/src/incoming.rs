//! What a connection brings before hyper reads it.
//!
//! hyper refuses request targets that the existing hub takes, cuts others at `#`, and answers what it
//! refuses without a body. So a layer below it reads each head first: it percent-encodes what hyper
//! would refuse, and replaces a head that is at fault by one whose target names the [`Fault`].

mod allowance;
mod fault;
mod fields;
mod follows;
mod frames;
mod head;
mod hpack;
mod http1;
mod http2;
mod layer;
mod target;

pub use fault::Fault;
pub use head::TLS;
pub use http1::Http1;
pub use http2::Http2;
pub use layer::{Bounds, Layer};

/// The bound of a request's target, in bytes once it is percent-encoded: that of `http::Uri`.
pub const TARGET_BYTES: usize = u16::MAX as usize - 1;

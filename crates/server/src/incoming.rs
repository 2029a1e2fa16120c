//! What a connection brings before hyper reads it.
//!
//! hyper refuses request targets that the existing hub takes, cuts others at `#`, and answers what it
//! refuses without a body. So a layer below it reads each head first: it percent-encodes what hyper
//! would refuse, and replaces a head that is at fault by one whose target names the [`Fault`].

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
pub use layer::Layer;

/// The bound of a request's head, in bytes (B-300). Longer lists of matchers go by `QUERY`.
pub const HEAD_BYTES: usize = (1 << 20) + (64 << 10);
/// The bound of a request's target, in bytes once it is percent-encoded: that of `http::Uri`.
pub const TARGET_BYTES: usize = u16::MAX as usize - 1;
/// The bound of the header fields of an HTTP/1.1 request: that of hyper.
pub const FIELDS: usize = 100;
/// The bound of the header fields of an HTTP/2 request, without pseudo-fields. h2 has one of its own far above,
/// beyond which it answers without a body.
pub const HTTP2_FIELDS: usize = 1000;

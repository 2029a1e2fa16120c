//! Reads request heads before hyper does.
//!
//! hyper refuses request targets that the existing hub accepts, cuts others at `#`, and refuses without a body.
//! So a layer below it reads each head first: it percent-encodes what hyper would refuse, and replaces a head
//! that is at fault by one whose target names the [`Fault`].

mod allowance;
mod fault;
mod fields;
mod follows;
mod frames;
mod half_closed;
mod head;
mod hpack;
mod http1;
mod http2;
mod http3;
mod layer;
mod qpack;
mod reader;
mod target;
#[cfg(test)]
mod through;

pub(crate) use fault::Fault;
pub(crate) use head::TLS;
pub(crate) use http1::Http1;
pub(crate) use http2::Http2;
pub(crate) use http3::{Http3, Unidirectional};
pub(crate) use layer::{Bounds, Layer};

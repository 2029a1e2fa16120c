//! An embeddable Mercure hub: the engine and its HTTP face.
//!
//! [`Hub::router`] is an axum `Router`, hence a tower `Service`; [`Hub::handle`] is the same
//! without a router. Updates take one way: `publish` judges a request and appends to the
//! transport, whose committer hands groups to the router; the router fills ring and lanes and
//! makes them visible; each subscriber's [`Cursor`] reads on from its own position.
#![forbid(unsafe_code)]

mod accept;
pub mod access;
mod body;
pub mod clock;
pub mod cors;
mod cursor;
mod drain;
mod host;
mod hub;
mod interest;
mod lane;
#[cfg(not(talaria_loom))]
#[cfg(test)]
mod laws;
pub mod limits;
mod metadata;
#[cfg(talaria_loom)]
#[cfg(test)]
mod models;
mod options;
pub mod origin;
mod outflow;
mod presence;
mod publish;
mod repeats;
mod respond;
mod router;
mod rule;
mod stream;
mod subscribe;
mod subscriptions;

use std::net::SocketAddr;

pub use cursor::{Cursor, Deadlines, End, Step};
pub use host::{HostError, host_of};
pub use hub::Hub;
pub use options::{HubOptions, UnknownCursor};
pub use outflow::Outflow;
pub use respond::{Unanswered, forbid_storing, plain, refusal};
pub use rule::Rule;
pub use stream::{Handover, Stream};

/// What a listener tells about the connection of a request, through the request's extensions.
/// Without it a request came over a plain connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Connection {
    /// Whether the client's connection is encrypted.
    pub tls: bool,
    /// The client's address, for the log.
    pub peer: Option<SocketAddr>,
}

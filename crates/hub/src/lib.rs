//! A [Mercure](https://mercure.rocks/spec) hub that an application embeds: browsers and other clients
//! subscribe to topics over HTTP and receive updates as server-sent events; the application and its
//! clients publish them.
//!
//! # A hub in an application
//!
//! [`Hub::builder`] puts a hub together, and [`Hub::router`] is an axum `Router` (so a tower `Service`)
//! for the hub's paths, to be merged with the application's own:
//!
//! ```
//! use axum::Router;
//! use axum::routing::get;
//! use talaria_hub::Hub;
//! use talaria_hub::access::Issuers;
//! use talaria_hub::protocol::Update;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let hub = Hub::builder(Issuers::default()).build()?;
//! let application: Router = Router::new()
//!     .route("/", get(|| async { "the application" }))
//!     .merge(hub.router());
//!
//! // In a browser: new EventSource("/.well-known/mercure?match=/books/1")
//! let id = hub.publish(Update::new("/books/1", "Iliad")).await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `examples/axum.rs` is a whole application of forty lines.
//!
//! # Publishing and subscribing in the process
//!
//! | | clients, over HTTP | the application |
//! |---|---|---|
//! | publish | `POST`, with a token that grants the topics | [`Hub::publish`], on every topic |
//! | subscribe | `GET` or `QUERY`; with a token, or without if [`anonymous`](HubBuilder::anonymous) | [`Hub::subscribe`], a `Stream` of updates |
//! | private updates | what the token grants | what the subscription [grants](SubscribeOptions::grant_all) |
//!
//! Either way an update takes the same path: it is checked, appended to the log and, once it is stored,
//! routed to every subscriber that selects one of its topics. A subscriber is a position in the log, not a
//! queue: however slowly it reads, it costs no more memory.
//!
//! # Tokens
//!
//! Clients are authorised by JWT access tokens of trusted issuers. An [`Issuer`](access::Issuer) has a
//! name and [keys](access::VerificationKey); a [`SigningKey`](access::SigningKey) makes tokens, for an
//! application that is its own issuer:
//!
//! ```
//! use talaria_hub::Hub;
//! use talaria_hub::access::{Algorithm, Issuer, Issuers, VerificationKey};
//! use talaria_hub::protocol::Base;
//!
//! let secret = "0123456789abcdef0123456789abcdef"; // From where the application keeps its secrets.
//! let key = VerificationKey::from_secret(secret, Algorithm::HS256)?;
//! let application = Issuer::new("https://app.example").subscriber(key);
//! let hub = Hub::builder(Issuers::new([application])?)
//!     .url(Base::new("https://app.example/.well-known/mercure")?)
//!     .build()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Storage, options and time
//!
//! Without further ado the log is in memory, bounded, and dies with the process. [`transport::History`]
//! is a durable one, and [`transport::Transport`] the trait of your own. [`HubOptions`] has all that can
//! be changed, and [`limits`] what clients may hold. [`clock::Clock`] is where the time comes from.
//!
//! # Stopping
//!
//! Streams do not end by themselves. [`Hub::drain`] ends them within a window, so that clients do not come
//! back all at once, and [`Hub::drained`] returns when the last one has ended:
//!
//! ```
//! use std::time::Duration;
//!
//! use talaria_hub::access::Issuers;
//! use talaria_hub::{End, Hub, SubscribeOptions};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let hub = Hub::builder(Issuers::default()).build()?;
//! let mut updates = hub.subscribe(SubscribeOptions::new().topic("*")).await?;
//! hub.drain(Duration::from_millis(10));
//! assert!(updates.next().await.is_none());
//! assert_eq!(updates.end(), Some(End::Drained));
//! hub.drained().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Servers of your own
//!
//! [`Hub::handle`] answers a request without a router. A listener that puts a [`Connection`] into the
//! request's extensions tells the hub about TLS and addresses, without which it cannot bound what one
//! client holds; with an [`Outflow`], the next chunk of a stream is made when the kernel has taken the
//! last one. A response with [`Unanswered`] in its extensions must not be sent. [`Handover`] gives a
//! stream's [`Cursor`] to a listener that drives it itself.
#![forbid(unsafe_code)]
#![warn(missing_debug_implementations, unreachable_pub)]

pub mod access;
mod builder;
pub mod clock;
mod embedded;
mod engine;
mod http;
mod hub;
pub mod limits;
mod options;
mod presence;
mod rule;

pub use talaria_protocol as protocol;
pub use talaria_transport as transport;

pub use crate::access::origin;
pub use crate::builder::{BuildError, HubBuilder};
pub use crate::embedded::publish::PublishError;
pub use crate::embedded::subscribe::{SubscribeError, SubscribeOptions};
pub use crate::embedded::updates::Updates;
pub use crate::engine::cursor::{Cursor, End, Step};
pub use crate::http::connection::{Connection, Sender};
pub use crate::http::host::{Authority, HostError, SiteOrigin, host_of, origin as origin_of};
pub use crate::http::outflow::Outflow;
pub use crate::http::respond::{Unanswered, forbid_storing, plain, refusal};
pub use crate::http::stream::Handover;
pub use crate::hub::Hub;
pub use crate::options::{HubOptions, UnknownCursor};
pub use crate::presence::PresenceOptions;
pub use crate::rule::Rule;

/// Compiles and runs what the README shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

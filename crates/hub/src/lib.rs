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
//! By default the log is in memory, bounded, and lost when the process ends. [`transport::History`]
//! is a durable one, and [`transport::Transport`] the trait of your own. [`HubOptions`] has all that can
//! be changed, and [`limits`] what clients may hold. [`clock::Clock`] is where the time comes from.
//!
//! A log whose [`Transport::nodes`](transport::Transport::nodes) is not `None` is one that several processes append
//! to. Each of their hubs delivers the updates of all, lists the subscriptions of all, ends those of processes that
//! died, and recognises publishes that were stored by another. The others see the subscriptions of a hub that was
//! taken for dead end, and begin again once it is back.
//!
//! # Stopping
//!
//! Streams do not end by themselves. [`Hub::drain`] ends them within a window, so that clients do not come
//! back all at once, and [`Hub::drained`] returns when the last one has ended. Put a timeout around it,
//! because a log that cannot store the ends of subscriptions would make it wait forever:
//!
//! ```
//! use std::time::Duration;
//!
//! use talaria_hub::access::Issuers;
//! use talaria_hub::{End, Hub, SubscribeOptions};
//! use tokio::time::timeout;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let hub = Hub::builder(Issuers::default()).build()?;
//! let mut updates = hub.subscribe(SubscribeOptions::new().topic("*")).await?;
//! hub.drain(Duration::from_millis(10));
//! assert!(updates.next().await.is_none());
//! assert_eq!(updates.end(), Some(End::Drained));
//! timeout(Duration::from_secs(10), hub.drained()).await?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Limits for each client
//!
//! The bounds of [`limits`] for one address and for one connection need a [`Connection`] in the extensions
//! of each request. `axum::serve` does not provide it. Without it all clients count as one address, and the
//! bounds for one connection do not apply. Make one for each connection, and add it to the requests with a
//! layer:
//!
//! ```no_run
//! use axum::Router;
//! use axum::extract::connect_info::{ConnectInfo, Connected};
//! use axum::extract::Request;
//! use axum::middleware::map_request;
//! use axum::serve::IncomingStream;
//! use talaria_hub::access::Issuers;
//! use talaria_hub::{Connection, Hub};
//! use tokio::net::TcpListener;
//!
//! #[derive(Clone)]
//! struct Peer(Connection);
//!
//! impl Connected<IncomingStream<'_, TcpListener>> for Peer {
//!     fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
//!         Self(Connection::new(false, *stream.remote_addr())) // `true` with TLS.
//!     }
//! }
//!
//! async fn add_connection(ConnectInfo(peer): ConnectInfo<Peer>, mut request: Request) -> Request {
//!     request.extensions_mut().insert(peer.0);
//!     request
//! }
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let hub = Hub::builder(Issuers::default())
//!     .configure(|options| options.budgets.streams.per_address = Some(100))
//!     .build()?;
//! let application: Router = hub.router().layer(map_request(add_connection));
//! let listener = TcpListener::bind("127.0.0.1:3000").await?;
//! axum::serve(listener, application.into_make_service_with_connect_info::<Peer>()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Behind a proxy, all clients have the proxy's address: set [`Connection::client`] to what a proxy that
//! you trust says.
//!
//! # Pages for people
//!
//! [`PageOptions`] adds the debugger, a page in the hub itself that subscribes, publishes and judges tokens:
//!
//! ```
//! use talaria_hub::Hub;
//! use talaria_hub::access::Issuers;
//!
//! let hub = Hub::builder(Issuers::default())
//!     .configure(|options| options.pages.debugger = true)
//!     .build()?;
//! # Ok::<(), talaria_hub::BuildError>(())
//! ```
//!
//! # Servers of your own
//!
//! [`Hub::handle`] answers a request without a router. A listener that puts a [`Connection`] into the
//! request's extensions tells the hub about TLS and addresses, without which it cannot bound what one
//! client holds; with an [`Outflow`], the next chunk of a stream is made when the kernel has taken the
//! last one; a [`Noted`] takes up whose token it is and for which topics. A response with [`Unanswered`] in its
//! extensions must not be sent. [`Handover`] gives a stream's [`Cursor`] to a listener that drives it itself. [`trace`]
//! tells a tracing system what requests and deliveries do.
#![forbid(unsafe_code)]
#![warn(missing_debug_implementations, unreachable_pub)]

pub mod access;
mod builder;
pub mod clock;
mod embedded;
mod engine;
mod figures;
mod http;
mod hub;
pub mod limits;
mod options;
mod presence;
mod reconfigure;
mod revocation;
mod rule;
pub mod statistics;
pub mod trace;

pub use talaria_protocol as protocol;
pub use talaria_transport as transport;

pub use crate::access::origin;
pub use crate::builder::{BuildError, HubBuilder};
pub use crate::embedded::publish::PublishError;
pub use crate::embedded::subscribe::{SubscribeError, SubscribeOptions};
pub use crate::embedded::updates::Updates;
pub use crate::engine::cursor::{Cursor, End, Step};
pub use crate::figures::HubFigures;
pub use crate::http::connection::{Connection, Sender};
pub use crate::http::host::{Authority, HostError, SiteOrigin, host_of, origin as origin_of};
pub use crate::http::noted::{Noted, Topics};
pub use crate::http::outflow::Outflow;
pub use crate::http::respond::{Unanswered, forbid_storing, plain, refusal};
pub use crate::http::stream::Handover;
pub use crate::hub::Hub;
pub use crate::options::{HubOptions, PageOptions, UnknownCursor};
pub use crate::presence::PresenceOptions;
pub use crate::rule::Rule;

/// Compiles and runs what the README shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

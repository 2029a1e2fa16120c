//! What the [Mercure specification](https://mercure.rocks/spec) says, without I/O, runtime or clock.
//!
//! Bytes come in and protocol values come out. Every check that the specification asks for is made
//! once, here, and its error names the field, the value and the remedy ([`ProtocolError`]).
//!
//! | You have | You call | You get |
//! |---|---|---|
//! | the query or body of a request | [`form::parse`] | its pairs |
//! | the pairs of a subscription | [`SubscribeRequest::from_pairs`] | [`Subscription`]s, and the [`MatcherSet`] that selects their topics |
//! | the pairs of a publish | [`Update::from_form`] | an [`Update`] |
//! | a line of a batch | [`Update::from_json`] | an [`Update`] |
//! | the claims of a token | [`AuthorizationDetails::parse`], [`AuthorizationDetails::from_mercure_claim`] | what the token grants |
//! | an update and its id | [`event::encode`] | the bytes of an event |
//! | the bytes of an event stream | [`event::Decoder`] | its events |
//!
//! A hub resolves relative topics and patterns against one [`Base`], bounds what a request may hold
//! by [`Limits`], and accepts one or both [`Generation`]s of the protocol by its [`Rule`].
//!
//! # A publish
//!
//! ```
//! use talaria_protocol::{Base, Generation, Limits, Update, event, form};
//!
//! let base = Base::new("https://hub.example/.well-known/mercure")?;
//! let limits = Limits::default();
//! let body = b"topic=https%3A%2F%2Fshop.example%2Fbooks%2F1&data=sold+out";
//! let pairs = form::parse(body, &limits)?;
//! let update = Update::from_form(&pairs, Generation::V1, &base, &limits)?;
//!
//! assert_eq!(update.topics, ["https://shop.example/books/1"]);
//! assert_eq!(
//!     event::encode(&update, "urn:uuid:1"),
//!     b"id: urn:uuid:1\ndata: sold out\n\n"
//! );
//! # Ok::<(), talaria_protocol::ProtocolError>(())
//! ```
//!
//! # A subscription
//!
//! ```
//! use talaria_protocol::{Base, Limits, Rule, SubscribeRequest, Topic, form};
//!
//! let base = Base::new("https://hub.example/.well-known/mercure")?;
//! let limits = Limits::default();
//! let query = b"match_urlpattern=https://shop.example/books/:id&match=news";
//! let pairs = form::parse(query, &limits)?;
//! let request = SubscribeRequest::from_pairs(&pairs, Rule::Modern, &base, &limits)?;
//!
//! let selects = |topic| request.matchers.matches(&Topic::new(topic, &base));
//! assert!(selects("https://shop.example/books/1") && selects("news"));
//! assert!(!selects("https://shop.example/authors/1"));
//!
//! let unknown = form::parse(b"match_regexp=.*", &limits)?;
//! let error = SubscribeRequest::from_pairs(&unknown, Rule::Modern, &base, &limits).unwrap_err();
//! assert_eq!(error.field, "match_regexp");
//! # Ok::<(), talaria_protocol::ProtocolError>(())
//! ```
//!
//! # A token
//!
//! ```
//! use serde_json::json;
//! use talaria_protocol::{Action, AuthorizationDetails, Base, Limits, Topic};
//!
//! let base = Base::new("https://hub.example/.well-known/mercure")?;
//! let claim = json!([{
//!     "type": "https://mercure.rocks/authorization-detail",
//!     "actions": ["subscribe"],
//!     "topics": [{ "match": "/users/:id", "match_type": "urlpattern" }],
//! }]);
//! let details = AuthorizationDetails::parse(&claim, &base, &Limits::default())?;
//!
//! let topic = Topic::new("https://hub.example/users/7", &base);
//! assert!(details.grants(Action::Subscribe, &topic));
//! assert!(!details.grants(Action::Publish, &topic));
//! # Ok::<(), talaria_protocol::ProtocolError>(())
//! ```
//!
//! # Which types may grow
//!
//! [`Limits`], [`MatcherType`] and the errors of patterns and event streams are
//! `#[non_exhaustive]`: a new limit or type changes nothing for those that do not use it. The others
//! are not, on purpose. A hub must decide what it does with each [`Action`], [`Generation`],
//! [`Rule`], [`Blame`] and [`Matcher`], so a new one must not compile unnoticed; and [`Update`] and
//! [`Subscription`] are plain values that callers build.
#![forbid(unsafe_code)]
#![warn(missing_debug_implementations, unreachable_pub)]

pub mod authorization;
pub mod base;
mod characters;
pub mod error;
pub mod event;
pub mod form;
pub mod generation;
pub mod limits;
pub mod matcher;
pub mod subscription;
pub mod topic;
pub mod trace;
pub mod update;

pub use authorization::{Action, AuthorizationDetails};
pub use base::{Base, HUB_PATH};
pub use error::{Blame, ProtocolError};
pub use generation::{Generation, Rule};
pub use limits::Limits;
pub use matcher::{Matcher, MatcherSet, MatcherType};
pub use subscription::{EARLIEST, LastEventId, Reading, SubscribeRequest, Subscription};
pub use topic::{Topic, TopicUrl};
pub use trace::TraceContext;
pub use update::Update;

/// Compiles and runs what the README shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! What the Mercure specification says, without I/O, runtime or clock.
//!
//! Bytes come in (a query, a form, a token's claims, an event stream), protocol values come out:
//! [`Update`], [`Matcher`], [`Subscription`], [`AuthorizationDetails`]. Every check the
//! specification asks for is made here, once, with an error that names the field, the value and
//! the remedy.
#![forbid(unsafe_code)]

pub mod authorization;
pub mod base;
pub mod error;
pub mod event;
pub mod form;
pub mod generation;
pub mod limits;
pub mod matcher;
pub mod subscription;
pub mod topic;
pub mod update;

pub use authorization::{Action, AuthorizationDetails};
pub use base::Base;
pub use error::{Blame, ProtocolError};
pub use generation::{Generation, Rule};
pub use limits::Limits;
pub use matcher::{Matcher, MatcherSet, MatcherType};
pub use subscription::{LastEventId, SubscribeRequest, Subscription};
pub use topic::{Topic, TopicUrl};
pub use update::Update;

/// The cursor that asks for everything the hub keeps (specification, "Reconnection").
pub const EARLIEST: &str = "earliest";

/// The path of the hub's URL (specification, "Discovery").
pub const HUB_PATH: &str = "/.well-known/mercure";

/// Compiles and runs what the README shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

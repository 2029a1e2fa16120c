//! The log that several hubs share, kept in Redis (7.0 or newer) or Valkey.
//!
//! [`Redis`] is a [`Backend`](talaria_transport::shared::Backend). All keys of a log begin with the name of its stream
//! in braces, so they lie in one hash slot:
//!
//! | Key | Holds |
//! |---|---|
//! | `{…}:log` | the stream of updates; an id is run and number of a position |
//! | `{…}:meta` | a hash: format, tag and key of the log, the head, the floor, a field for each member |
//! | `{…}:ids` | a sorted set of the ids that publishers chose, each with its position |
//! | `{…}:events` | a list of the stream ids of subscription events |
//! | `{…}:subs:<member>` | a hash of the subscriptions that a member began: topic to position and event |
//! | `{…}:once:<hash>` | the position of an update that must not be repeated; expires |
//! | `{…}:confirm`, `{…}:probe` | nothing: written to wait for replicas, and to learn what is permitted |
//!
//! Every change is one script, which the server executes atomically. There are four plain connections: for writes,
//! for reads, for finding ids and for the tail. After a failure the next call finds the primary anew.
#![forbid(unsafe_code)]
#![warn(missing_debug_implementations, unreachable_pub)]

mod backend;
mod connection;
mod fault;
mod keys;
mod link;
mod members;
mod options;
mod pace;
mod pages;
mod primary;
mod record;
mod reply;
mod scripts;
mod store;
mod stream;
mod survey;
mod tail;
mod tls;
mod writes;

pub use backend::Redis;
pub use options::{Place, ReadTls, RedisOptions, RedisTls};
pub use survey::Survey;

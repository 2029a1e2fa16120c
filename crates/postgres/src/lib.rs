//! The log that several hubs share, kept in PostgreSQL (15 or newer).
#![forbid(unsafe_code)]
#![warn(missing_debug_implementations, unreachable_pub)]

mod backend;
mod chores;
mod connection;
mod entries;
mod fault;
mod flight;
mod link;
mod members;
mod options;
mod outbox;
mod outcomes;
mod pages;
mod primary;
mod record;
mod row;
mod schema;
mod store;
mod stream;
mod survey;
mod tail;
mod tls;
mod verify;
mod writes;

pub use backend::Postgres;
pub use options::{Encryption, Host, Mode, PostgresOptions, ReadEncryption, Rules, Server};
pub use schema::schema_sql;
pub use survey::Survey;

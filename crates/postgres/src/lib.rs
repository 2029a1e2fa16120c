//! The log that several hubs share, kept in PostgreSQL (15 or newer).
#![forbid(unsafe_code)]
#![warn(missing_debug_implementations, unreachable_pub)]

mod backend;
mod options;
mod schema;
mod survey;

pub use backend::Postgres;
pub use options::{Encryption, Host, Mode, PostgresOptions, ReadEncryption, Server};
pub use schema::schema_sql;
pub use survey::Survey;

//! The options: the parsers of all blocks, the reference page, the help of the flags and the names of
//! the variables come from one table, in which an option is one row.

mod budgets;
mod connections;
mod form;
mod hub;
mod identity;
mod issuers;
mod older_keys;
mod postgres;
mod presence;
mod process;
mod protocol;
mod redis;
pub mod reference;
mod row;
mod shared;
mod slot;
mod stores;
mod switches;
mod table;
#[cfg(test)]
mod tests;
mod transport_url;
mod transports;

pub use crate::postgres::check_schema;
pub use crate::storage::default_path;
pub(crate) use issuers::{PUBLISHER, SUBSCRIBER, TRUSTED_ISSUERS};
pub(crate) use process::{DEFAULT_ADDRESS, EXTRA_DIRECTIVES, SERVER_NAME};
pub(crate) use table::{apply, apply_variables, precedence, usage, variables};
pub use table::{flag_help, reads};
pub use transport_url::{postgres_of_flag, redis_of_flag};
pub(crate) use transports::DEFAULT as DEFAULT_TRANSPORT;

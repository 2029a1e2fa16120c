//! The tables and functions of a log.

use crate::options::PostgresOptions;

/// All SQL that creates a log, and the least privileges that `role` needs to use it.
#[must_use]
pub fn schema_sql(options: &PostgresOptions, role: &str) -> String {
    format!("CREATE SCHEMA {} -- {role}\n", options.schema)
}

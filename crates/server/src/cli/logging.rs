//! The flags of the log, which each verb has that logs.

use std::collections::HashMap;

use talaria_config::levels::Levels;
use talaria_config::{log_variables, options};

/// How much is logged, and in which form.
#[derive(Clone, Default, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[arg(long, value_name = "LEVEL", value_parser = level, help = options::flag_help("log-level"), long_help = None)]
    log_level: Option<String>,
    #[arg(long, value_name = "FORM", value_parser = form, help = options::flag_help("log-format"), long_help = None)]
    log_format: Option<String>,
}

impl Args {
    /// Puts the flags among the variables, over which they take precedence.
    pub(super) fn put(&self, variables: &mut HashMap<String, String>) {
        for (name, value) in self.values() {
            variables.insert(name.to_owned(), value.to_owned());
        }
    }

    /// The flags as those of another process.
    pub(super) fn arguments(&self) -> impl Iterator<Item = String> {
        let flags = [
            ("--log-level", &self.log_level),
            ("--log-format", &self.log_format),
        ];
        let given = flags.into_iter();
        given.filter_map(|(flag, value)| Some(format!("{flag}={}", value.as_deref()?)))
    }

    fn values(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let values = [
            (log_variables::LEVEL, self.log_level.as_deref()),
            (log_variables::FORM, self.log_format.as_deref()),
        ];
        let given = values.into_iter();
        given.filter_map(|(name, value)| Some((name, value?)))
    }
}

/// Checks the value of `--log-level`.
fn level(value: &str) -> Result<String, String> {
    let read = Levels::parse_named("--log-level", value, &mut Vec::new());
    read.map_err(|error| error.to_string())?;
    match value.trim() {
        "" => Err("it is empty".to_owned()),
        _ => Ok(value.to_owned()),
    }
}

/// Checks the value of `--log-format`.
fn form(value: &str) -> Result<String, String> {
    let read = log_variables::form("--log-format", value);
    read.map_err(|error| error.to_string())?;
    // An empty one would let the variable count.
    match value.trim() {
        "" => Err("it is empty; write auto, json or console".to_owned()),
        _ => Ok(value.to_owned()),
    }
}

//! `talaria validate`: checks the configuration without running a hub.

use std::process::ExitCode;

use super::{load, output};

/// What `talaria validate --help` adds.
pub(super) const HELP: &str = "\
Exit code 0 and one line if it is valid, else 1 and the error with its place.

Example:
  talaria validate --config /etc/talaria/Caddyfile";

/// Loads the configuration as `run` would, and says whether it is valid.
pub(super) fn validate(args: &load::Args) -> ExitCode {
    match args.load() {
        Ok((loaded, name)) => {
            output::warn(&loaded.notices);
            let hubs = loaded.settings.hubs.iter();
            let issuers: usize = hubs.map(|hub| hub.options.issuers.iter().len()).sum();
            output::print(&format!(
                "the configuration is valid: {name}, issuers: {issuers}\n"
            ))
        }
        Err(error) => output::failure(error),
    }
}

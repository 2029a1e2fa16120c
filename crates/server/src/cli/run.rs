//! `talaria run`: serves until a signal ends it.

use std::process::ExitCode;

use super::{load, output};
use crate::serve::run::serve;

/// What `talaria run --help` adds.
pub(super) const HELP: &str = "\
Without --config, ./Caddyfile is used if it exists; otherwise the environment alone configures the hub.
docs/configuration.md lists every directive and variable.

Example:
  SERVER_NAME=:3000 MERCURE_PUBLISHER_JWT_KEY=… MERCURE_EXTRA_DIRECTIVES=anonymous talaria run";

/// Runs the hub.
pub(super) fn run(args: &load::Args) -> ExitCode {
    match args.load() {
        Ok((loaded, _)) => serve(loaded, |_| {}),
        Err(error) => output::failure(error),
    }
}

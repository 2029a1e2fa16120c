//! `talaria adapt`: shows what a configuration says, as JSON (B-015).

use std::process::ExitCode;

use talaria_config::Error;

use super::{load, output};
use crate::serve::admin::to_json;

/// What `talaria adapt --help` adds.
pub(super) const HELP: &str = "\
The JSON is the tree of the directives, imports and snippets put in: `{\"caddyfile\": {\"global\": …, \"lines\": …}}`.
It is not the JSON of the existing server. Variables are replaced by their values, but not those whose name says
that they hold a secret. What the file itself holds is shown, keys too.

Example:
  talaria adapt --config /etc/talaria/Caddyfile --pretty";

/// The flags of `adapt`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    load: load::Args,
    /// Indent the JSON.
    #[arg(short, long)]
    pretty: bool,
    /// Check the configuration too, as `talaria validate` does.
    #[arg(long)]
    validate: bool,
}

/// Prints the configuration.
pub(super) fn adapt(args: &Args) -> ExitCode {
    match shown(args) {
        Ok(text) => output::print(&text),
        Err(error) => output::failure(error),
    }
}

fn shown(args: &Args) -> Result<String, Error> {
    let file = args.load.file()?;
    if args.validate {
        let configuration = args.load.read(file.clone())?;
        output::warn(&configuration.loaded.notices);
    }
    let adapted = args.load.adapt(file)?;
    let json = to_json(&adapted);
    match args.pretty {
        true => serde_json::to_string_pretty(&json),
        false => serde_json::to_string(&json),
    }
    .map(|text| text + "\n")
    .map_err(Error::from_cause)
}

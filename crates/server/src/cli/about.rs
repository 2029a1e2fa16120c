//! `talaria version`, `list-modules` and `build-info`: what this program is made of (B-017).

use std::process::ExitCode;

use serde_json::json;

use super::output;
use crate::build::{COMMIT, PROFILE, TARGET, VERSION};

/// What of the existing server's modules this program has, by their names there.
const MODULES: &[&str] = &[
    "admin.api.load",
    "admin.api.metrics",
    "admin.api.pki",
    "caddy.adapters.caddyfile",
    "caddy.logging.encoders.append",
    "caddy.logging.encoders.console",
    "caddy.logging.encoders.filter",
    "caddy.logging.encoders.filter.cookie",
    "caddy.logging.encoders.filter.delete",
    "caddy.logging.encoders.filter.hash",
    "caddy.logging.encoders.filter.ip_mask",
    "caddy.logging.encoders.filter.multi_regexp",
    "caddy.logging.encoders.filter.query",
    "caddy.logging.encoders.filter.regexp",
    "caddy.logging.encoders.filter.rename",
    "caddy.logging.encoders.filter.replace",
    "caddy.logging.encoders.json",
    "caddy.logging.writers.discard",
    "caddy.logging.writers.file",
    "caddy.logging.writers.net",
    "caddy.logging.writers.stderr",
    "caddy.logging.writers.stdout",
    "http",
    "http.encoders.br",
    "http.encoders.gzip",
    "http.encoders.zstd",
    "http.handlers.encode",
    "http.handlers.file_server",
    "http.handlers.headers",
    "http.handlers.log_append",
    "http.handlers.mercure",
    "http.handlers.reverse_proxy",
    "http.handlers.rewrite",
    "http.handlers.static_response",
    "http.handlers.subroute",
    "http.matchers.header",
    "http.matchers.host",
    "http.matchers.method",
    "http.matchers.not",
    "http.matchers.path",
    "http.matchers.protocol",
    "http.matchers.query",
    "http.mercure.bolt",
    "http.mercure.local",
    "http.mercure.memory",
    "http.mercure.redis",
    "pki",
    "tls",
    "tls.issuance.internal",
];

/// The flags of `list-modules`.
#[derive(clap::Args)]
pub(super) struct ModulesArgs {
    /// Show the version of each, which is that of the program.
    #[arg(long)]
    versions: bool,
    /// Show the package of each, which is the program.
    #[arg(long)]
    packages: bool,
    /// Leave out what the existing server has without the hub.
    #[arg(short, long)]
    skip_standard: bool,
}

/// Prints the modules.
pub(super) fn list_modules(args: &ModulesArgs) -> ExitCode {
    let mut text = String::new();
    for module in MODULES
        .iter()
        .filter(|name| !args.skip_standard || name.contains("mercure"))
    {
        text.push_str(module);
        if args.packages {
            text.push_str(" talaria");
        }
        if args.versions {
            text.push_str(concat!(" ", env!("CARGO_PKG_VERSION")));
        }
        text.push('\n');
    }
    output::print(&text)
}

/// Prints how the program was built.
pub(super) fn build_info() -> ExitCode {
    output::print(&format!(
        "program\ttalaria {VERSION}\ncommit\t{COMMIT}\ntarget\t{TARGET}\nsystem\t{} {}\nprofile\t{PROFILE}\nmodules\tbuilt in; `talaria list-modules` names them\n",
        std::env::consts::OS,
        std::env::consts::ARCH,
    ))
}

/// The flags of `version`.
#[derive(clap::Args)]
pub(super) struct VersionArgs {
    /// Print one JSON object, with `version`, `commit`, `target` and `profile`.
    #[arg(long)]
    json: bool,
}

/// Prints the version.
pub(super) fn version(args: &VersionArgs) -> ExitCode {
    output::print(&match args.json {
        true => format!(
            "{}\n",
            json!({ "version": VERSION, "commit": COMMIT, "target": TARGET, "profile": PROFILE })
        ),
        false => format!("Talaria {VERSION} (commit {COMMIT}, {TARGET})\n"),
    })
}

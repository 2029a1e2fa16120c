//! The options of the process, outside of any block.

use super::row::{Effect, Row, Section};
use crate::{levels, log_variables};

/// The variable that holds the addresses to listen on, where no file does.
pub(crate) const SERVER_NAME: &str = "SERVER_NAME";
/// What it holds if it is not set.
pub(crate) const DEFAULT_ADDRESS: &str = "localhost";
/// The variable that holds directives, where no file does.
pub(crate) const EXTRA_DIRECTIVES: &str = "MERCURE_EXTRA_DIRECTIVES";

/// The options of the process.
pub(crate) const PROCESS: &[Row] = &[
    Row::new(
        Section::Process,
        "",
        "",
        Effect::Process,
        "Addresses to listen on, separated by spaces or commas: `localhost` (HTTPS on 443 with a \
         certificate of the local authority), `localhost:8443`, `:80`, `http://hub.example:80`, \
         `name:80`. A host, even an IP address, restricts the requests that are answered and not the \
         interface, which `bind` and `default_bind` do; port 0 lets the system choose. In a file: \
         the site's addresses.",
    )
    .variables(&[SERVER_NAME])
    .flag("address")
    .said(DEFAULT_ADDRESS),
    Row::new(
        Section::Process,
        "",
        "",
        Effect::Process,
        "Without a file: directives of the `mercure` block, one a line.",
    )
    .variables(&[EXTRA_DIRECTIVES])
    .said("none"),
    Row::new(
        Section::Process,
        "",
        "",
        Effect::Process,
        "The levels of the program's log: `error`, `warn`, `info`, `debug`, `trace` or `off`, \
         also for parts of the program, as in `info,h2=off`. Takes precedence over `RUST_LOG`, and that over \
         `level` and `debug` of the global options.",
    )
    .variables(&[log_variables::LEVEL, levels::VARIABLE])
    .flag("log-level")
    .said("`info`"),
    Row::new(
        Section::Process,
        "",
        "",
        Effect::Process,
        "The form of the program's log: `json`, `console`, or `auto`, which leaves it to `format` of the \
         global options, and without that is `console` on a terminal and `json` elsewhere.",
    )
    .variables(&[log_variables::FORM])
    .flag("log-format")
    .said("`auto`"),
];

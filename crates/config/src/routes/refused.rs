//! Directives that are not supported, and what to do instead.

use crate::error::Error;
use crate::guide::Page;
use crate::tree::Line;
use crate::unknown::refuse;

/// Directives of the existing server, and of those built on it, that are not supported.
pub(crate) const LATER: &[&str] = &[
    "acme_server",
    "cache",
    "forward_auth",
    "fs",
    "intercept",
    "invoke",
    "map",
    "php",
    "php_fastcgi",
    "php_server",
    "push",
    "templates",
    "vulcain",
];
const KNOWN: &[&str] = &[
    "abort",
    "basic_auth",
    "bind",
    "encode",
    "error",
    "file_server",
    "handle",
    "handle_errors",
    "handle_path",
    "header",
    "log",
    "log_append",
    "log_name",
    "log_skip",
    "mercure",
    "method",
    "metrics",
    "redir",
    "request_body",
    "request_header",
    "respond",
    "reverse_proxy",
    "rewrite",
    "root",
    "route",
    "tls",
    "tracing",
    "try_files",
    "uri",
    "vars",
];
/// Those that run the application itself.
const APPLICATIONS: &[&str] = &["php", "php_fastcgi", "php_server", "templates"];

/// Whether a directive is supported.
pub(super) fn is_known(name: &str) -> bool {
    KNOWN.contains(&name)
}

/// The error for a directive that is not supported, or that stands in a block although it is one of `at_top`.
pub(super) fn error(line: &Line, at_top: &[&str]) -> Error {
    let word = &line.name;
    let name = word.text.as_str();
    let error = match name {
        _ if at_top.contains(&name) => word
            .error(format!("`{name}` stands at the top of a site only"))
            .remedy("move it out of the block"),
        _ if APPLICATIONS.contains(&name) => word
            .error(format!("the site directive `{name}` is not supported: this program runs no application"))
            .remedy(
                "leave the site with the server that runs it, and have that pass /.well-known/mercure* on to a hub that has \
                 the `mercure` block alone; or write `reverse_proxy <its address>` here",
            )
            .page(Page::SITES),
        "forward_auth" => refuse(word, "site directive", LATER, KNOWN).remedy(
            "do not only remove it, which opens what it protects: leave it with a server in front of this one, or write basic_auth",
        ),
        "map" => refuse(word, "site directive", LATER, KNOWN)
            .remedy("write a `vars` line for each value, with a matcher before it"),
        _ => refuse(word, "site directive", LATER, KNOWN),
    };
    match holds_hub(line) {
        true => error.remedy("move the `mercure` block out of it"),
        false => error,
    }
}

/// Whether the hub stands in the block of a line.
fn holds_hub(line: &Line) -> bool {
    let mut lines = line.block.iter().flatten();
    lines.any(|line| line.name.is("mercure") || holds_hub(line))
}

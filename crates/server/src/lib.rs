//! What the program `talaria` is made of: the command line, the configuration, the listeners.
//!
//! Applications embed the crate `talaria-hub`; this one is a library only so that its parsers can
//! be fuzzed.

#![forbid(unsafe_code)]

mod admission;
mod cli;
mod clock;
mod config;
mod connection;
mod folders;
mod incoming;
mod key_sets;
mod listen;
mod log;
mod options;
mod proxies;
mod report;
mod requests;
mod run;
mod site;
mod socket;
mod streams;
mod systemd;
mod tls;
mod transport;

/// Runs the program with the arguments of this process.
pub fn main() -> std::process::ExitCode {
    cli::main()
}

/// Checks the text of a `Caddyfile`, in an empty environment, as `talaria validate` does.
///
/// # Errors
/// What `talaria validate` says.
pub fn validate(text: &str) -> Result<(), String> {
    let file = config::File {
        name: "Caddyfile".to_owned(),
        text: text.to_owned(),
    };
    let sources = config::Sources {
        file: Some(file),
        variables: &std::collections::HashMap::new(),
        address: None,
    };
    config::load(&sources)
        .map(drop)
        .map_err(|error| error.to_string())
}

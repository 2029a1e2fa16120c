//! What the program `talaria` is made of: the command line and the listeners.
//!
//! Applications embed the crate `talaria-hub`; this one is a library only so that its parsers can
//! be fuzzed.

#![forbid(unsafe_code)]
#![warn(missing_debug_implementations, unreachable_pub)]

mod build;
mod cli;
mod serve;

/// Runs the program with the arguments of this process.
pub fn main() -> std::process::ExitCode {
    cli::main()
}

/// Checks the text of a `Caddyfile`, in an empty environment, as `talaria validate` does.
///
/// # Errors
/// What `talaria validate` says.
pub fn validate(text: &str) -> Result<(), talaria_config::Error> {
    let file = talaria_config::File {
        name: "Caddyfile".to_owned(),
        text: text.to_owned(),
    };
    let sources = talaria_config::Sources {
        file: Some(file),
        variables: &std::collections::HashMap::new(),
        address: None,
    };
    talaria_config::load(&sources).map(drop)
}

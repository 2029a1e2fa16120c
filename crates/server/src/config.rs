//! The configuration: from a Caddyfile or from the environment to typed [`settings::Settings`].

mod address;
pub mod draft;
pub mod envfile;
mod environment;
pub mod error;
pub mod global;
pub mod issuer;
pub mod lexer;
pub mod settings;
pub mod site;
pub mod source;
#[cfg(test)]
mod tests;
pub mod tree;
pub mod value;

pub use error::ConfigError;
pub use settings::{Level, Loaded, Notice, Settings};

use draft::Draft;
use source::{Source, SourceKind, Text};

use crate::log::{self, Levels};
use crate::options::{self, Environment};

/// A configuration file that was read.
#[derive(Debug, Clone)]
pub struct File {
    /// Its path as errors show it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Everything that configures a hub.
pub struct Sources<'a> {
    /// The file, if there is one; then it alone counts (design §8).
    pub file: Option<File>,
    /// Reads an environment variable.
    pub environment: Environment<'a>,
    /// The flag `--address`, which wins over file and environment.
    pub address: Option<String>,
}

/// Loads and checks a configuration. Opens neither storage nor network; reads the key files that
/// `{file.PATH}` names.
///
/// # Errors
///
/// The first thing that is wrong, with its place and the remedy.
pub fn load(sources: &Sources<'_>) -> Result<Loaded, ConfigError> {
    let environment = sources.environment;
    let mut draft = Draft {
        notices: environment::without_effect(environment),
        ..Draft::default()
    };
    let lines = match &sources.file {
        Some(file) => {
            let text = Text::expand(
                &Source::new(SourceKind::File, &file.name, &file.text, false),
                environment,
            );
            let site = site::site(tree::parse(&text)?)?;
            global::apply(&mut draft, &site.global)?;
            if sources.address.is_none() {
                draft.addresses = address::addresses(&site.addresses, draft.ports)?;
            }
            if let Some(line) = &site.bind {
                draft.bind = address::interfaces(line)?;
            }
            draft.certificate = site.tls.as_ref().map(address::tls).transpose()?;
            site.mercure
        }
        None => {
            global::apply(&mut draft, &environment::global_options(environment)?)?;
            environment::extra_directives(environment)?
        }
    };
    options::apply(&mut draft, &lines, environment)?;
    if sources.file.is_none() || draft.issuers.is_empty() {
        environment::issuer(&mut draft, environment)?;
    }
    environment::transport(&mut draft, environment)?;
    environment::cors_origins(&mut draft, environment)?;
    match &sources.address {
        Some(flag) => {
            let flag = Source::new(SourceKind::Flag, "--address", flag, false);
            draft.addresses = address::addresses(&lexer::lex(&Text::literal(&flag))?, draft.ports)?;
        }
        None if sources.file.is_none() => environment::server_name(&mut draft, environment)?,
        None => {}
    }
    if let Some(levels) = environment(log::VARIABLE) {
        draft.log = Levels::parse(&levels)?;
    }
    if draft.addresses.is_empty() {
        return Err(ConfigError::general("there is no address to listen on")
            .remedy("give one, for example :80"));
    }
    draft.finish()
}

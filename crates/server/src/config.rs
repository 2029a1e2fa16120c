//! The configuration: from a Caddyfile or from the environment to typed [`settings::Settings`].

mod address;
mod budgets;
pub mod draft;
pub mod envfile;
mod environment;
pub mod error;
pub mod global;
pub mod issuer;
pub mod key;
mod key_mistakes;
pub mod lexer;
pub mod list;
pub mod older;
mod origins;
pub mod settings;
pub mod site;
pub mod source;
#[cfg(test)]
mod tests;
pub mod tree;
pub mod value;
pub mod variables;

pub use error::ConfigError;
pub use key_mistakes::{Mistake, find as find_mistake};
pub use settings::{Level, Loaded, Notice, Settings};

use std::collections::HashMap;

use draft::Draft;
use source::{Source, SourceKind, Text, Unset};
use variables::{Instead, Variables};

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
    /// The environment variables.
    pub variables: &'a HashMap<String, String>,
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
    let variables = Variables::new(sources.variables);
    let mut unset = Vec::new();
    let mut draft = Draft::default();
    let outcome = collect(&mut draft, sources, &variables, &mut unset);
    let missing = std::mem::take(&mut draft.missing);
    let instead = match &sources.file {
        Some(file) => Instead::File(&file.name),
        None => Instead::Environment,
    };
    match outcome.and_then(|()| draft.finish()) {
        Ok(mut loaded) => {
            let missing = missing.into_iter().map(Notice::warning);
            let unset = unset.iter().filter(|unset| unset.is_missed);
            let unset =
                unset.map(|unset| Notice::warning(format!("{}: {}", unset.place, unset.problem())));
            let notices = missing.chain(unset).chain(variables.notices(instead));
            loaded.notices.splice(0..0, notices);
            Ok(loaded)
        }
        Err(error) => {
            let notes = missing.into_iter().chain(variables.misnamed(instead));
            Err(error.explain(notes, &unset))
        }
    }
}

/// Reads the sources; `unset` gets what a file names and nothing stands in the place of.
fn collect(
    draft: &mut Draft,
    sources: &Sources<'_>,
    variables: &Variables<'_>,
    unset: &mut Vec<Unset>,
) -> Result<(), ConfigError> {
    let environment: Environment<'_> = &|name| variables.read(name);
    let lines = match &sources.file {
        Some(file) => {
            let mut text = Text::expand(
                &Source::new(SourceKind::File, &file.name, &file.text, false),
                environment,
            );
            *unset = text.unset();
            let site = site::site(tree::parse(&text)?)?;
            global::apply(draft, &site.global)?;
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
            global::apply(draft, &environment::global_options(environment)?)?;
            environment::extra_directives(environment)?
        }
    };
    options::apply(draft, &lines, environment)?;
    // A file that names a key or an issuer names all of them.
    let names_keys = !draft.issuers.is_empty() || draft.older_keys.place.is_some();
    if sources.file.is_none() || !names_keys {
        environment::issuer(draft, environment)?;
    }
    environment::transport(draft, environment)?;
    environment::cors_origins(draft, environment)?;
    match &sources.address {
        Some(flag) => {
            let flag = Source::new(SourceKind::Flag, "--address", flag, false);
            draft.addresses = address::addresses(&lexer::lex(&Text::literal(&flag))?, draft.ports)?;
        }
        None if sources.file.is_none() => environment::server_name(draft, environment)?,
        None => {}
    }
    if let Some(levels) = environment(log::VARIABLE) {
        draft.log = Levels::parse(&levels, &mut draft.notices)?;
    }
    if draft.addresses.is_empty() {
        return Err(ConfigError::general("there is no address to listen on")
            .remedy("give one, for example :80"));
    }
    Ok(())
}

//! Loads a configuration: from a Caddyfile or from the environment to checked settings.

use std::collections::HashMap;
use std::fmt;

use crate::draft::Draft;
use crate::error::Error;
use crate::levels::{self, Levels};
use crate::lexer::lex;
use crate::settings::{Loaded, Notice};
use crate::source::{Environment, Source, SourceKind};
use crate::storage::Storage;
use crate::text::{Text, Unset};
use crate::tree::Line;
use crate::variables::{Instead, Variables};
use crate::{address, environment, global, options, site, tree};

/// A configuration file that was read.
#[derive(Clone)]
pub struct File {
    /// Its path as errors show it.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl fmt::Debug for File {
    /// Without the text, which may hold keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Everything that configures a hub.
pub struct Sources<'a> {
    /// The file, if there is one; then no variable counts but those that it names, and those of keys and
    /// transport that it leaves out.
    pub file: Option<File>,
    /// The environment variables.
    pub variables: &'a HashMap<String, String>,
    /// The flag `--address`, which takes precedence over file and environment.
    pub address: Option<String>,
}

impl fmt::Debug for Sources<'_> {
    /// Without the values of variables, which may be keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("file", &self.file)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Loads and checks a configuration. Opens neither storage nor network; reads the key files that
/// `{file.PATH}` names.
///
/// # Errors
///
/// The first thing that is wrong, with its place and the remedy.
pub fn load(sources: &Sources<'_>) -> Result<Loaded, Error> {
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

/// Reads the sources; `unset` gets the variables that a file names and that give nothing.
fn collect(
    draft: &mut Draft,
    sources: &Sources<'_>,
    variables: &Variables<'_>,
    unset: &mut Vec<Unset>,
) -> Result<(), Error> {
    let environment: Environment<'_> = &|name| variables.read(name);
    let default = Storage::in_environment(options::DEFAULT_TRANSPORT, environment);
    draft.settings.transport = default.finish(&mut draft.notices);
    let lines = match &sources.file {
        Some(file) => {
            let has_flag = sources.address.is_some();
            read_file(draft, file, has_flag, environment, unset)?
        }
        None => {
            global::apply(draft, &environment::global_options(environment)?)?;
            environment::extra_directives(environment)?
        }
    };
    options::apply(draft, &lines, environment)?;
    // A file that names a key or an issuer names all of them.
    if sources.file.is_none() || !draft.names_keys() {
        environment::issuer(draft, environment)?;
    }
    options::apply_variables(draft, environment)?;
    match &sources.address {
        Some(flag) => {
            let flag = Source::new(SourceKind::Flag, "--address", flag, false);
            let words = lex(&Text::literal(&flag))?;
            draft.settings.addresses = address::addresses(&words, draft.ports)?;
        }
        None if sources.file.is_none() => environment::server_name(draft, environment)?,
        None => {}
    }
    if let Some(levels) = environment(levels::VARIABLE) {
        draft.settings.log = Levels::parse(&levels, &mut draft.notices)?;
    }
    if draft.settings.addresses.is_empty() {
        return Err(
            Error::new("there is no address to listen on").remedy("give one, for example :80")
        );
    }
    Ok(())
}

/// Takes over what stands around the `mercure` block of a file, and gives the lines of that block. The
/// addresses of the site do not count beside the flag.
fn read_file(
    draft: &mut Draft,
    file: &File,
    has_flag: bool,
    environment: Environment<'_>,
    unset: &mut Vec<Unset>,
) -> Result<Vec<Line>, Error> {
    let source = Source::new(SourceKind::File, &file.name, &file.text, false);
    let mut text = Text::expand(&source, environment);
    *unset = text.unset();
    let site = site::site(tree::parse(&text)?)?;
    global::apply(draft, &site.global)?;
    if !has_flag {
        draft.settings.addresses = address::addresses(&site.addresses, draft.ports)?;
    }
    if let Some(line) = &site.bind {
        draft.bind = address::interfaces(line)?;
    }
    draft.certificate = site.tls.as_ref().map(address::tls).transpose()?;
    Ok(site.mercure)
}

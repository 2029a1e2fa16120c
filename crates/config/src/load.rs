//! Loads a configuration: from a Caddyfile or from the environment to checked settings.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::draft::Draft;
use crate::error::Error;
use crate::expand::{Reader, expand};
use crate::levels::{self, Levels};
use crate::lexer::lex;
use crate::routes::{self, Order};
use crate::settings::{Action, ConfiguredBy, Loaded, Notice, Route, Routes};
use crate::source::{Environment, Source, SourceKind};
use crate::storage::Storage;
use crate::text::{Text, Unset};
use crate::tree::Line;
use crate::variables::{Instead, Variables};
use crate::{address, environment, global, options, pages, site, tree};

/// The most bytes of a configuration file, as for imported ones.
const MOST_BYTES: usize = 1 << 20;

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
/// Everything that is wrong, each with its place and the remedy, in the order of the file.
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
            loaded.settings.configured_by = configured_by(sources, &variables);
            Ok(loaded)
        }
        Err(error) => {
            let notes: Vec<String> = missing
                .into_iter()
                .chain(variables.misnamed(instead))
                .collect();
            Err(error.explain(&notes, &unset))
        }
    }
}

/// What configured the hub, once everything is read.
fn configured_by(sources: &Sources<'_>, variables: &Variables<'_>) -> ConfiguredBy {
    match &sources.file {
        Some(file) => ConfiguredBy::File {
            name: file.name.clone(),
            variables: variables.used(),
            unread: variables.known_and_unread(),
        },
        None => ConfiguredBy::Environment {
            variables: variables.used(),
        },
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
    let mut errors = Vec::new();
    let lines = match &sources.file {
        Some(file) => {
            let has_flag = sources.address.is_some();
            read_file(draft, file, has_flag, environment, unset, &mut errors)
        }
        None => {
            let reader = &mut Reader {
                environment,
                unset,
                notices: &mut draft.notices,
                read: &mut Vec::new(),
            };
            let snippets = known(environment::snippets(environment), &mut errors);
            let snippets = snippets.unwrap_or_default();
            let mut read = |lines| read_variable(&snippets, lines, reader);
            let global = read(environment::global_options(environment));
            let directives = read(environment::site_directives(environment));
            let lines = read(environment::extra_directives(environment));
            let global = known(global, &mut errors).unwrap_or_default();
            errors.extend(global::apply(draft, &global).err());
            let directives = known(directives, &mut errors).unwrap_or_default();
            // The block of the hub is the text of its variable.
            take_over(draft, directives, &global, &mut errors);
            known(lines, &mut errors)
        }
    };
    // Without the block there is no telling which keys and variables count.
    if let Some(lines) = lines {
        pages::add(&mut draft.settings.routes.0, &lines);
        let applied = options::apply(draft, &lines, environment);
        // A file that names a key or an issuer names all of them; a line that is wrong may be meant to.
        if applied.is_ok() && (sources.file.is_none() || !draft.names_keys()) {
            errors.extend(environment::issuer(draft, environment).err());
        }
        errors.extend(applied.err());
        errors.extend(options::apply_variables(draft, environment).err());
    }
    match &sources.address {
        Some(flag) => {
            let flag = Source::new(SourceKind::Flag, "--address", flag, false);
            let addresses = lex(&Text::literal(&flag))
                .and_then(|words| address::addresses(&words, draft.ports));
            draft.settings.addresses = known(addresses, &mut errors).unwrap_or_default();
        }
        None if sources.file.is_none() => {
            errors.extend(environment::server_name(draft, environment).err());
        }
        None => {}
    }
    if let Some(levels) = environment(levels::VARIABLE) {
        let levels = Levels::parse(&levels, &mut draft.notices);
        draft.settings.log = known(levels, &mut errors).unwrap_or_default();
    }
    if draft.settings.addresses.is_empty() && errors.is_empty() {
        errors.push(
            Error::new("there is no address to listen on").remedy("give one, for example :80"),
        );
    }
    Error::all(errors)
}

/// The value, unless it is wrong; then `errors` gets the reason.
fn known<T>(read: Result<T, Error>, errors: &mut Vec<Error>) -> Option<T> {
    read.map_err(|error| errors.push(error)).ok()
}

/// The lines of a variable with their imports done: snippets, and files whose paths begin at the working
/// directory.
fn read_variable(
    snippets: &[Line],
    lines: Result<Vec<Line>, Error>,
    reader: &mut Reader<'_>,
) -> Result<Vec<Line>, Error> {
    let lines = [snippets.to_vec(), lines?].concat();
    let document = tree::Document {
        global: None,
        lines,
    };
    expand(document, reader, Path::new("")).map(|document| document.lines)
}

/// Takes over what stands around the `mercure` block of a file, and gives the lines of that block. The
/// addresses of the site do not count beside the flag. What is wrong is added to `errors`.
fn read_file(
    draft: &mut Draft,
    file: &File,
    has_flag: bool,
    environment: Environment<'_>,
    unset: &mut Vec<Unset>,
    errors: &mut Vec<Error>,
) -> Option<Vec<Line>> {
    let source = Source::new(SourceKind::File, &file.name, &file.text, false);
    let mut text = Text::expand(&source, environment);
    *unset = text.unset();
    // The name of standard input has no folder, so that paths begin at the working directory.
    let folder = Path::new(&file.name).parent().unwrap_or(Path::new(""));
    let notices = &mut draft.notices;
    let mut imported = Vec::new();
    let reader = &mut Reader {
        environment,
        unset,
        notices,
        read: &mut imported,
    };
    if file.text.len() > MOST_BYTES {
        errors.push(Error::new(format!(
            "{}: a configuration file has at most {MOST_BYTES} bytes",
            file.name
        )));
        return None;
    }
    let document = tree::parse(&text).and_then(|document| expand(document, reader, folder));
    let mut document = known(document, errors)?;
    let global = document.global.take();
    let global = global.map_or_else(Vec::new, |(_, lines)| lines);
    errors.extend(global::apply(draft, &global).err());
    let site = site::site(document, errors);
    let site = known(site, errors)?;
    if !has_flag {
        let addresses = address::addresses(&site.addresses, draft.ports);
        draft.settings.addresses = known(addresses, errors).unwrap_or_default();
    }
    let mercure = take_over(draft, site.body, &global, errors);
    imported.push(PathBuf::from(&file.name));
    let hidden: Vec<String> = imported
        .iter()
        .filter_map(|path| std::path::absolute(path).ok())
        .map(|path| path.display().to_string())
        .collect();
    hide(&mut draft.settings.routes.0, &hidden);
    match mercure {
        Some(mercure) => Some(mercure.block.unwrap_or_default()),
        // The block may stand in one of the lines that are wrong, or be misspelt.
        None if !errors.is_empty() => None,
        None => {
            errors.extend(site.addresses.first().map(site::without_hub));
            None
        }
    }
}

/// Hides files from each `file_server`: the configuration may hold keys.
fn hide(routes: &mut [Route], files: &[String]) {
    for route in routes {
        match &mut route.action {
            Action::Files(settings) => settings.hidden.extend_from_slice(files),
            Action::Group { routes, .. } => hide(routes, files),
            _ => {}
        }
    }
}

/// Takes over what the directives of a site say; gives its `mercure` line.
fn take_over(
    draft: &mut Draft,
    directives: Vec<Line>,
    global: &[Line],
    errors: &mut Vec<Error>,
) -> Option<Line> {
    let mut order = Order::default();
    let lines = global.iter().filter(|line| line.name.text == "order");
    errors.extend(lines.filter_map(|line| order.apply(line).err()));
    let mut parts = routes::read(directives, &order);
    errors.append(&mut parts.errors);
    if let Some(line) = &parts.bind {
        draft.bind = known(address::interfaces(line), errors).unwrap_or_default();
    }
    let certificate = parts.tls.as_ref().map(address::tls).transpose();
    draft.certificate = known(certificate, errors).flatten();
    draft.notices.append(&mut parts.notices);
    draft.settings.access_log = parts.access_log;
    draft.settings.routes = Routes(parts.routes);
    parts.mercure
}

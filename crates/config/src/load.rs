//! Loads a configuration: from a Caddyfile or from the environment to checked settings.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::assembly::{Assembly, known};
use crate::error::Error;
use crate::expand::{Reader, expand};
use crate::lexer::{Word, lex};
use crate::settings::{ConfiguredBy, Loaded, Notice};
use crate::site::Site;
use crate::source::{Environment, Source, SourceKind};
use crate::text::{Text, Unset};
use crate::tree::Line;
use crate::variables::{Instead, Variables};
use crate::{address, admin, environment, log_variables, site, tree};

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
    let environment: Environment<'_> = &|name| variables.read(name);
    let mut assembly = Assembly::new(environment, sources.file.is_none());
    let outcome = collect(&mut assembly, sources, environment, &mut unset);
    let missing = std::mem::take(&mut assembly.missing);
    let instead = match &sources.file {
        Some(file) => Instead::File(&file.name),
        None => Instead::Environment,
    };
    match outcome.and_then(|()| assembly.finish()) {
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
    assembly: &mut Assembly<'_>,
    sources: &Sources<'_>,
    environment: Environment<'_>,
    unset: &mut Vec<Unset>,
) -> Result<(), Error> {
    // Instead of those of the site.
    let flag = sources.address.as_ref().map(|flag| {
        let flag = Source::new(SourceKind::Flag, "--address", flag, false);
        lex(&Text::literal(&flag))
    });
    let flag = known(flag.transpose(), &mut assembly.errors).flatten();
    match &sources.file {
        Some(file) => read_file(assembly, file, flag.as_deref(), environment, unset),
        None => read_variables(assembly, flag.as_deref(), environment, unset),
    }
    if flag.is_some() && assembly.sites() > 1 {
        assembly.errors.push(
            Error::new("--address gives addresses to one site, and the configuration has several")
                .remedy("write them before each site"),
        );
    }
    // Read in any case, so that it counts as known.
    let address = environment(admin::VARIABLE);
    if !assembly.globals.names_admin {
        let address = known(admin::standard(address.as_deref()), &mut assembly.errors);
        assembly.globals.program.admin.address = address.flatten();
    }
    let globals = &mut assembly.globals;
    let applied = log_variables::apply(&mut globals.program.log, environment, &mut globals.notices);
    assembly.errors.extend(applied.err());
    if !assembly.has_address() && assembly.errors.is_empty() {
        assembly.errors.push(
            Error::new("there is no address to listen on").remedy("give one, for example :80"),
        );
    }
    Error::all(std::mem::take(&mut assembly.errors))
}

/// Reads the variables, where there is no file: each stands where the official file has its text.
fn read_variables(
    assembly: &mut Assembly<'_>,
    flag: Option<&[Word]>,
    environment: Environment<'_>,
    unset: &mut Vec<Unset>,
) {
    let mut notices = Vec::new();
    let mut errors = Vec::new();
    let reader = &mut Reader {
        environment,
        unset,
        notices: &mut notices,
        read: &mut assembly.imported,
    };
    let extra = known(environment::extra_config(environment), &mut errors);
    let is_snippet = |line: &Line| line.name.text.starts_with('(');
    let (snippets, others): (Vec<Line>, Vec<Line>) =
        extra.unwrap_or_default().into_iter().partition(is_snippet);
    let mut read = |lines| read_variable(&snippets, lines, reader);
    let others = read(Ok(others));
    let global = read(environment::global_options(environment));
    let directives = read(environment::site_directives(environment));
    let block = read(environment::extra_directives(environment));
    let global = known(global, &mut errors).unwrap_or_default();
    assembly.apply_globals(&global);
    let sites = others.and_then(|lines| match lines.is_empty() {
        true => Ok(Vec::new()),
        false => site::sites(lines, &mut errors),
    });
    let sites = known(sites, &mut errors).unwrap_or_default();
    let mut body = known(directives, &mut errors).unwrap_or_default();
    // Without the block there is no telling which keys and variables count.
    if let Some(block) = known(block, &mut errors) {
        let hub = known(environment::hub_line(Some(block)), &mut errors);
        body.splice(0..0, hub);
    }
    let ports = assembly.globals.ports;
    let addresses = match flag {
        Some(words) => address::addresses(words, ports),
        None => environment::server_name(ports, environment),
    };
    let addresses = known(addresses, &mut errors).unwrap_or_default();
    assembly.globals.notices.append(&mut notices);
    assembly.errors.append(&mut errors);
    assembly.add_site(addresses, body);
    for site in sites {
        add_site(assembly, site);
    }
}

fn add_site(assembly: &mut Assembly<'_>, site: Site) {
    let addresses = address::addresses(&site.addresses, assembly.globals.ports);
    let addresses = known(addresses, &mut assembly.errors).unwrap_or_default();
    assembly.add_site(addresses, site.body);
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

/// Reads a file. The addresses of its site do not count beside those of the flag.
fn read_file(
    assembly: &mut Assembly<'_>,
    file: &File,
    flag: Option<&[Word]>,
    environment: Environment<'_>,
    unset: &mut Vec<Unset>,
) {
    if file.text.len() > MOST_BYTES {
        assembly.errors.push(Error::new(format!(
            "{}: a configuration file has at most {MOST_BYTES} bytes",
            file.name
        )));
        return;
    }
    let source = Source::new(SourceKind::File, &file.name, &file.text, false);
    let mut text = Text::expand(&source, environment);
    *unset = text.unset();
    // The name of standard input has no folder, so that paths begin at the working directory.
    let folder = Path::new(&file.name).parent().unwrap_or(Path::new(""));
    let mut imported = Vec::new();
    let reader = &mut Reader {
        environment,
        unset,
        notices: &mut assembly.globals.notices,
        read: &mut imported,
    };
    let document = tree::parse(&text).and_then(|document| expand(document, reader, folder));
    let Some(document) = known(document, &mut assembly.errors) else {
        return;
    };
    let global = document.global;
    assembly.apply_globals(&global.map_or_else(Vec::new, |(_, lines)| lines));
    let sites = site::sites(document.lines, &mut assembly.errors);
    let Some(sites) = known(sites, &mut assembly.errors) else {
        return;
    };
    let first = sites
        .first()
        .and_then(|site| site.addresses.first())
        .cloned();
    for mut site in sites {
        if let Some(words) = flag {
            site.addresses = words.to_vec();
        }
        add_site(assembly, site);
    }
    assembly.imported.clone_from(&imported);
    imported.push(PathBuf::from(&file.name));
    assembly.hide(&imported);
    // The block may stand in one of the lines that are wrong, or be misspelt.
    if !assembly.has_hub() && assembly.errors.is_empty() {
        assembly
            .errors
            .extend(first.as_ref().map(site::without_hub));
    }
}

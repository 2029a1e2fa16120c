//! A configuration as a tree of its directives, for `talaria adapt` and for the admin listener's `/config/`.
//!
//! Imports and snippets are done, and variables are replaced by their values, except those whose name says that
//! the value is a secret, and URLs that hold one: they stay `{$NAME}`. What the file itself holds is shown as it is, unless
//! [`Adapted::redacted`] hides the secrets in it.

mod redaction;
mod tree;
mod written;

use std::path::{Path, PathBuf};

pub use redaction::shown_variable;
pub use tree::{Adapted, Directive};

use crate::error::Error;
use crate::expand::{Reader, expand};
use crate::load::Sources;
use crate::settings::AdminSettings;
use crate::source::{Environment, Source, SourceKind};
use crate::text::{Text, names_secret};
use crate::tree::{Document, Line, parse};
use crate::{admin, options};

/// Adapts a configuration. Without a file, this is what the environment configures.
///
/// # Errors
///
/// The text cannot be read as lines and blocks, or an import is wrong. Whether directives mean something is
/// not looked at.
pub fn adapt(sources: &Sources<'_>) -> Result<Adapted, Error> {
    let variables = sources.variables;
    let shown = |name: &str| match variables.get(name) {
        Some(value) if names_secret(name) || redaction::is_url_with_secret(value) => {
            Some(format!("{{${name}}}"))
        }
        value => value.cloned(),
    };
    let document = document(sources, &shown, &mut Vec::new())?;
    Ok(Adapted {
        global: directives(document.global.map_or_else(Vec::new, |(_, lines)| lines)),
        lines: directives(document.lines),
    })
}

/// What a configuration says about the admin listener, although the rest may be wrong.
///
/// # Errors
///
/// As [`adapt`], and the option `admin` or the variable `CADDY_ADMIN` is wrong.
pub fn admin_settings(sources: &Sources<'_>) -> Result<AdminSettings, Error> {
    let variables = sources.variables;
    let document = document(
        sources,
        &|name| variables.get(name).cloned(),
        &mut Vec::new(),
    )?;
    let mut settings = AdminSettings::default();
    let lines = document.global.map_or_else(Vec::new, |(_, lines)| lines);
    match lines.iter().rfind(|line| line.name.text == "admin") {
        Some(line) => admin::read(&mut settings, line)?,
        None => {
            settings.address = admin::standard(variables.get(admin::VARIABLE).map(String::as_str))?
        }
    }
    Ok(settings)
}

/// The files that a configuration imports, up to the first one that is wrong.
#[must_use]
pub fn imports(sources: &Sources<'_>) -> Vec<PathBuf> {
    let mut imported = Vec::new();
    let variables = sources.variables;
    // Loading the configuration tells what is wrong with it.
    _ = document(sources, &|name| variables.get(name).cloned(), &mut imported);
    imported
}

/// The lines of the file, or of the official file as far as the environment fills it; `imported` gets the files that
/// are read.
fn document(
    sources: &Sources<'_>,
    environment: Environment<'_>,
    imported: &mut Vec<PathBuf>,
) -> Result<Document, Error> {
    let (name, text) = match &sources.file {
        Some(file) => (file.name.as_str(), file.text.clone()),
        None => ("the environment", official(sources)),
    };
    let source = Source::new(SourceKind::File, name, &text, false);
    let text = Text::expand(&source, environment);
    let mut reader = Reader {
        environment,
        unset: &mut Vec::new(),
        notices: &mut Vec::new(),
        read: imported,
    };
    let folder = match &sources.file {
        Some(_) => Path::new(name).parent().unwrap_or(Path::new("")),
        None => Path::new(""),
    };
    expand(parse(&text)?, &mut reader, folder)
}

/// The official file (B-080, B-081), with those of its lines that a variable fills.
fn official(sources: &Sources<'_>) -> String {
    let mut hub = String::new();
    let is_set = |name: &str| {
        sources
            .variables
            .get(name)
            .is_some_and(|value| !value.is_empty())
    };
    let roles = [
        ("publisher", options::PUBLISHER),
        ("subscriber", options::SUBSCRIBER),
    ];
    let with_key = roles.iter().filter(|(_, (key, _))| is_set(key));
    let jwt = |(key, algorithm): (&str, &str)| match is_set(algorithm) {
        true => format!("{{env.{key}}} {{env.{algorithm}}}"),
        false => format!("{{env.{key}}}"),
    };
    match is_set(options::TRUSTED_ISSUERS) {
        true => {
            let roles =
                with_key.map(|(role, names)| format!("{role} {{\njwt {}\n}}\n", jwt(*names)));
            let roles: String = roles.collect();
            hub.push_str(&format!(
                "issuer {{${}}} {{\n{roles}}}\n",
                options::TRUSTED_ISSUERS
            ));
        }
        false => hub.extend(with_key.map(|(role, names)| format!("{role}_jwt {}\n", jwt(*names)))),
    }
    for (name, variable) in [
        ("transport_url", "MERCURE_TRANSPORT_URL"),
        ("cors_origins", "MERCURE_CORS_ALLOWED_ORIGINS"),
    ] {
        if is_set(variable) {
            hub.push_str(&format!("{name} {{${variable}}}\n"));
        }
    }
    let address = match &sources.address {
        Some(flag) => flag.clone(),
        None => format!("{{${}:{}}}", options::SERVER_NAME, options::DEFAULT_ADDRESS),
    };
    format!(
        "{{\n{{$GLOBAL_OPTIONS}}\n}}\n{{$CADDY_EXTRA_CONFIG}}\n{address} {{\nmercure {{\n{hub}\
         {{${}}}\n}}\n{{$CADDY_SERVER_EXTRA_DIRECTIVES}}\n}}\n",
        options::EXTRA_DIRECTIVES
    )
}

fn directives(lines: Vec<Line>) -> Vec<Directive> {
    let each = lines.into_iter().map(|line| Directive {
        name: line.name.text,
        args: line.args.into_iter().map(|word| word.text).collect(),
        block: line.block.map(directives),
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::load::File;

    const KEY: &str = "a-key-that-is-never-shown-0123456789";

    /// What a file, or the environment alone, gives.
    fn of<T>(
        text: Option<&str>,
        variables: &[(&str, &str)],
        read: impl Fn(&Sources<'_>) -> Result<T, Error>,
    ) -> T {
        let variables: HashMap<String, String> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let file = text.map(|text| File {
            name: "Caddyfile".to_owned(),
            text: text.to_owned(),
        });
        let sources = Sources {
            file,
            variables: &variables,
            address: None,
        };
        read(&sources).unwrap()
    }

    fn adapted(text: Option<&str>, variables: &[(&str, &str)]) -> Adapted {
        of(text, variables, adapt)
    }

    /// Snippets are put in, plain variables are replaced, and those with secrets are not.
    #[test]
    fn a_file_is_a_tree() {
        let text = "{\n debug\n}\n(a) {\n heartbeat {args[0]}\n}\n{$SITE} {\n mercure {\n import a 5s\n publisher_jwt {$MY_KEY}\n}\n}\n";
        let adapted = adapted(Some(text), &[("SITE", ":80, :81"), ("MY_KEY", KEY)]);
        assert_eq!(adapted.global[0].name, "debug");
        let site = &adapted.lines[0];
        assert_eq!(
            (site.name.as_str(), site.args.as_slice()),
            (":80,", &[":81".to_owned()][..])
        );
        let hub = &site.block.as_ref().unwrap()[0];
        let lines = hub.block.as_ref().unwrap();
        assert_eq!(lines[0].args, ["5s"]);
        assert_eq!(lines[1].args, ["{$MY_KEY}"]);
        let text = adapted.to_text().unwrap();
        assert!(!text.contains(KEY));
    }

    /// Without a file, the tree is that of the official file, without keys.
    #[test]
    fn the_environment_is_a_tree() {
        let adapted = adapted(
            None,
            &[
                ("MERCURE_PUBLISHER_JWT_KEY", KEY),
                ("MERCURE_EXTRA_DIRECTIVES", "anonymous\nheartbeat 5s"),
                ("GLOBAL_OPTIONS", "debug"),
            ],
        );
        let text = adapted.to_text().unwrap();
        assert_eq!(
            text,
            "{\n\tdebug\n}\nlocalhost {\n\tmercure {\n\t\tpublisher_jwt {env.MERCURE_PUBLISHER_JWT_KEY}\n\t\tanonymous\n\t\theartbeat 5s\n\t}\n}\n"
        );
    }

    #[test]
    fn the_admin_address_is_found() {
        let found = |text: Option<&str>, variables: &[(&str, &str)]| {
            let settings = of(text, variables, admin_settings);
            settings.address.map(|address| address.to_string())
        };
        let file = "{\n admin localhost:3\n}\n:80\nwrong";
        assert_eq!(found(Some(file), &[]).as_deref(), Some("localhost:3"));
        assert_eq!(found(Some("{\n admin off\n}"), &[]), None);
        assert_eq!(found(Some(":80"), &[]).as_deref(), Some("localhost:2019"));
        let variables = [("CADDY_ADMIN", "0.0.0.0:1")];
        assert_eq!(found(None, &variables).as_deref(), Some("0.0.0.0:1"));
        assert_eq!(found(None, &[("GLOBAL_OPTIONS", "admin off")]), None);
    }
}

//! Spellings of options that older versions had.

use std::ffi::OsString;

use clap::Command;
use talaria_config::{older, suggest};

/// Adds the second dash to each long option that was written with one, because `-config x` would mean
/// `-c onfig x` (B-022).
pub(super) fn with_two_dashes(mut command: Command, arguments: Vec<OsString>) -> Vec<OsString> {
    command.build();
    let mut verb = &command;
    let mut takes_anything = false;
    let mut understood = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let text = argument.to_str().unwrap_or_default();
        let option = |name: &str| {
            let name = name.split('=').next().unwrap_or_default();
            let mut known = verb.get_arguments();
            known.find(|known| name.len() > 1 && known.get_long() == Some(name))
        };
        let long = text.strip_prefix("--");
        let single = text.strip_prefix('-').filter(|_| long.is_none());
        let is_misspelt = |name: &str| {
            let name = name.split('=').next().unwrap_or_default();
            let longs = verb.get_arguments().filter_map(clap::Arg::get_long);
            name.len() > 2 && suggest(name, longs).is_some()
        };
        // A misspelt option too, so that the error shows its name.
        let is_single = !takes_anything
            && single.is_some_and(|name| option(name).is_some() || is_misspelt(name));
        takes_anything = !text.contains('=')
            && long
                .or(single)
                .and_then(option)
                .is_some_and(clap::Arg::is_allow_hyphen_values_set);
        verb = verb.find_subcommand(text).unwrap_or(verb);
        understood.push(match is_single {
            true => format!("-{text}").into(),
            false => argument,
        });
    }
    understood
}

/// What replaced each option of an older version among the arguments.
pub(super) fn successors(arguments: &[OsString]) -> Vec<String> {
    let options = arguments.iter().filter_map(|argument| argument.to_str());
    let options = options.filter(|text| text.starts_with('-'));
    options
        .filter_map(|text| {
            let name = text.split('=').next()?;
            let remedy = older::successor(name)?;
            Some(format!("{name} is an option of older versions: {remedy}"))
        })
        .collect()
}

/// What to use instead of a verb of the existing server that this program does not have (B-010 to B-019).
pub(super) fn verb_of_the_server(arguments: &[OsString]) -> Option<String> {
    let verb = arguments.get(1)?.to_str()?;
    let instead = match verb {
        "start" => "run it in the background by your service manager, as docs/operating.md shows",
        "stop" => "send the process SIGTERM; it ends its streams within drain_timeout",
        "reload" => "restart the hub; its clients come back and miss nothing",
        "adapt" => "`talaria validate` checks a configuration; there is no JSON form of it",
        "environ" => "`talaria validate` lists the variables that are set and not read",
        "fmt" => "there is no formatter; any layout of a Caddyfile is read",
        "healthcheck" => {
            "`curl --fail http://localhost/healthz` says whether updates can be stored"
        }
        "list-modules" | "build-info" => {
            "`talaria version` says what is installed; there are no modules"
        }
        "storage" => {
            "`talaria history export` and `import` move the updates; certificates are files"
        }
        "upgrade" | "add-package" | "remove-package" => {
            "install another version of the program or of its image"
        }
        "hash-password" | "file-server" | "reverse-proxy" | "respond" | "completion"
        | "manpage" => "this program is a hub; use a web server for that",
        _ => return None,
    };
    Some(format!(
        "`{verb}` is a verb of the existing server: {instead}"
    ))
}

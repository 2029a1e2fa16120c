//! Spellings of options that older versions had.

use std::ffi::OsString;
use std::path::Path;

use clap::Command;
use talaria_config::{older, suggest};

/// The names by which the program is called in place of the existing server (B-005).
const NAMES: [&str; 2] = ["caddy", "mercure"];

/// The command with the name by which it was called, if that is the existing server's; its help has it, too.
pub(super) fn called(command: Command, path: Option<&OsString>) -> Command {
    let name = path.and_then(|path| Path::new(path).file_name()?.to_str());
    let Some(name) = NAMES.into_iter().find(|known| Some(*known) == name) else {
        return command;
    };
    let renamed = |command: Command| {
        let help = command.get_after_help().map(ToString::to_string);
        match help {
            Some(help) => command.after_help(help.replace("talaria ", &format!("{name} "))),
            None => command,
        }
    };
    let verbs: Vec<String> = command
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect();
    let command = verbs.into_iter().fold(command, |command, verb| {
        command.mut_subcommand(verb, renamed)
    });
    renamed(command).name(name).bin_name(name)
}

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
        "storage" => {
            "`talaria history export` and `import` move the updates; certificates are files"
        }
        "upgrade" | "add-package" | "remove-package" => {
            "install another version of the program or of its image"
        }
        "hash-password" | "file-server" | "reverse-proxy" | "respond" => {
            "this program is a hub; use a web server for that"
        }
        _ => return None,
    };
    Some(format!(
        "`{verb}` is a verb of the existing server: {instead}"
    ))
}

//! Spellings of options that older versions had.

use std::ffi::OsString;

use clap::Command;

use crate::config::error::suggest;
use crate::config::older;

/// Gives each long option that was written with one dash its second one, because `-config x` would
/// be `-c onfig x` (B-022).
pub fn with_two_dashes(mut command: Command, arguments: Vec<OsString>) -> Vec<OsString> {
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
        // A misspelt one too, so that it is refused under its name.
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

/// What took the place of each option of older versions among the arguments.
pub fn successors(arguments: &[OsString]) -> Vec<String> {
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::super::Cli;
    use super::*;

    fn understood(line: &str) -> String {
        let arguments = line.split(' ').map(OsString::from).collect();
        let understood = with_two_dashes(Cli::command(), arguments);
        let texts: Vec<_> = understood
            .iter()
            .map(|text| text.to_string_lossy())
            .collect();
        texts.join(" ")
    }

    #[test]
    fn one_dash_before_a_long_option_is_understood() {
        for (written, meant) in [
            ("talaria -config x", "talaria --config x"),
            ("talaria run -config x", "talaria run --config x"),
            ("talaria run -config=x", "talaria run --config=x"),
            (
                "talaria validate -envfile x",
                "talaria validate --envfile x",
            ),
            ("talaria dev -port 1", "talaria dev --port 1"),
            ("talaria run -confg x", "talaria run --confg x"),
            ("talaria run -envfle=x", "talaria run --envfle=x"),
            (
                "talaria token check - -url u",
                "talaria token check - --url u",
            ),
            ("talaria bench run -url u", "talaria bench run --url u"),
        ] {
            assert_eq!(understood(written), meant);
        }
        for fine in [
            "talaria run -c config",
            "talaria run --config x",
            "talaria run --config -",
            "talaria publish u --topic t --data -topic",
            "talaria dev -p 1",
            "talaria run -c/etc/caddy/Caddyfile",
            "talaria run -cCaddyfile",
            "talaria run -c=x",
        ] {
            assert_eq!(understood(fine), fine);
        }
    }
}

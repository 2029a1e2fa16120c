//! Static keys, and where they come from (B-232, B-235, B-242).

use std::path::Path;

use crate::error::Error;
use crate::folders;
use crate::lexer::Word;
use crate::settings::{KeySettings, Secret};
use crate::shown::show;
use crate::source::{Environment, Place, Source, SourceKind};
use crate::tree::Line;

/// Reads the key and the algorithm after `jwt`, `publisher_jwt` or `subscriber_jwt`; `None` if the key is
/// empty, in which case `missing` gets the reason.
///
/// # Errors
///
/// A missing or surplus word, a key file that cannot be read, a variable that would be a part of
/// the key and is not set.
pub(crate) fn parse(
    line: &Line,
    environment: Environment<'_>,
    missing: &mut Vec<String>,
) -> Result<Option<KeySettings>, Error> {
    let line = line.without_block().map_err(Error::hide_line)?;
    let (key, algorithm) = match line.args.as_slice() {
        [key] => (key, None),
        [key, algorithm] => (key, Some(algorithm)),
        // The variable in the place of the key may be unset or empty.
        [] => {
            return Err(line
                .missing("a key")
                .remedy(format!(
                    "write {} <key> [<algorithm>]; a variable in its place must be set",
                    line.name.text
                ))
                .hide_line());
        }
        [_, _, surplus, ..] => {
            return Err(surplus
                .error(format!(
                    "`{}` takes a key and at most one algorithm",
                    line.name.text
                ))
                .remedy("quote a key that holds spaces or line ends")
                .hide_line());
        }
    };
    for word in &line.args {
        word.refuse_unreplaced()?;
    }
    let Replaced { text, place, unset } = replace(key, environment)?;
    if text.is_empty() {
        let name = &line.name.text;
        missing.push(match unset {
            Some(problem) => format!("{}: {problem}, so `{name}` has no key", key.place),
            None => format!("{}: the key is empty, so `{name}` has none", key.place),
        });
        return Ok(None);
    }
    if let Some(problem) = unset {
        return Err(key
            .error(format!("{problem}, and the rest would be the key"))
            .remedy("set it, or remove it from the key")
            .hide_line());
    }
    let (algorithm, algorithm_place) = match algorithm {
        Some(word) => {
            let replaced = replace(word, environment)?;
            let name = Some(replaced.text).filter(|text| !text.is_empty());
            (name, Some(replaced.place))
        }
        None => (None, None),
    };
    Ok(Some(KeySettings {
        material: Secret::new(text),
        algorithm,
        place,
        algorithm_place,
    }))
}

/// Reads a word that may be a secret, in which `{env.NAME}` and `{file.PATH}` are replaced. No message shows its
/// line.
///
/// # Errors
///
/// A key file that cannot be read, and a variable that gives nothing.
pub(crate) fn plain(word: &Word, environment: Environment<'_>) -> Result<String, Error> {
    word.refuse_unreplaced()?;
    let Replaced { text, unset, .. } = replace(word, environment)?;
    match unset {
        Some(problem) => Err(word.error(problem).remedy("set it").hide_line()),
        None => Ok(text),
    }
}

/// Reads the one word of a line, a name or a password, which no message shows.
///
/// # Errors
///
/// It is missing or empty, or more follows.
pub(crate) fn credential(
    line: &Line,
    environment: Environment<'_>,
    what: &str,
) -> Result<String, Error> {
    let line = line.without_block().map_err(Error::hide_line)?;
    let name = &line.name.text;
    let missing = "write it behind the option, or remove the line if the server asks for none; a variable in its place must be set";
    match line.args.as_slice() {
        [word] => {
            let text = plain(word, environment)?;
            match text.is_empty() {
                true => Err(word
                    .error(format!("`{name}` is empty"))
                    .remedy(missing)
                    .hide_line()),
                false => Ok(text),
            }
        }
        [] => Err(line.missing(what).remedy(missing).hide_line()),
        [_, surplus, ..] => Err(surplus
            .error(format!("`{name}` takes {what} and nothing more"))
            .remedy("quote what holds spaces")
            .hide_line()),
    }
}

/// A word with its placeholders replaced.
struct Replaced {
    text: String,
    /// Where a key that it holds comes from.
    place: Place,
    /// What is wrong with the first variable that gave nothing.
    unset: Option<String>,
}

/// Replaces `{env.NAME}` and `{file.PATH}` (B-242).
fn replace(word: &Word, environment: Environment<'_>) -> Result<Replaced, Error> {
    let mut text = String::new();
    let mut rest = word.text.as_str();
    let mut place = word.place.clone();
    let mut unset = None;
    while let Some(open) = rest
        .find("{env.")
        .into_iter()
        .chain(rest.find("{file."))
        .min()
    {
        let (before, placeholder) = rest.split_at(open);
        let Some((body, after)) = placeholder.split_once('}') else {
            break;
        };
        text.push_str(before);
        if let Some(name) = body.strip_prefix("{env.") {
            let value = environment(name);
            let problem = match &value {
                None => Some(format!("the variable {name} is not set")),
                Some(value) if value.is_empty() => Some(format!("the variable {name} is empty")),
                Some(_) => None,
            };
            unset = unset.or(problem);
            text.push_str(&value.unwrap_or_default());
            place = Place::variable(name);
        } else if let Some(path) = body.strip_prefix("{file.") {
            let read = folders::read(Path::new(path), folders::KEY_BYTES);
            let content = read.and_then(folders::text).map_err(|error| {
                word.error(format!("the key file {} cannot be read", show(path)))
                    .caused_by(error)
                    .remedy("check the path and its permissions")
                    .hide_line()
            })?;
            let content = content.strip_suffix('\n').unwrap_or(&content);
            text.push_str(content.strip_suffix('\r').unwrap_or(content));
            place = Place::whole(Source::new(SourceKind::File, path, "", true));
        }
        rest = after;
    }
    text.push_str(rest);
    Ok(Replaced { text, place, unset })
}

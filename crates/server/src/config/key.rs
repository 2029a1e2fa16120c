//! Static keys: where they come from, and what is wrong with them (B-224, B-225, B-232, B-235).

use std::path::Path;

use talaria_hub::access::{Algorithm, IssuerKey, KeyError, VerificationKey};

use super::error::{ConfigError, show};
use super::key_mistakes::{self, Mistake};
use super::lexer::Word;
use super::settings::{KeySettings, Notice, Secret};
use super::source::{Place, Source, SourceKind};
use super::tree::Line;
use crate::folders;
use crate::options::Environment;

/// Parses the key and the algorithm after `jwt`, `publisher_jwt` or `subscriber_jwt`; `None` if
/// the key is empty, in which case `missing` gets what it lacks.
///
/// # Errors
///
/// A missing or surplus word, a key file that cannot be read, a variable that would be a part of
/// the key and is not set.
pub fn parse(
    line: &Line,
    environment: Environment<'_>,
    missing: &mut Vec<String>,
) -> Result<Option<KeySettings>, ConfigError> {
    let line = line.without_block().map_err(ConfigError::hide_line)?;
    let (key, algorithm) = match line.args.as_slice() {
        [key] => (key, None),
        [key, algorithm] => (key, Some(algorithm)),
        // Without arguments the variable that the file names was unset or empty.
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

/// A word with its placeholders replaced.
struct Replaced {
    text: String,
    /// Where a key that it holds comes from.
    place: Place,
    /// What is wrong with the first variable that gave nothing.
    unset: Option<String>,
}

/// Replaces `{env.NAME}` and `{file.PATH}` (B-242).
fn replace(word: &Word, environment: Environment<'_>) -> Result<Replaced, ConfigError> {
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
                word.error(format!(
                    "the key file {} cannot be read: {error}",
                    show(path)
                ))
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

/// The key as its verifier. A mistake in it gives one warning for each place, else a weakness does
/// (B-1023).
///
/// # Errors
///
/// A key that cannot verify anything, or that cannot be meant as one.
pub fn verifier(
    settings: &KeySettings,
    notices: &mut Vec<Notice>,
) -> Result<IssuerKey, ConfigError> {
    let KeySettings {
        material, place, ..
    } = settings;
    let algorithm = settings.algorithm.as_deref().map(str::parse).transpose();
    let key = algorithm
        .map_err(KeyError::from)
        .and_then(|algorithm| VerificationKey::parse(material.expose(), algorithm));
    let mistake = key_mistakes::find(material.expose());
    if let Some(Mistake::Fatal(says)) = mistake
        // PEM text that can be read has no mistake.
        && (key.is_err() || !material.expose().trim_start().starts_with("-----BEGIN "))
    {
        return Err(ConfigError::at(place, format!("the key {says}")).hide_line());
    }
    let key = key.map_err(|error| unusable(settings, &error))?;
    let notice = match mistake {
        Some(Mistake::Likely(says)) => Some(Notice::warning(format!("{place}: the key {says}"))),
        Some(Mistake::Possible(says)) if key.weakness().is_none() => {
            Some(Notice::info(format!("{place}: the key {says}")))
        }
        _ => key
            .weakness()
            .map(|weakness| Notice::warning(format!("{place}: {weakness}"))),
    };
    let exposed = place.key_file().and_then(folders::exposed_key);
    for notice in notice.into_iter().chain(exposed.map(Notice::warning)) {
        if !notices.contains(&notice) {
            notices.push(notice);
        }
    }
    Ok(key.into())
}

/// The error for a key that cannot verify anything: at its algorithm, if that may be what is wrong.
fn unusable(settings: &KeySettings, error: &KeyError) -> ConfigError {
    let KeySettings {
        place,
        algorithm,
        algorithm_place,
        ..
    } = settings;
    let is_about_key = matches!(error, KeyError::UnreadablePem(_) | KeyError::Empty);
    let named = algorithm_place.as_ref().filter(|_| !is_about_key);
    let error = match (named, algorithm) {
        (Some(named), Some(algorithm)) => {
            let upper = algorithm.to_ascii_uppercase();
            let name = upper.trim_matches(|c: char| !c.is_ascii_alphanumeric());
            // The name in its one spelling, if that is all that is wrong.
            let right = Algorithm::ALL.map(Algorithm::name).into_iter();
            let mut right =
                right.filter(|right| right.eq_ignore_ascii_case(name) && right != algorithm);
            let remedy = match right.next() {
                Some(right) => format!("write {right}; the key is that of {place}"),
                None => format!("the key is that of {place}"),
            };
            ConfigError::at(named, error.to_string()).remedy(remedy)
        }
        (Some(named), None) => ConfigError::at(place, error.to_string())
            .remedy(format!("name the algorithm in {named}")),
        (None, _) => ConfigError::at(place, error.to_string()),
    };
    error.hide_line()
}

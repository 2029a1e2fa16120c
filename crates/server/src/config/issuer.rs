//! `issuer` blocks and keys (B-232 to B-238).

use talaria_hub::access::{Issuer, Issuers, VerificationKey};

use super::error::{ConfigError, show};
use super::lexer::Word;
use super::settings::{IssuerSettings, KeySettings, Notice, Secret};
use super::site::refuse;
use super::source::{Place, Source, SourceKind};
use super::tree::Line;
use crate::options::Environment;

/// Parses an `issuer` block.
///
/// # Errors
///
/// An empty identifier, an unknown or unsupported line, or a wrong key line.
pub fn parse(line: &Line, environment: Environment<'_>) -> Result<IssuerSettings, ConfigError> {
    let identifier = line.one("the issuer's identifier")?;
    if identifier.text.is_empty() {
        return Err(identifier
            .error("the issuer's identifier is empty")
            .remedy("write the value of the tokens' `iss` claim, for example https://localhost"));
    }
    let mut issuer = IssuerSettings {
        identifier: identifier.text.clone(),
        authorization_server: false,
        judges_unnamed: false,
        publisher: None,
        subscriber: None,
        place: identifier.place.clone(),
    };
    for line in line.block.iter().flatten() {
        match line.name.text.as_str() {
            "authorization_server" => {
                line.without_block()?.at_most(0, "")?;
                issuer.authorization_server = true;
            }
            "publisher" => issuer.publisher = role(line, environment)?,
            "subscriber" => issuer.subscriber = role(line, environment)?,
            _ => {
                let known = ["authorization_server", "publisher", "subscriber"];
                return Err(
                    refuse(&line.name, "line of an issuer", &["jwks_uri"], &known).hide_line(),
                );
            }
        }
    }
    Ok(issuer)
}

/// A role's key; `None` when it is empty, which means that the role is not configured (B-122).
fn role(line: &Line, environment: Environment<'_>) -> Result<Option<KeySettings>, ConfigError> {
    if let Some(surplus) = line.args.first() {
        // The word is not shown: it may be a key.
        return Err(surplus
            .error("a role takes a block and no argument")
            .remedy("write `jwt <key> [<algorithm>]` on a line of its own within the block")
            .hide_line());
    }
    let mut settings = None;
    for line in line.block.iter().flatten() {
        match line.name.text.as_str() {
            "jwt" => settings = key(line, environment)?,
            "jwks_uri" => return Err(refuse(&line.name, "key source", &["jwks_uri"], &["jwt"])),
            // The word is not shown: it may belong to a key that was not quoted.
            _ => {
                return Err(line
                    .name
                    .error("a role's block may hold only `jwt <key> [<algorithm>]`")
                    .remedy("quote a key that spans lines, or write jwt {env.NAME}")
                    .hide_line());
            }
        }
    }
    Ok(settings)
}

/// Parses the key and the algorithm after `jwt`, `publisher_jwt` or `subscriber_jwt`; `None` if
/// the key is empty.
///
/// # Errors
///
/// A missing or surplus word, a key file that cannot be read.
pub fn key(line: &Line, environment: Environment<'_>) -> Result<Option<KeySettings>, ConfigError> {
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
    let (material, place) = run_time(key, environment)?;
    if material.is_empty() {
        return Ok(None);
    }
    let algorithm = match algorithm {
        Some(word) => Some(run_time(word, environment)?.0).filter(|text| !text.is_empty()),
        None => None,
    };
    Ok(Some(KeySettings {
        material: Secret::new(material),
        algorithm,
        place,
    }))
}

/// The word with `{env.NAME}` and `{file.PATH}` replaced (B-242), and where a key that it holds
/// comes from.
fn run_time(word: &Word, environment: Environment<'_>) -> Result<(String, Place), ConfigError> {
    let mut text = String::new();
    let mut rest = word.text.as_str();
    let mut place = word.place.clone();
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
            text.push_str(&environment(name).unwrap_or_default());
            place = Place::variable(name);
        } else if let Some(path) = body.strip_prefix("{file.") {
            let content = std::fs::read_to_string(path).map_err(|error| {
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
    Ok((text, place))
}

/// Checks the rules over all issuers (B-222, B-223).
///
/// # Errors
///
/// A key that does not fit its algorithm (B-224, B-225), an identifier that occurs twice, an issuer without keys, no publisher key anywhere, or no
/// subscriber key anywhere while `anonymous` is off.
pub fn check(
    issuers: &[IssuerSettings],
    anonymous: bool,
    notices: &mut Vec<Notice>,
) -> Result<Issuers, ConfigError> {
    for (index, issuer) in issuers.iter().enumerate() {
        let name = show(&issuer.identifier);
        if issuers
            .iter()
            .take(index)
            .any(|earlier| earlier.identifier == issuer.identifier)
        {
            return Err(ConfigError::at(
                &issuer.place,
                format!("the issuer {name} is configured twice"),
            )
            .remedy("merge the two blocks"));
        }
        if issuer.publisher.is_none() && issuer.subscriber.is_none() {
            return Err(
                ConfigError::at(&issuer.place, format!("the issuer {name} has no key"))
                    .remedy("add a `publisher` or `subscriber` block with `jwt <key>`"),
            );
        }
    }
    let place = issuers.first().map(|issuer| &issuer.place);
    let missing = |problem: &str, remedy: &str| {
        let error = match place {
            Some(place) => ConfigError::at(place, problem),
            None => ConfigError::general(problem),
        };
        Err(error.remedy(remedy))
    };
    if issuers.iter().all(|issuer| issuer.publisher.is_none()) {
        return missing(
            "no issuer has a publisher key, so nobody could publish",
            "add `publisher { jwt <key> }` to an `issuer` block, each brace at its line's end",
        );
    }
    if !anonymous && issuers.iter().all(|issuer| issuer.subscriber.is_none()) {
        return missing(
            "no issuer has a subscriber key and `anonymous` is off, so nobody could subscribe",
            "add `subscriber { jwt <key> }` to an `issuer` block, or `anonymous` to the `mercure` block",
        );
    }
    let mut verifiers = Vec::new();
    for issuer in issuers {
        verifiers.push(Issuer {
            identifier: issuer.identifier.clone(),
            authorization_server: issuer.authorization_server,
            judges_unnamed: issuer.judges_unnamed,
            publisher: verification_key(issuer.publisher.as_ref(), notices)?,
            subscriber: verification_key(issuer.subscriber.as_ref(), notices)?,
        });
    }
    Issuers::new(verifiers).map_err(|error| ConfigError::general(error.to_string()))
}

/// The key as its verifier; a weak one gives one warning for each place (B-1023).
fn verification_key(
    key: Option<&KeySettings>,
    notices: &mut Vec<Notice>,
) -> Result<Option<VerificationKey>, ConfigError> {
    let Some(KeySettings {
        material,
        algorithm,
        place,
    }) = key
    else {
        return Ok(None);
    };
    let key = VerificationKey::new(material.expose(), algorithm.as_deref())
        .map_err(|error| ConfigError::at(place, error.to_string()).hide_line())?;
    if let Some(weakness) = key.weakness() {
        let notice = Notice::warning(format!("{place}: {weakness}"));
        if !notices.contains(&notice) {
            notices.push(notice);
        }
    }
    Ok(Some(key))
}

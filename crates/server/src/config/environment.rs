//! What the environment alone configures (B-101 to B-126).

use super::address;
use super::draft::{Draft, UNNAMED_ISSUER};
use super::error::{ConfigError, show};
use super::lexer::{Word, lex};
use super::list;
use super::settings::{IssuerSettings, KeySettings, Notice, OriginSetting, Secret};
use super::source::{Place, Source, SourceKind, Text};
use super::tree::{Line, parse};
use crate::options::{Environment, default_transport, from_url};

/// Variables that paste text into the official file where this version supports none (B-108 to
/// B-110).
const LATER: &[&str] = &["CADDY_EXTRA_CONFIG", "CADDY_SERVER_EXTRA_DIRECTIVES"];

/// The words of a variable's text, and the variable as a place.
fn words(name: &str, value: &str) -> Result<Vec<Word>, ConfigError> {
    lex(&Text::literal(&Source::new(
        SourceKind::Variable,
        name,
        value,
        false,
    )))
}

/// Addresses from `SERVER_NAME` (B-101).
///
/// # Errors
///
/// As [`address::addresses`], and when it is unset or empty.
pub fn server_name(draft: &mut Draft, environment: Environment<'_>) -> Result<(), ConfigError> {
    let value = environment("SERVER_NAME").unwrap_or_else(|| "localhost".to_owned());
    draft.addresses = address::addresses(&words("SERVER_NAME", &value)?, draft.ports)?;
    if draft.addresses.is_empty() {
        return Err(address::missing("SERVER_NAME is set but holds no address"));
    }
    Ok(())
}

/// The lines of `MERCURE_EXTRA_DIRECTIVES` (B-107).
///
/// # Errors
///
/// As [`parse`], at the line within the variable; also when another variable is set that adds text
/// to the official file.
pub fn extra_directives(environment: Environment<'_>) -> Result<Vec<Line>, ConfigError> {
    let filled = |name: &&&str| environment(name).is_some_and(|value| !value.trim().is_empty());
    if let Some(name) = LATER.iter().find(filled) {
        return Err(ConfigError::general(format!("{name} is not supported yet"))
            .remedy("unset it; directives of the hub itself go into MERCURE_EXTRA_DIRECTIVES"));
    }
    lines("MERCURE_EXTRA_DIRECTIVES", environment)
}

/// The lines of `GLOBAL_OPTIONS` (B-108).
///
/// # Errors
///
/// As [`parse`], at the line within the variable.
pub fn global_options(environment: Environment<'_>) -> Result<Vec<Line>, ConfigError> {
    lines("GLOBAL_OPTIONS", environment)
}

/// The text of a variable that stands within a block of the official file.
fn lines(name: &str, environment: Environment<'_>) -> Result<Vec<Line>, ConfigError> {
    let value = environment(name).unwrap_or_default();
    let document = parse(&Text::literal(&Source::new(
        SourceKind::Variable,
        name,
        &value,
        false,
    )))?;
    match document.global {
        Some((place, _)) => Err(
            ConfigError::at(&place, "this block has no name before its `{`")
                .remedy("write one option a line, without braces around them"),
        ),
        None => Ok(document.lines),
    }
}

/// The issuer of `MERCURE_TRUSTED_ISSUERS` with the keys of the key variables (B-081), unless no
/// variable names it and other issuers exist.
///
/// # Errors
///
/// `MERCURE_TRUSTED_ISSUERS` is not one value, or a key that is needed is missing.
pub fn issuer(draft: &mut Draft, environment: Environment<'_>) -> Result<(), ConfigError> {
    const NAME: &str = "MERCURE_TRUSTED_ISSUERS";
    // A directive takes precedence over the variable of the same role, which then is not read.
    let own = &draft.older_keys;
    let read = |is_written: bool, role| match is_written {
        true => None,
        false => key(role, environment),
    };
    let mut publisher = read(own.publisher.is_some(), "PUBLISHER");
    let mut subscriber = read(own.subscriber.is_some(), "SUBSCRIBER");
    let configured = !draft.issuers.is_empty() || draft.older_keys.place.is_some();
    if draft.playground && publisher.is_none() && subscriber.is_none() && !configured {
        publisher = Some(playground_key());
        subscriber = Some(playground_key());
    }
    let named = environment(NAME);
    if named.is_none() && publisher.is_none() && subscriber.is_none() && configured {
        return Ok(());
    }
    draft.issuer_named |= named.is_some();
    let (identifier, place) = match named {
        None => (
            UNNAMED_ISSUER.to_owned(),
            Place::variable("MERCURE_PUBLISHER_JWT_KEY"),
        ),
        Some(value) => match words(NAME, &value)?.as_slice() {
            [word] if !word.text.is_empty() => {
                list::one(NAME, word)?;
                (word.text.clone(), word.place.clone())
            }
            [] | [_] => {
                return Err(ConfigError::general(format!("{NAME} is set but empty"))
                    .remedy("unset it to accept https://localhost, or write the tokens' `iss`"));
            }
            [_, second, ..] => {
                return Err(second
                    .error(format!(
                        "{NAME} takes exactly one issuer, but there is {}",
                        show(&second.text)
                    ))
                    .remedy("leave the first one there and add further issuers as `issuer` blocks in MERCURE_EXTRA_DIRECTIVES; quote an issuer whose name holds spaces"));
            }
        },
    };
    let publishes = publisher.is_some()
        || draft.older_keys.publisher.is_some()
        || draft
            .issuers
            .iter()
            .any(|issuer| issuer.publisher.is_some());
    if !publishes {
        let problem = format!(
            "MERCURE_PUBLISHER_JWT_KEY is {}, so no client could publish",
            absence("MERCURE_PUBLISHER_JWT_KEY", environment)
        );
        return Err(ConfigError::general(problem).absence().remedy(
            "set it to a secret of at least 32 bytes, or to a public key in PEM with \
             MERCURE_PUBLISHER_JWT_ALG; to try the hub out, run `talaria dev`, which makes a key of its own",
        ));
    }
    let subscribes = subscriber.is_some()
        || draft.older_keys.subscriber.is_some()
        || draft
            .issuers
            .iter()
            .any(|issuer| issuer.subscriber.is_some());
    if !subscribes && draft.anonymous != Some(true) && !draft.playground {
        let problem = format!(
            "MERCURE_SUBSCRIBER_JWT_KEY is {} and `anonymous` is off, so no client could subscribe",
            absence("MERCURE_SUBSCRIBER_JWT_KEY", environment)
        );
        return Err(ConfigError::general(problem).absence().remedy("set it, or write `anonymous` in MERCURE_EXTRA_DIRECTIVES to let anyone read public updates"));
    }
    let issuer = IssuerSettings {
        identifier,
        authorization_server: false,
        // They are the keys of every 0.x token, whatever it names (design §6).
        judges_unnamed: true,
        publisher: publisher.map(Into::into),
        subscriber: subscriber.map(Into::into),
        place,
    };
    draft.issuers.insert(0, issuer);
    Ok(())
}

/// How a variable is missing.
fn absence(name: &str, environment: Environment<'_>) -> &'static str {
    match environment(name) {
        Some(_) => "empty",
        None => "not set",
    }
}

/// The well-known key of a playground to which nobody gave one (B-091).
fn playground_key() -> KeySettings {
    KeySettings {
        material: Secret::new("!ChangeThisMercureHubJWTSecretKey!".to_owned()),
        algorithm: None,
        place: Place::variable("playground"),
        algorithm_place: None,
    }
}

/// The key of a role, used as raw bytes (B-123); empty means not configured (B-122).
fn key(role: &str, environment: Environment<'_>) -> Option<KeySettings> {
    let name = format!("MERCURE_{role}_JWT_KEY");
    let material = environment(&name).filter(|material| !material.is_empty())?;
    let algorithm_name = format!("MERCURE_{role}_JWT_ALG");
    let algorithm = environment(&algorithm_name).filter(|text| !text.is_empty());
    Some(KeySettings {
        material: Secret::new(material),
        algorithm,
        place: Place::variable(&name),
        algorithm_place: Some(Place::variable(&algorithm_name)),
    })
}

/// `MERCURE_TRANSPORT_URL`, when no transport is configured (B-125), else the default.
///
/// # Errors
///
/// As [`from_url`].
pub fn transport(draft: &mut Draft, environment: Environment<'_>) -> Result<(), ConfigError> {
    const NAME: &str = "MERCURE_TRANSPORT_URL";
    if draft.transport.is_some() {
        return Ok(());
    }
    let url = environment(NAME).filter(|url| !url.is_empty());
    draft.transport = Some(match url {
        None => default_transport(environment),
        Some(url) => {
            draft.notices.push(Notice::warning(format!(
                "{NAME} is deprecated: write a `transport` directive instead"
            )));
            from_url(NAME, &url, environment, &mut draft.notices)?
        }
    });
    Ok(())
}

/// `MERCURE_CORS_ALLOWED_ORIGINS`, when `cors_origins` is not used.
///
/// # Errors
///
/// A quote that is not closed, and marks that no list has.
pub fn cors_origins(draft: &mut Draft, environment: Environment<'_>) -> Result<(), ConfigError> {
    const NAME: &str = "MERCURE_CORS_ALLOWED_ORIGINS";
    if draft.cors_origins.is_some() {
        return Ok(());
    }
    let Some(value) = environment(NAME) else {
        return Ok(());
    };
    let origins: Vec<OriginSetting> = list::items(NAME, &words(NAME, &value)?)?
        .into_iter()
        .map(OriginSetting::from)
        .collect();
    draft.cors_origins = Some(origins).filter(|origins| !origins.is_empty());
    Ok(())
}

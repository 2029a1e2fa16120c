//! What the environment alone configures (B-101 to B-126).

use crate::address::{self, Ports};
use crate::draft::{Draft, UNNAMED_ISSUER};
use crate::error::Error;
use crate::lexer::words_of_variable;
use crate::list;
use crate::options::{
    DEFAULT_ADDRESS, EXTRA_DIRECTIVES, PUBLISHER, SERVER_NAME, SUBSCRIBER, TRUSTED_ISSUERS,
};
use crate::settings::{IssuerSettings, KeySettings, KeySource, ListenAddress, Secret};
use crate::shown::show;
use crate::source::{Environment, Place, Source, SourceKind};
use crate::text::Text;
use crate::tree::{Line, parse};

/// The variable that holds global options.
pub(crate) const GLOBAL_OPTIONS: &str = "GLOBAL_OPTIONS";

/// The variable that holds snippets (B-109).
pub(crate) const EXTRA_CONFIG: &str = "CADDY_EXTRA_CONFIG";
/// The variable that holds directives of the site.
pub(crate) const SITE_DIRECTIVES: &str = "CADDY_SERVER_EXTRA_DIRECTIVES";

/// Addresses from `SERVER_NAME` (B-101).
///
/// # Errors
///
/// As [`address::addresses`], and when it is set but empty.
pub(crate) fn server_name(
    ports: Ports,
    environment: Environment<'_>,
) -> Result<Vec<ListenAddress>, Error> {
    let value = environment(SERVER_NAME).unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
    let words = words_of_variable(SERVER_NAME, &value)?;
    let addresses = address::addresses(&words, ports)?;
    match addresses.is_empty() {
        true => Err(address::missing("SERVER_NAME is set but holds no address")),
        false => Ok(addresses),
    }
}

/// The lines of `MERCURE_EXTRA_DIRECTIVES` (B-107).
///
/// # Errors
///
/// As [`parse`], at the line within the variable.
pub(crate) fn extra_directives(environment: Environment<'_>) -> Result<Vec<Line>, Error> {
    lines(EXTRA_DIRECTIVES, environment)
}

/// The lines of `CADDY_EXTRA_CONFIG`: snippets, which the other variables may import, and further sites (B-109).
///
/// # Errors
///
/// As [`parse`], at the line within the variable.
pub(crate) fn extra_config(environment: Environment<'_>) -> Result<Vec<Line>, Error> {
    lines(EXTRA_CONFIG, environment)
}

/// The directives of the site: its hub, as the official file has it, and those of
/// `CADDY_SERVER_EXTRA_DIRECTIVES` (B-110).
///
/// # Errors
///
/// As [`parse`], at the line within the variable.
pub(crate) fn site_directives(environment: Environment<'_>) -> Result<Vec<Line>, Error> {
    lines(SITE_DIRECTIVES, environment)
}

/// The line that stands for the hub in the official file, with the lines of its block.
///
/// # Errors
///
/// There is none.
pub(crate) fn hub_line(block: Option<Vec<Line>>) -> Result<Line, Error> {
    let source = Source::new(SourceKind::Variable, EXTRA_DIRECTIVES, "mercure", false);
    let document = parse(&Text::literal(&source))?;
    let line = document.lines.into_iter().next();
    line.map(|line| Line { block, ..line })
        .ok_or_else(|| Error::new("the directive of the hub is missing"))
}

/// The lines of `GLOBAL_OPTIONS` (B-108).
///
/// # Errors
///
/// As [`parse`], at the line within the variable.
pub(crate) fn global_options(environment: Environment<'_>) -> Result<Vec<Line>, Error> {
    lines(GLOBAL_OPTIONS, environment)
}

/// The text of a variable that stands within a block of the official file.
fn lines(name: &str, environment: Environment<'_>) -> Result<Vec<Line>, Error> {
    let value = environment(name).unwrap_or_default();
    let source = Source::new(SourceKind::Variable, name, &value, false);
    let document = parse(&Text::literal(&source))?;
    match document.global {
        Some((place, _)) => Err(Error::at(&place, "this block has no name before its `{`")
            .remedy("write one option a line, without braces around them")),
        None => Ok(document.lines),
    }
}

/// The issuer of `MERCURE_TRUSTED_ISSUERS` with the keys of the key variables (B-081), unless no
/// variable names it and other issuers exist.
///
/// # Errors
///
/// `MERCURE_TRUSTED_ISSUERS` is not one value, or a key that is needed is missing.
pub(crate) fn issuer(draft: &mut Draft, environment: Environment<'_>) -> Result<(), Error> {
    // A directive takes precedence over the variable of the same role, which then is not read.
    let read = |is_written: bool, names| match is_written {
        true => None,
        false => key(names, environment),
    };
    let mut publisher = read(draft.older_keys.publisher.is_some(), PUBLISHER);
    let mut subscriber = read(draft.older_keys.subscriber.is_some(), SUBSCRIBER);
    let has_key = publisher.is_some() || subscriber.is_some();
    if draft.hub.pages.playground && !has_key && !draft.names_keys() {
        publisher = Some(playground_key());
        subscriber = Some(playground_key());
    }
    let named = environment(TRUSTED_ISSUERS);
    if named.is_none() && !has_key && draft.names_keys() {
        return Ok(());
    }
    draft.issuer_named |= named.is_some();
    let mut issuer = match named {
        None => IssuerSettings::new(UNNAMED_ISSUER, Place::variable(PUBLISHER.0)),
        Some(value) => named_issuer(&value)?,
    };
    // The key variables hold the keys of every 0.x token, whatever issuer it names.
    issuer.judges_unnamed = true;
    issuer.publisher = publisher.map(KeySource::from);
    issuer.subscriber = subscriber.map(KeySource::from);
    draft.issuers.insert(0, issuer);
    check_roles(draft, environment)
}

fn named_issuer(value: &str) -> Result<IssuerSettings, Error> {
    match words_of_variable(TRUSTED_ISSUERS, value)?.as_slice() {
        [word] if !word.text.is_empty() => {
            list::one(TRUSTED_ISSUERS, word)?;
            Ok(IssuerSettings::new(word.text.clone(), word.place.clone()))
        }
        [] | [_] => Err(Error::new(format!("{TRUSTED_ISSUERS} is set but empty"))
            .remedy("unset it to accept https://localhost, or write the tokens' `iss`")),
        [_, second, ..] => Err(second
            .error(format!(
                "{TRUSTED_ISSUERS} takes exactly one issuer, but there is {}",
                show(&second.text)
            ))
            .remedy(format!("leave the first one there and add further issuers as `issuer` blocks in {EXTRA_DIRECTIVES}; quote an issuer whose name holds spaces"))),
    }
}

/// Refuses a hub to which no client could publish, or which none could subscribe to, and names the
/// variables that would change that.
fn check_roles(draft: &Draft, environment: Environment<'_>) -> Result<(), Error> {
    let absence = |name: &str| match environment(name) {
        Some(_) => format!("{name} is empty"),
        None => format!("{name} is not set"),
    };
    let issuers = || draft.issuers.iter();
    let keys = &draft.older_keys;
    let publishes = keys.publisher.is_some() || issuers().any(|issuer| issuer.publisher.is_some());
    if !publishes {
        let problem = format!("{}, so no client could publish", absence(PUBLISHER.0));
        return Err(Error::new(problem).absence().remedy(format!(
            "set it to a secret of at least 32 bytes, or to a public key in PEM with {}; \
             to try the hub out, run `talaria dev`, which makes its own key",
            PUBLISHER.1
        )));
    }
    let subscribes =
        keys.subscriber.is_some() || issuers().any(|issuer| issuer.subscriber.is_some());
    if !subscribes && !draft.hub.anonymous && !draft.hub.pages.playground {
        let problem = format!(
            "{} and `anonymous` is off, so no client could subscribe",
            absence(SUBSCRIBER.0)
        );
        return Err(Error::new(problem).absence().remedy(format!(
            "set it, or write `anonymous` in {EXTRA_DIRECTIVES} to let anyone read public updates"
        )));
    }
    Ok(())
}

/// The well-known key of a playground to which none was given (B-091).
pub(crate) fn playground_key() -> KeySettings {
    KeySettings {
        material: Secret::new("!ChangeThisMercureHubJWTSecretKey!".to_owned()),
        algorithm: None,
        place: Place::variable("playground"),
        algorithm_place: None,
    }
}

/// The key of a role, from the variables of it and of its algorithm: byte for byte as it is (B-123); an
/// empty one counts as unset (B-122).
fn key((name, algorithm_name): (&str, &str), environment: Environment<'_>) -> Option<KeySettings> {
    let material = environment(name).filter(|material| !material.is_empty())?;
    let algorithm = environment(algorithm_name).filter(|text| !text.is_empty());
    Some(KeySettings {
        material: Secret::new(material),
        algorithm,
        place: Place::variable(name),
        algorithm_place: Some(Place::variable(algorithm_name)),
    })
}

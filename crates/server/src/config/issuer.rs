//! `issuer` blocks and key sets (B-233 to B-238).

use std::sync::Arc;

use talaria_hub::access::{Algorithm, Issuer, IssuerKey, Issuers, KeySet};

use super::error::{ConfigError, show};
use super::key;
use super::lexer::Word;
use super::list;
use super::settings::{IssuerSettings, KeySetSettings, KeySource, Notice};
use super::site::refuse;
use super::tree::Line;
use crate::folders;
use crate::key_sets::{self, Location};
use crate::options::Environment;

/// Parses an `issuer` block.
///
/// # Errors
///
/// An empty identifier, an unknown or unsupported line, or a wrong key line.
pub fn parse(
    line: &Line,
    environment: Environment<'_>,
    missing: &mut Vec<String>,
) -> Result<IssuerSettings, ConfigError> {
    let identifier = line.one("the issuer's identifier")?;
    list::one("issuer", identifier)?;
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
            "publisher" => issuer.publisher = role(line, environment, missing)?,
            "subscriber" => issuer.subscriber = role(line, environment, missing)?,
            _ => {
                let known = ["authorization_server", "publisher", "subscriber"];
                return Err(refuse(&line.name, "line of an issuer", &[], &known).hide_line());
            }
        }
    }
    Ok(issuer)
}

/// What verifies a role's tokens; `None` when the key is empty, which means that the role is not
/// configured (B-122).
fn role(
    line: &Line,
    environment: Environment<'_>,
    missing: &mut Vec<String>,
) -> Result<Option<KeySource>, ConfigError> {
    if let Some(surplus) = line.args.first() {
        // The word is not shown: it may be a key.
        return Err(surplus
            .error("a role takes a block and no argument")
            .remedy("write `jwt <key> [<algorithm>]` on a line of its own within the block")
            .hide_line());
    }
    let (mut static_key, mut set) = (None, None);
    for line in line.block.iter().flatten() {
        match line.name.text.as_str() {
            "jwt" => static_key = key::parse(line, environment, missing)?,
            "jwks_uri" => set = Some(key_set(line)?),
            "jwks_discovery" => set = Some(discovered_key_set(line)?),
            // The word is not shown: it may belong to a key that was not quoted.
            _ => {
                return Err(line
                    .name
                    .error("a role's block may hold only `jwt <key> [<algorithm>]`, `jwks_uri <url> [<algorithm>…]` or `jwks_discovery [<algorithm>…]`")
                    .remedy("quote a key that spans lines, or write jwt {env.NAME}")
                    .hide_line());
            }
        }
    }
    match (static_key, set) {
        (None, set) => Ok(set.map(KeySource::Set)),
        (Some(key), None) => Ok(Some(KeySource::Static(key))),
        // B-237.
        (Some(key), Some(_)) => Err(ConfigError::at(
            &key.place,
            "a role takes `jwt` or a key set, not both",
        )
        .remedy("remove one of them, or give the other key an `issuer` block of its own")
        .hide_line()),
    }
}

/// Parses `jwks_uri`, `publisher_jwks_url` or `subscriber_jwks_url` (B-236).
///
/// # Errors
///
/// No `https` or `file` URL, an unknown algorithm.
pub fn key_set(line: &Line) -> Result<KeySetSettings, ConfigError> {
    let [address, algorithms @ ..] = line.without_block()?.args.as_slice() else {
        return Err(line
            .missing("a URL")
            .remedy("write for example jwks_uri https://issuer.example/.well-known/jwks.json"));
    };
    address.refuse_unreplaced()?;
    list::one(&line.name.text, address)?;
    let url = url::Url::parse(&address.text).ok();
    if url
        .as_ref()
        .is_some_and(|url| !url.username().is_empty() || url.password().is_some())
    {
        return Err(address
            .error("the address of a key set holds no user name and password")
            .remedy("remove them; what is published needs none")
            .hide_line());
    }
    let location = match url {
        Some(url) if url.scheme() == "https" && url.has_host() => Location::Url(url),
        Some(url) if url.scheme() == "file" => match url.to_file_path() {
            Ok(path) => Location::File(path),
            Err(()) => {
                return Err(address
                    .error(format!(
                        "{} names no file of this machine",
                        show(&address.text)
                    ))
                    .remedy("write file:///path/to/jwks.json"));
            }
        },
        _ => {
            return Err(address
                .error(format!(
                    "{} is no https:// or file:// URL; keys that come over plain HTTP may be anybody's",
                    show(&address.text)
                ))
                .remedy("write the https:// address, or save the set and write file:///path/to/jwks.json"));
        }
    };
    Ok(KeySetSettings {
        location,
        algorithms: listed_algorithms(&line.name.text, &address.text, algorithms)?,
        place: line.name.place.clone(),
    })
}

fn discovered_key_set(line: &Line) -> Result<KeySetSettings, ConfigError> {
    Ok(KeySetSettings {
        location: Location::Discovered,
        algorithms: listed_algorithms(&line.name.text, "", &line.without_block()?.args)?,
        place: line.name.place.clone(),
    })
}

fn listed_algorithms(
    name: &str,
    address: &str,
    words: &[Word],
) -> Result<Vec<Algorithm>, ConfigError> {
    let algorithm = |word: &Word| {
        word.text.parse().map_err(|_| {
            let names = Algorithm::ALL.map(Algorithm::name).join(", ");
            word.error(format!("{} is no signature algorithm", show(&word.text)))
                .remedy(format!("list some of {names}"))
        })
    };
    let before = format!("{name} {address}");
    let items = list::items(before.trim_end(), words)?;
    items.iter().map(algorithm).collect()
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
    key_sets: &mut Vec<key_sets::Source>,
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
        if issuer.identifier == "*" {
            notices.push(Notice::warning(format!(
                "{}: the issuer `*` is not a wildcard: it is the issuer of tokens whose `iss` is `*`; write the `iss` of your tokens",
                issuer.place
            )));
        }
        if issuer.publisher.is_none() && issuer.subscriber.is_none() {
            return Err(
                ConfigError::at(&issuer.place, format!("the issuer {name} has no key"))
                    .absence()
                    .remedy(
                        "add a `publisher` or `subscriber` block with `jwt <key>` or `jwks_uri <url>`",
                    ),
            );
        }
    }
    let place = issuers.first().map(|issuer| &issuer.place);
    let missing = |problem: &str, remedy: &str| {
        let error = match place {
            Some(place) => ConfigError::at(place, problem),
            None => ConfigError::general(problem),
        };
        Err(error.absence().remedy(remedy))
    };
    if issuers.iter().all(|issuer| issuer.publisher.is_none()) {
        return missing(
            "no issuer has a publisher key, so no client could publish",
            "add `publisher { jwt <key> }` to an `issuer` block, each brace at its line's end",
        );
    }
    if !anonymous && issuers.iter().all(|issuer| issuer.subscriber.is_none()) {
        return missing(
            "no issuer has a subscriber key and `anonymous` is off, so no client could subscribe",
            "add `subscriber { jwt <key> }` to an `issuer` block, or `anonymous` to the `mercure` block",
        );
    }
    let mut verifiers = Vec::new();
    for issuer in issuers {
        let mut verifier = Issuer::new(&issuer.identifier);
        verifier.authorization_server = issuer.authorization_server;
        verifier.judges_unnamed = issuer.judges_unnamed;
        verifier.publisher = issuer_key(issuer, issuer.publisher.as_ref(), notices, key_sets)?;
        verifier.subscriber = issuer_key(issuer, issuer.subscriber.as_ref(), notices, key_sets)?;
        verifiers.push(verifier);
    }
    Issuers::new(verifiers).map_err(|error| ConfigError::general(error.to_string()))
}

/// What verifies a role's tokens. The roles of an issuer share its set, and issuers share none.
fn issuer_key(
    issuer: &IssuerSettings,
    source: Option<&KeySource>,
    notices: &mut Vec<Notice>,
    key_sets: &mut Vec<key_sets::Source>,
) -> Result<Option<IssuerKey>, ConfigError> {
    let settings = match source {
        None => return Ok(None),
        Some(KeySource::Static(key)) => return key::verifier(key, notices).map(Some),
        Some(KeySource::Set(settings)) => settings,
    };
    if settings.location == Location::Discovered && !issuer.identifier.starts_with("https://") {
        return Err(ConfigError::at(
            &settings.place,
            "an issuer that is no https:// URL publishes no metadata document",
        )
        .remedy("write `jwks_uri <url>`"));
    }
    let fresh = KeySet::new(&settings.algorithms).with_patience(key_sets::PATIENCE);
    let known = key_sets.iter().find(|known| {
        known.issuer == issuer.identifier
            && known.location == settings.location
            && known.set.algorithms() == fresh.algorithms()
    });
    if let Some(known) = known {
        return Ok(Some(IssuerKey::Set(Arc::clone(&known.set))));
    }
    if let Location::File(path) = &settings.location {
        // What can be known now is said now.
        folders::read(path, key_sets::MAX_BYTES)
            .map_err(|error| error.to_string())
            .and_then(|json| fresh.replace(&json).map_err(|error| error.to_string()))
            .map_err(|error| {
                ConfigError::at(
                    &settings.place,
                    format!("the key set {}: {error}", path.display()),
                )
                .remedy("check the path, its permissions and what it holds")
            })?;
    }
    let set = Arc::new(fresh);
    key_sets.push(key_sets::Source {
        issuer: issuer.identifier.clone(),
        location: settings.location.clone(),
        set: Arc::clone(&set),
    });
    Ok(Some(IssuerKey::Set(set)))
}

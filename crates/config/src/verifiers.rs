//! The checks over all issuers, and the verifiers of their keys (B-222 to B-225).

use std::path::Path;
use std::sync::Arc;

use talaria_hub::access::{
    Algorithm, Issuer, IssuerKey, Issuers, KeyError, KeySet, VerificationKey,
};

use crate::error::Error;
use crate::folders;
use crate::key_mistakes::{self, Mistake};
use crate::key_set::{self, KeySetSource, Location};
use crate::settings::{IssuerSettings, KeySettings, KeySource, Notice};
use crate::shown::show;

/// Makes verifiers of the issuers that were written.
///
/// # Errors
///
/// An identifier occurs twice, an issuer has no key, no issuer has a publisher key, or none has a
/// subscriber key while `anonymous` is off (B-222, B-223); a key does not fit its algorithm (B-224,
/// B-225).
pub(crate) fn check(
    issuers: &[IssuerSettings],
    anonymous: bool,
    notices: &mut Vec<Notice>,
    key_sets: &mut Vec<KeySetSource>,
) -> Result<Issuers, Error> {
    for (index, issuer) in issuers.iter().enumerate() {
        let earlier = issuers.iter().take(index);
        check_issuer(issuer, earlier, notices)?;
    }
    check_roles(issuers, anonymous)?;
    let mut verifiers = Vec::new();
    for issuer in issuers {
        let mut verifier = Issuer::new(&issuer.identifier);
        verifier.authorization_server = issuer.authorization_server;
        verifier.judges_unnamed = issuer.judges_unnamed;
        verifier.max_publish_size = issuer.max_publish_size;
        verifier.max_publish_topics = issuer.max_publish_topics;
        verifier.publisher = issuer_key(issuer, issuer.publisher.as_ref(), notices, key_sets)?;
        verifier.subscriber = issuer_key(issuer, issuer.subscriber.as_ref(), notices, key_sets)?;
        verifiers.push(verifier);
    }
    Issuers::new(verifiers).map_err(Error::from_cause)
}

fn check_issuer<'a>(
    issuer: &IssuerSettings,
    mut earlier: impl Iterator<Item = &'a IssuerSettings>,
    notices: &mut Vec<Notice>,
) -> Result<(), Error> {
    let IssuerSettings {
        identifier, place, ..
    } = issuer;
    let name = show(identifier);
    if earlier.any(|earlier| earlier.identifier == *identifier) {
        let problem = format!("the issuer {name} is configured twice");
        return Err(Error::at(place, problem).remedy("merge the two blocks"));
    }
    if identifier == "*" {
        notices.push(Notice::warning(format!(
            "{place}: the issuer `*` is not a wildcard: it is the issuer of tokens whose `iss` is `*`; write the `iss` of your tokens"
        )));
    }
    if issuer.publisher.is_none() && issuer.subscriber.is_none() {
        let error = Error::at(place, format!("the issuer {name} has no key")).absence();
        return Err(error.remedy(
            "add a `publisher` or `subscriber` block with `jwt <key>` or `jwks_uri <url>`",
        ));
    }
    Ok(())
}

/// Refuses a hub to which no client could publish, or which none could subscribe to.
fn check_roles(issuers: &[IssuerSettings], anonymous: bool) -> Result<(), Error> {
    let (problem, remedy) = if issuers.iter().all(|issuer| issuer.publisher.is_none()) {
        (
            "no issuer has a publisher key, so no client could publish",
            "add `publisher { jwt <key> }` to an `issuer` block, each brace at its line's end",
        )
    } else if !anonymous && issuers.iter().all(|issuer| issuer.subscriber.is_none()) {
        (
            "no issuer has a subscriber key and `anonymous` is off, so no client could subscribe",
            "add `subscriber { jwt <key> }` to an `issuer` block, or `anonymous` to the `mercure` block",
        )
    } else {
        return Ok(());
    };
    let error = match issuers.first() {
        Some(issuer) => Error::at(&issuer.place, problem),
        None => Error::new(problem),
    };
    Err(error.absence().remedy(remedy))
}

/// What verifies a role's tokens. The roles of an issuer share its set, and issuers share none.
fn issuer_key(
    issuer: &IssuerSettings,
    source: Option<&KeySource>,
    notices: &mut Vec<Notice>,
    key_sets: &mut Vec<KeySetSource>,
) -> Result<Option<IssuerKey>, Error> {
    let settings = match source {
        None => return Ok(None),
        Some(KeySource::Static(key)) => return verifier(key, notices).map(Some),
        Some(KeySource::Set(settings)) => settings,
    };
    if settings.location == Location::Discovered && !issuer.identifier.starts_with("https://") {
        return Err(Error::at(
            &settings.place,
            "an issuer that is not an https:// URL publishes no metadata document",
        )
        .remedy("write `jwks_uri <url>`"));
    }
    let fresh = KeySet::new(&settings.algorithms).with_patience(key_set::PATIENCE);
    let known = key_sets.iter().find(|known| {
        known.issuer == issuer.identifier
            && known.location == settings.location
            && known.set.algorithms() == fresh.algorithms()
    });
    if let Some(known) = known {
        return Ok(Some(IssuerKey::Set(Arc::clone(&known.set))));
    }
    if let Location::File(path) = &settings.location {
        // A file can be checked now, while a set that is fetched is checked when the hub serves.
        check_file(path, &fresh).map_err(|error| {
            let place = &settings.place;
            Error::at(place, format!("the key set {}", path.display()))
                .caused_by(error)
                .remedy("check the path, its permissions and what it holds")
        })?;
    }
    let set = Arc::new(fresh);
    key_sets.push(KeySetSource {
        issuer: issuer.identifier.clone(),
        location: settings.location.clone(),
        set: Arc::clone(&set),
    });
    Ok(Some(IssuerKey::Set(set)))
}

/// Reads a key set from its file.
fn check_file(path: &Path, set: &KeySet) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    set.replace(&folders::read(path, key_set::MAX_BYTES)?)?;
    Ok(())
}

/// The key as its verifier. A mistake in it gives one warning for each place, else a weakness does
/// (B-1023).
///
/// # Errors
///
/// A key that cannot verify anything, or that cannot be meant as one.
fn verifier(settings: &KeySettings, notices: &mut Vec<Notice>) -> Result<IssuerKey, Error> {
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
        return Err(Error::at(place, format!("the key {says}")).hide_line());
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
fn unusable(settings: &KeySettings, error: &KeyError) -> Error {
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
            Error::at(named, error.to_string()).remedy(remedy)
        }
        (Some(named), None) => {
            Error::at(place, error.to_string()).remedy(format!("name the algorithm in {named}"))
        }
        (None, _) => Error::at(place, error.to_string()),
    };
    error.hide_line()
}

//! `talaria token`: mints a token (B-030 to B-044).

use serde_json::{Map, Value, json};
use talaria_config::guide::Page;
use talaria_config::value::parse_duration;
use talaria_config::{Error, Mistake};
use talaria_hub::access::{Algorithm, SigningKey};
use url::Url;
use uuid::Uuid;

use super::argument::text;
use super::grants;
use super::options::{Args, MintGeneration};
use crate::cli::{environment, output};
use crate::serve::clock;

/// 2100-01-01, when development tokens end (B-030).
pub(crate) const DEV_EXPIRY: u64 = 4_102_444_800;

/// The issuer of development tokens (B-030).
pub(crate) const DEV_ISSUER: &str = "https://localhost";

/// The audience of development tokens (B-030).
const DEV_AUDIENCE: &str = "https://localhost/.well-known/mercure";

/// The variable from which `--dev` takes the key of a hub (B-030).
const DEV_VARIABLE: &str = "MERCURE_PUBLISHER_JWT_KEY";

/// The well-known development secret (B-030).
const DEV_KEY: &str = "!ChangeThisMercureHubJWTSecretKey!";

/// Mints a token.
///
/// # Errors
///
/// A flag is missing or wrong, or the key cannot sign.
pub(super) fn mint(args: &Args) -> Result<String, Error> {
    args.check()?;
    let claims = match args.generation {
        MintGeneration::V1 => claims(args)?,
        MintGeneration::V0 => older_claims(args)?,
    };
    let key = signing_key(args)?;
    // The type of the tokens that applications of 0.x make (B-671).
    let typ = match args.generation {
        MintGeneration::V1 => "at+jwt",
        MintGeneration::V0 => "JWT",
    };
    if args.pretty {
        let mut header = json!({ "alg": key.algorithm().name(), "typ": typ });
        if let Some(kid) = &args.kid {
            header["kid"] = kid.clone().into();
        }
        output::say(&format!("{header:#}\n{claims:#}"));
    }
    key.sign_as(typ, &claims)
        .map_err(|error| Error::new("--key").caused_by(error).page(Page::KEYS))
}

/// The claims of Mercure 1.0.
fn claims(args: &Args) -> Result<Value, Error> {
    let dev = |value: &str| args.dev.then(|| value.to_owned());
    let iss = args.iss.clone().or_else(|| dev(DEV_ISSUER));
    let iss = iss.ok_or_else(|| required("iss"))?;
    let aud = args.aud.clone().or_else(|| dev(DEV_AUDIENCE));
    let aud = aud.ok_or_else(|| required("aud"))?;
    check_audience(&aud)?;
    let (issued, expires) = times(args)?;
    let (name, grants) = grants::claim(args)?;
    Ok(json!({
        "iss": iss,
        "aud": aud,
        "sub": args.sub.clone().unwrap_or_else(uuid),
        "client_id": args.client_id.as_ref().unwrap_or(&iss),
        "iat": issued,
        "exp": expires,
        "jti": uuid(),
        name: grants,
    }))
}

/// The claims of Mercure 0.x: no more than hubs read (B-612, B-671).
fn older_claims(args: &Args) -> Result<Value, Error> {
    let (issued, expires) = times(args)?;
    let (name, grants) = grants::claim(args)?;
    let mut claims = Map::new();
    for (claim, value) in [("iss", &args.iss), ("sub", &args.sub)] {
        if let Some(value) = value {
            claims.insert(claim.to_owned(), value.clone().into());
        }
    }
    claims.insert("iat".to_owned(), issued.into());
    claims.insert("exp".to_owned(), expires.into());
    claims.insert(name.to_owned(), grants);
    Ok(claims.into())
}

/// When the token is issued and when it ends.
fn times(args: &Args) -> Result<(u64, u64), Error> {
    let issued = clock::unix_now();
    let expires = match &args.ttl {
        Some(ttl) => expiry(ttl, issued)?,
        None if args.dev => DEV_EXPIRY,
        None => expiry("1h", issued)?,
    };
    Ok((whole(issued), expires))
}

fn required(flag: &str) -> Error {
    Error::new(format!("--{flag} is required"))
        .remedy("give it, or --dev for development values")
        .page(Page::TOKEN_MINT)
}

/// The key that signs; an error names where it is from.
fn signing_key(args: &Args) -> Result<SigningKey, Error> {
    let (source, key) = key(args)?.ok_or_else(|| required("key"))?;
    let algorithm = args.alg.as_deref().map(str::parse::<Algorithm>);
    let algorithm = algorithm
        .transpose()
        .map_err(|error| Error::new("--alg").caused_by(error).page(Page::KEYS))?;
    let parsed = SigningKey::parse(&key, algorithm).map_err(|error| {
        let source = match algorithm {
            Some(algorithm) => format!("{source} with --alg {}", algorithm.name()),
            None => source.to_owned(),
        };
        Error::new(source).caused_by(error).page(Page::KEYS)
    })?;
    Ok(match &args.kid {
        Some(kid) => parsed.with_kid(kid),
        None => parsed,
    })
}

/// The signing key and where it is from: `--key`, or for `--dev` the environment or the well-known one.
fn key(args: &Args) -> Result<Option<(&'static str, String)>, Error> {
    let (source, key) = match &args.key {
        Some(key) => ("--key", text("--key", key)?),
        None if args.dev => match environment::environment()?.remove(DEV_VARIABLE) {
            Some(key) if !key.is_empty() => (DEV_VARIABLE, key),
            _ => ("--dev", DEV_KEY.to_owned()),
        },
        None => return Ok(None),
    };
    if !key.is_empty() {
        check_key(source, &key)?;
    }
    Ok(Some((source, key)))
}

/// Warns of a mistake in a key; `source` says where the key comes from.
///
/// # Errors
///
/// The text cannot be meant as a key.
fn check_key(source: &str, key: &str) -> Result<(), Error> {
    match talaria_config::find_mistake(key) {
        // Minting says what is wrong with a key in PEM.
        Some(Mistake::Fatal(says)) if !key.contains("-----BEGIN") => {
            return Err(Error::new(format!("{source}: the key {says}")).page(Page::KEYS));
        }
        Some(Mistake::Fatal(says) | Mistake::Likely(says)) => {
            output::say(&format!("warning: {source}: the key {says}"));
        }
        Some(Mistake::Possible(_)) | None => {}
    }
    Ok(())
}

/// Refuses an audience that cannot be a hub: the resource identifier of a hub is a URL.
fn check_audience(aud: &str) -> Result<(), Error> {
    let is_url = Url::parse(aud).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.fragment().is_none()
    });
    is_url.then_some(()).ok_or_else(|| {
        Error::new(format!("--aud {aud:?} is not the URL of a hub")).remedy(
            "give it as its clients write it, such as https://hub.example/.well-known/mercure",
        )
    })
}

fn expiry(ttl: &str, issued: f64) -> Result<u64, Error> {
    const REMEDY: &str = "write for example 90s or 1h30m";
    let ttl = parse_duration(ttl).map_err(|problem| {
        Error::new(format!("--ttl {ttl:?} is not a duration: {problem}")).remedy(REMEDY)
    })?;
    if ttl.as_secs() == 0 {
        return Err(
            Error::new("--ttl: a token of less than a second has expired when it is used")
                .remedy(REMEDY),
        );
    }
    Ok(whole(issued + ttl.as_secs_f64()))
}

/// Whole seconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "Unix times of now and of 292 years on"
)]
fn whole(seconds: f64) -> u64 {
    seconds as u64
}

/// A random `urn:uuid:` name (B-036).
pub(crate) fn uuid() -> String {
    Uuid::new_v4().urn().to_string()
}

//! `talaria token`: mints a token (B-030 to B-044).

use clap::builder::NonEmptyStringValueParser;
use serde_json::{Value, json};
use talaria_config::value::parse_duration;
use talaria_config::{Error, Mistake};
use talaria_hub::access::{KeyError, SigningKey};
use talaria_protocol::authorization::AuthorizationDetails;
use talaria_protocol::{Base, Limits};
use url::Url;
use uuid::Uuid;

use super::argument::text;
use crate::cli::{environment, output};
use crate::serve::clock;

/// 2100-01-01, when development tokens end (B-030).
pub(crate) const DEV_EXPIRY: u64 = 4_102_444_800;

/// The issuer of development tokens (B-030).
pub(crate) const DEV_ISSUER: &str = "https://localhost";

/// The variable from which `--dev` takes the key of a hub (B-030).
const DEV_VARIABLE: &str = "MERCURE_PUBLISHER_JWT_KEY";

/// The well-known development secret (B-030).
const DEV_KEY: &str = "!ChangeThisMercureHubJWTSecretKey!";

/// The flags of minting.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// The `iss` claim: the issuer that the hub trusts.
    #[arg(long, value_name = "ISSUER", value_parser = NonEmptyStringValueParser::new())]
    iss: Option<String>,
    /// The `aud` claim: the hub's URL as its clients see it.
    #[arg(long, value_name = "URL")]
    aud: Option<String>,
    /// The signing key: a secret or a PEM private key.
    #[arg(long, value_name = "KEY|@FILE|@-", allow_hyphen_values = true)]
    key: Option<String>,
    /// The algorithm: HS256 (the default for a secret), HS384, HS512, RS*, PS*, ES* or EdDSA.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    alg: Option<String>,
    /// The `kid` header.
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    kid: Option<String>,
    /// The `sub` claim [default: a random urn:uuid].
    #[arg(long, value_name = "SUBJECT", value_parser = NonEmptyStringValueParser::new())]
    sub: Option<String>,
    /// The `client_id` claim [default: the issuer].
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    client_id: Option<String>,
    /// How long the token is valid [default: 1h; with --dev until 2100].
    #[arg(long, value_name = "DURATION")]
    ttl: Option<String>,
    /// JSON that describes the subscriber, for its subscribe grant.
    #[arg(long, value_name = "JSON|@FILE")]
    payload: Option<String>,
    /// Also write header and claims to standard error.
    #[arg(long)]
    pretty: bool,
    /// A topic that may be published to, `*` for all; repeatable.
    #[arg(long, value_name = "TOPIC")]
    publish: Vec<String>,
    /// A URL Pattern of topics that may be published to; repeatable.
    #[arg(long, value_name = "PATTERN")]
    publish_urlpattern: Vec<String>,
    /// A topic whose private updates may be received, `*` for all; repeatable.
    #[arg(long, value_name = "TOPIC")]
    subscribe: Vec<String>,
    /// A URL Pattern of topics whose private updates may be received; repeatable.
    #[arg(long, value_name = "PATTERN")]
    subscribe_urlpattern: Vec<String>,
    /// Fill what is missing for a hub at https://localhost with the well-known development key,
    /// valid until 2100 unless --ttl says otherwise. Not for `talaria dev`, which has another key and
    /// URL: it prints how to make a token for itself.
    #[arg(long)]
    dev: bool,
}

/// Mints a token.
///
/// # Errors
///
/// A flag is missing or wrong, or the key cannot sign.
pub(super) fn mint(args: &Args) -> Result<String, Error> {
    let dev = |value: &str| args.dev.then(|| value.to_owned());
    let required = |flag: &str| {
        Error::new(format!("--{flag} is required"))
            .remedy("give it, or --dev for development values")
    };
    let iss = args
        .iss
        .clone()
        .or_else(|| dev(DEV_ISSUER))
        .ok_or_else(|| required("iss"))?;
    let aud = args
        .aud
        .clone()
        .or_else(|| dev("https://localhost/.well-known/mercure"));
    let aud = aud.ok_or_else(|| required("aud"))?;
    check_audience(&aud)?;
    let key = key(args)?.ok_or_else(|| required("key"))?;
    let issued = clock::unix_now();
    let expires = match &args.ttl {
        Some(ttl) => expiry(ttl, issued)?,
        None if args.dev => DEV_EXPIRY,
        None => expiry("1h", issued)?,
    };
    let claims = json!({
        "iss": iss,
        "aud": aud,
        "sub": args.sub.clone().unwrap_or_else(uuid),
        "client_id": args.client_id.as_ref().unwrap_or(&iss),
        "iat": whole(issued),
        "exp": expires,
        "jti": uuid(),
        "authorization_details": details(args)?,
    });
    check_details(&claims["authorization_details"])?;
    if args.pretty {
        let algorithm = args.alg.as_deref().unwrap_or("HS256");
        let mut header = json!({ "alg": algorithm, "typ": "at+jwt" });
        if let Some(kid) = &args.kid {
            header["kid"] = kid.clone().into();
        }
        output::say(&format!("{header:#}\n{claims:#}"));
    }
    sign(&claims, &key, args).map_err(|error| Error::new("--key").caused_by(error))
}

fn sign(claims: &Value, key: &str, args: &Args) -> Result<String, KeyError> {
    let algorithm = args.alg.as_deref().map(str::parse).transpose()?;
    let mut key = SigningKey::parse(key, algorithm)?;
    if let Some(kid) = &args.kid {
        key = key.with_kid(kid);
    }
    key.sign(claims)
}

/// The signing key: that of `--key`, or for `--dev` the one of the environment or the well-known one.
fn key(args: &Args) -> Result<Option<String>, Error> {
    if args.key.as_deref() == Some("@-") && args.payload.as_deref() == Some("@-") {
        return Err(
            Error::new("--payload @-: --key reads standard input already")
                .remedy("give one of them in a file"),
        );
    }
    let (source, key) = match &args.key {
        Some(key) => ("--key", text(key)?),
        None if args.dev => match environment::environment()?.remove(DEV_VARIABLE) {
            Some(key) if !key.is_empty() => (DEV_VARIABLE, key),
            _ => ("--dev", DEV_KEY.to_owned()),
        },
        None => return Ok(None),
    };
    if !key.is_empty() {
        check_key(source, &key)?;
    }
    Ok(Some(key))
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
            return Err(Error::new(format!("{source}: the key {says}")));
        }
        Some(Mistake::Fatal(says) | Mistake::Likely(says)) => {
            output::say(&format!("warning: {source}: the key {says}"));
        }
        Some(Mistake::Possible(_)) | None => {}
    }
    Ok(())
}

/// Refuses grants that every hub would refuse. How many are allowed depends on the hub.
fn check_details(details: &Value) -> Result<(), Error> {
    let mut limits = Limits::default();
    limits.details = usize::MAX;
    limits.granted_topics = usize::MAX;
    AuthorizationDetails::parse(details, &Base::synthetic(), &limits)
        .map(drop)
        .map_err(|error| Error::new("every hub would refuse this token").caused_by(error))
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

/// Publish first, then subscribe; exact topics before patterns (B-044).
fn details(args: &Args) -> Result<Vec<Value>, Error> {
    let topics = |exact: &[String], patterns: &[String]| -> Vec<Value> {
        let exact = exact.iter().map(|topic| json!({ "match": topic }));
        let patterns = patterns
            .iter()
            .map(|pattern| json!({ "match": pattern, "match_type": "urlpattern" }));
        exact.chain(patterns).collect()
    };
    let mut publish = topics(&args.publish, &args.publish_urlpattern);
    let mut subscribe = topics(&args.subscribe, &args.subscribe_urlpattern);
    if publish.is_empty() && subscribe.is_empty() {
        if !args.dev {
            return Err(Error::new("the token would grant nothing").remedy(
                "give --publish, --publish-urlpattern, --subscribe or --subscribe-urlpattern",
            ));
        }
        publish = vec![json!({ "match": "*" })];
        subscribe.clone_from(&publish);
    }
    let payload = match &args.payload {
        None => None,
        Some(payload) => {
            let parsed = serde_json::from_str::<Value>(&text(payload)?);
            Some(parsed.map_err(|error| Error::new("--payload is not JSON").caused_by(error))?)
        }
    };
    if payload.is_some() && subscribe.is_empty() {
        return Err(Error::new("--payload belongs to a subscribe grant")
            .remedy("give --subscribe too, or leave it out"));
    }
    let detail = |action: &str, topics: Vec<Value>| {
        json!({
            "type": "https://mercure.rocks/authorization-detail",
            "actions": [action],
            "topics": topics,
        })
    };
    let mut details = Vec::new();
    if !publish.is_empty() {
        details.push(detail("publish", publish));
    }
    if !subscribe.is_empty() {
        let mut detail = detail("subscribe", subscribe);
        if let Some(payload) = payload {
            detail["payload"] = payload;
        }
        details.push(detail);
    }
    Ok(details)
}

/// A random `urn:uuid:` name (B-036).
pub(crate) fn uuid() -> String {
    Uuid::new_v4().urn().to_string()
}

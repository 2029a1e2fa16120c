//! `talaria revoke`: has a running hub refuse tokens and end streams (ADR 0021).

use std::path::PathBuf;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use http::header::CONTENT_TYPE;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use talaria_config::{Error, folders};

use super::admin::{HubArgs, ask};
use super::{output, runtime};

/// What `talaria revoke --help` adds.
pub(super) const HELP: &str = "\
Name the tokens by --subject, --jti, --issuer or several of them, or give a leaked token itself by --token-file. The
hub answers them with 401 until the revocation ends, also after a restart, and ends their streams at once.
--subscriber ends one stream, whose client may come back.

Without --for, a revocation lasts 366 days; with --token-file until the token expires. With --issued-before now,
tokens that are issued from now on are accepted.

Examples:
  talaria revoke --subject ann --issued-before now --reason 'laptop stolen'
  talaria revoke --token-file leaked.jwt
  talaria revoke --list
  talaria revoke --remove --subject ann";

/// The most bytes of a token.
const TOKEN_BYTES: u64 = 64 * 1024;

/// The flags of `revoke`.
#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("whom").multiple(true).required(true)
    .args(["subject", "jti", "issuer", "subscriber", "token_file", "list"])))]
pub(super) struct Args {
    /// The tokens with this `sub`.
    #[arg(long, value_name = "SUB")]
    subject: Option<String>,
    /// The token with this `jti`.
    #[arg(long, value_name = "JTI")]
    jti: Option<String>,
    /// The tokens of this issuer; with --subject or --jti, only those.
    #[arg(long, value_name = "ISS")]
    issuer: Option<String>,
    /// The stream of this subscriber, by the id that the log, subscription events and the list of subscriptions show.
    #[arg(
        long,
        value_name = "ID",
        conflicts_with_all = ["subject", "jti", "issuer", "token_file", "time", "issued_before", "remove"]
    )]
    subscriber: Option<String>,
    /// The token in this file, by its `jti`, else its `sub`; `-` reads standard input.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["subject", "jti", "issuer"])]
    token_file: Option<PathBuf>,
    /// How long the tokens are refused, such as 12h; `0s` only ends their streams.
    #[arg(long = "for", value_name = "DURATION")]
    time: Option<String>,
    /// Only tokens that were issued before this time: Unix seconds, or `now`.
    #[arg(long, value_name = "TIME")]
    issued_before: Option<String>,
    /// Why, for the log and for --list.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// The hub with this name; without it all hubs of the program.
    #[arg(long, value_name = "NAME")]
    hub: Option<String>,
    /// Print the revocations in force.
    #[arg(long, conflicts_with_all = ["subject", "jti", "issuer", "subscriber", "token_file", "time", "issued_before", "reason", "remove"])]
    list: bool,
    /// Print the answer of the hub as JSON.
    #[arg(long)]
    json: bool,
    /// Accept the tokens again.
    #[arg(long, conflicts_with_all = ["time", "issued_before", "reason"])]
    remove: bool,
    #[command(flatten)]
    admin: HubArgs,
}

/// Asks the hub, and prints what it has done.
pub(super) fn revoke(args: &Args) -> ExitCode {
    let path = match &args.hub {
        Some(name) => format!(
            "/mercure/{}/revoke",
            utf8_percent_encode(name, NON_ALPHANUMERIC)
        ),
        None => "/mercure/revoke".to_owned(),
    };
    let answered: Result<Value, Error> = args.admin.address().and_then(|address| {
        let (method, body) = match (args.list, args.remove) {
            (true, _) => (Method::GET, None),
            (_, true) => (Method::DELETE, Some(body(args)?)),
            _ => (Method::POST, Some(body(args)?)),
        };
        let answer = runtime::block_on(ask(&address, method, &path, |request| match body {
            Some(body) => request
                .header(CONTENT_TYPE, "application/json")
                .body(Value::Object(body).to_string()),
            None => request,
        }))?;
        serde_json::from_slice(&answer).map_err(Error::from_cause)
    });
    match answered {
        Ok(answer) if args.json => output::print(&format!("{answer:#}\n")),
        Ok(answer) => output::print(&shown(args, &answer)),
        Err(error) => output::failure(error),
    }
}

/// What the hub is asked for.
fn body(args: &Args) -> Result<Map<String, Value>, Error> {
    let mut body = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        body.extend(value.map(|value| (name.to_owned(), value)));
    };
    let text = |value: &Option<String>| value.as_deref().map(Value::from);
    put("subject", text(&args.subject));
    put("jti", text(&args.jti));
    put("issuer", text(&args.issuer));
    put("subscriber", text(&args.subscriber));
    put("for", text(&args.time));
    put("reason", text(&args.reason));
    let before = args.issued_before.as_deref();
    let before = before.map(|text| match text.parse::<f64>() {
        Ok(seconds) => Value::from(seconds),
        Err(_) => Value::from(text),
    });
    put("issued_before", before);
    if let Some(path) = &args.token_file {
        let of_token = claims(path)?;
        let claim = |name: &str| {
            of_token
                .get(name)
                .filter(|claim| claim.is_string())
                .cloned()
        };
        let (id, subject) = (claim("jti"), claim("sub"));
        if id.is_none() && subject.is_none() {
            return Err(Error::new("the token has neither `jti` nor `sub`, so it cannot be told from others")
                .remedy("revoke all tokens of its issuer by --issuer, or remove the key that signed it from the configuration"));
        }
        // The key of another issuer may verify a 0.x token (B-613).
        let is_older = of_token.contains_key("mercure");
        put("issuer", claim("iss").filter(|_| !is_older));
        match id {
            Some(id) => put("jti", Some(id)),
            None => put("subject", subject),
        }
        if args.time.is_none() && !args.remove {
            put(
                "until",
                of_token.get("exp").filter(|exp| exp.is_number()).cloned(),
            );
        }
    }
    Ok(body)
}

/// The claims of a token, which is not verified: who names a token may name any.
fn claims(path: &std::path::Path) -> Result<Map<String, Value>, Error> {
    let shown = path.display().to_string();
    let read = match path.as_os_str() == "-" {
        true => folders::read_at_most(std::io::stdin().lock(), TOKEN_BYTES),
        false => folders::read(path, TOKEN_BYTES),
    };
    let text = read.and_then(folders::text);
    let text = text.map_err(|error| Error::new(&shown).caused_by(error))?;
    let claims = text.trim().split('.').nth(1).and_then(|part| {
        let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
        serde_json::from_slice(&bytes).ok()
    });
    claims.ok_or_else(|| {
        Error::new(format!("{shown} does not hold a token"))
            .remedy("give the compact JWS alone: three parts between dots")
    })
}

/// The answer in words.
fn shown(args: &Args, answer: &Value) -> String {
    if args.list {
        return list(answer);
    }
    let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
    if args.remove {
        return match number("removed") {
            0 => "no such revocation is in force\n".to_owned(),
            count => format!("revocations removed: {count}\n"),
        };
    }
    let mut text = format!("streams ended: {}\n", number("streams_ended"));
    let hubs = answer.get("hubs").and_then(Value::as_array);
    for hub in hubs.into_iter().flatten() {
        let until = hub.get("until").and_then(Value::as_f64).and_then(date);
        if let (Some(name), Some(until)) = (hub.get("name").and_then(Value::as_str), until) {
            text.push_str(&format!("hub {name}: refused until {until}\n"));
        }
    }
    text
}

fn list(answer: &Value) -> String {
    let mut text = String::new();
    let hubs = answer.get("hubs").and_then(Value::as_array);
    for hub in hubs.into_iter().flatten() {
        let name = hub.get("name").and_then(Value::as_str).unwrap_or_default();
        let entries = hub.get("revocations").and_then(Value::as_array);
        for entry in entries.into_iter().flatten() {
            let mut parts = vec![format!("hub {name}")];
            for member in ["jti", "subject", "issuer", "reason"] {
                let value = entry.get(member).and_then(Value::as_str);
                parts.extend(value.map(|value| format!("{member} {value:?}")));
            }
            for (member, words) in [
                ("issued_before", "issued before"),
                ("since", "since"),
                ("until", "until"),
            ] {
                let time = entry.get(member).and_then(Value::as_f64).and_then(date);
                parts.extend(time.map(|time| format!("{words} {time}")));
            }
            text.push_str(&parts.join(", "));
            text.push('\n');
        }
    }
    match text.is_empty() {
        true => "no revocation is in force\n".to_owned(),
        false => text,
    }
}

/// A time as a date of UTC.
fn date(seconds: f64) -> Option<String> {
    let time = time::OffsetDateTime::from_unix_timestamp(seconds.floor() as i64).ok()?;
    let format = &time::format_description::well_known::Rfc3339;
    time.format(format).ok()
}

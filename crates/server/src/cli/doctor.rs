//! `talaria doctor`: what a hub, and whatever stands in front of it, tells its clients, each fault
//! with its remedy.

mod identity;
mod origin;
mod stream;

use std::process::ExitCode;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use clap::builder::NonEmptyStringValueParser;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_METHOD,
    LOCATION, ORIGIN,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::Response;
use serde_json::Value;
use url::Url;

use super::client::{self, TokenArgs};
use crate::clock;

/// The flags of `doctor`.
#[derive(clap::Args)]
#[command(after_help = "\
Asks for the hub's metadata, permissions and streams. With a token that may publish on the topic, it also
publishes a few private updates there and measures how long they take. Exit code 0 if nothing is wrong.

Example:
  talaria doctor https://hub.example --origin https://app.example --token-file token.jwt")]
pub struct Args {
    /// The hub's URL as its clients name it.
    url: String,
    /// The origin of the pages that use the hub, such as https://app.example.
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,
    /// The topic to publish and subscribe to.
    #[arg(long, value_name = "TOPIC", default_value = "urn:talaria:doctor", value_parser = NonEmptyStringValueParser::new())]
    topic: String,
    /// The token to examine and to use.
    #[command(flatten)]
    token: TokenArgs,
}

/// What was found, in the order of the examination.
#[derive(Default)]
struct Findings {
    faults: usize,
}

impl Findings {
    fn good(&mut self, subject: &str, text: &str) {
        tell(&format!("ok      {subject}: {text}"));
    }

    fn note(&mut self, subject: &str, text: &str) {
        tell(&format!("note    {subject}: {text}"));
    }

    fn fault(&mut self, subject: &str, text: &str, remedy: &str) {
        self.faults += 1;
        tell(&format!("FAULT   {subject}: {text}\n        {remedy}"));
    }
}

/// Prints a line. Without a reader there is nothing more to examine: `doctor … | head -1`.
fn tell(line: &str) {
    if super::write_out(&format!("{line}\n")).is_err() {
        std::process::exit(1);
    }
}

/// Examines a hub; exits 0 if nothing is wrong.
pub fn run(args: &Args) -> ExitCode {
    let examined = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))
        .and_then(|runtime| runtime.block_on(examine(args)));
    match examined {
        Ok(0) => {
            tell("nothing is wrong");
            ExitCode::SUCCESS
        }
        Ok(faults) => {
            tell(&format!("faults: {faults}"));
            ExitCode::FAILURE
        }
        Err(problem) => super::failure(problem),
    }
}

async fn examine(args: &Args) -> Result<usize, String> {
    let url = client::hub_url(&args.url)?;
    if url.query().is_some() {
        return Err(format!(
            "{:?}: doctor asks with queries of its own; leave this one out, and name the topic with --topic",
            args.url
        ));
    }
    let origin = args
        .origin
        .as_deref()
        .map(origin::of_browsers)
        .transpose()?;
    let token = args.token.authorization(client::token_variable()?)?;
    if token.is_some() && args.topic == "*" {
        return Err("--topic *: every topic is none to publish to; name one".to_owned());
    }
    let mut findings = Findings::default();
    let findings_ = &mut findings;
    if !connection(&url, findings_).await {
        return Ok(findings.faults);
    }
    let document = identity::metadata_url(&url);
    let metadata = discovery(&document, &url, findings_).await;
    if metadata.is_some() {
        identity::examine(&document, &url, token.as_ref(), findings_).await;
    }
    match &origin {
        Some(origin) => {
            permissions(&url, origin, findings_).await;
            cookie(&url, origin, metadata.as_ref(), findings_);
        }
        None => findings_.note(
            "CORS, cookie",
            "not examined; name the origin of your pages with --origin",
        ),
    }
    let is_taken = stream::examine(&url, &args.topic, token.as_ref(), findings_).await;
    if let Some(token) = &token {
        examine_token(token, is_taken, metadata.as_ref(), &url, findings_);
    }
    Ok(findings.faults)
}

async fn get(url: &Url, headers: HeaderMap) -> Result<Response, String> {
    client::send(Method::GET, url, headers, Bytes::new()).await
}

/// Whether the hub can be reached at all, and its certificate is trusted.
async fn connection(url: &Url, findings: &mut Findings) -> bool {
    let sent = client::send(Method::OPTIONS, url, HeaderMap::new(), Bytes::new()).await;
    match sent {
        Ok(answer) if answer.status().is_redirection() => {
            let target = answer.headers().get(LOCATION);
            let target = target.map(|target| String::from_utf8_lossy(target.as_bytes()));
            findings.fault(
                "connection",
                &format!("the hub's URL redirects to {}", target.unwrap_or_default()),
                "give clients that URL: a redirect loses what is published, and browsers refuse some",
            );
            false
        }
        Ok(answer) if answer.status() == StatusCode::MISDIRECTED_REQUEST => {
            let refusal = client::refusal(answer).await;
            findings.fault(
                "connection",
                &refusal,
                "add this name to SERVER_NAME or the site address, or have the proxy pass the name that is served",
            );
            false
        }
        Ok(_) if url.scheme() == "https" => {
            findings.good("connection", "the certificate is trusted here");
            true
        }
        Ok(_) => {
            findings.note(
                "connection",
                "plain HTTP: tokens travel unencrypted, and a browser opens six streams at most; serve HTTPS, see docs/https.md",
            );
            true
        }
        Err(problem) => {
            let remedy = if problem.contains("certificate") {
                "give the hub a certificate for this name, or make this machine trust its authority (`talaria trust`)"
            } else {
                "check the address, and that the hub or its proxy listens there"
            };
            findings.fault("connection", &problem, remedy);
            false
        }
    }
}

/// The metadata document (specification, "Protected Resource Metadata").
async fn discovery(address: &Url, url: &Url, findings: &mut Findings) -> Option<Value> {
    let answer = match get(address, HeaderMap::new()).await {
        Ok(answer) if answer.status() == StatusCode::OK => answer,
        Ok(answer) => {
            let status = answer.status();
            findings.fault(
                "discovery",
                &format!("{address} answers {status}"),
                "let the proxy pass this path to the hub, too; a hub of Mercure 0.x has none",
            );
            return None;
        }
        Err(problem) => {
            findings.fault(
                "discovery",
                &problem,
                "let the proxy pass this path to the hub, too",
            );
            return None;
        }
    };
    let document: Option<Value> = answer
        .bytes()
        .await
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Some(document) = document else {
        findings.fault(
            "discovery",
            &format!("{address} is no JSON"),
            "something else than the hub answers there; let the proxy pass it on",
        );
        return None;
    };
    let mut own = url.clone();
    own.set_query(None);
    match document["resource"].as_str() {
        Some(resource) if resource == own.as_str() => {
            findings.good("discovery", &format!("the hub identifies itself as {resource}"));
        }
        resource => findings.fault(
            "discovery",
            &format!("the hub identifies itself as {}, and clients know it as {own}", resource.unwrap_or("nothing")),
            "tokens must name the former in `aud`: write `resource_identifier` with the latter in the hub's configuration, or have the proxy pass the Host header and list it in `trusted_proxies`",
        ),
    }
    Some(document)
}

/// What can be seen of a token without its key; `is_taken` says whether the hub accepted it.
fn examine_token(
    token: &HeaderValue,
    is_taken: bool,
    metadata: Option<&Value>,
    url: &Url,
    findings: &mut Findings,
) {
    const SUBJECT: &str = "token";
    let claims = token.to_str().ok().and_then(|token| {
        let claims = token.strip_prefix("Bearer ")?.split('.').nth(1)?;
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?;
        serde_json::from_slice::<Value>(&claims).ok()
    });
    let Some(claims) = claims else {
        findings.fault(
            SUBJECT,
            "it is no signed JWT",
            "have the application send header.payload.signature",
        );
        return;
    };
    if let Some(exp) = claims["exp"].as_f64()
        && exp <= clock::unix_now()
    {
        findings.fault(
            SUBJECT,
            "it has expired",
            "get a new one; renew tokens before they end",
        );
    }
    let is_older = ["mercure", "https://mercure.rocks/"]
        .iter()
        .any(|name| !claims[*name].is_null());
    if is_older && claims["authorization_details"].is_null() {
        findings.note(
            SUBJECT,
            "it is one of Mercure 0.x; a hub of 1.0 takes it only with `protocol_version_compatibility 8`",
        );
        return;
    }
    if claims["exp"].is_null() {
        findings.fault(SUBJECT, "it has no `exp`", "have the issuer let it expire");
    }
    let own = url.as_str();
    let expected = metadata
        .and_then(|document| document["resource"].as_str())
        .unwrap_or(own);
    let names = |audience: &Value| match audience {
        Value::String(one) => one == expected,
        Value::Array(many) => many.iter().any(|one| one == expected),
        _ => false,
    };
    if names(&claims["aud"]) {
        findings.good(SUBJECT, &format!("it is for {expected}"));
    } else if is_taken {
        findings.note(
            SUBJECT,
            &format!(
                "its `aud` is {}, which the hub accepts beside {expected}",
                claims["aud"]
            ),
        );
    } else {
        findings.fault(
            SUBJECT,
            &format!("its `aud` is {}, and the hub identifies itself as {expected}", claims["aud"]),
            "make the two equal: in the issuer, or by `resource_identifier` or `accepted_audiences` of the hub",
        );
    }
}

/// Whether pages of an origin may use the hub.
async fn permissions(url: &Url, origin: &str, findings: &mut Findings) {
    const SUBJECT: &str = "CORS";
    let Ok(field) = HeaderValue::from_str(origin) else {
        findings.fault(
            SUBJECT,
            "--origin is not an origin",
            "give for example https://app.example",
        );
        return;
    };
    let mut headers = HeaderMap::new();
    headers.insert(ORIGIN, field.clone());
    headers.insert(
        ACCESS_CONTROL_REQUEST_METHOD,
        HeaderValue::from_static("GET"),
    );
    let answer = client::send(Method::OPTIONS, url, headers, Bytes::new()).await;
    let allowed = answer.as_ref().ok().map(|answer| {
        let headers = answer.headers();
        let values = headers.get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter().count();
        let origin = headers.get(ACCESS_CONTROL_ALLOW_ORIGIN).cloned();
        let credentials = headers.get(ACCESS_CONTROL_ALLOW_CREDENTIALS);
        (
            values,
            origin,
            credentials.is_some_and(|value| value == "true"),
        )
    });
    match allowed {
        Some((1, Some(allowed), true)) if allowed == field => {
            findings.good(SUBJECT, &format!("pages of {origin} may use the hub, with cookies"));
        }
        Some((1, Some(allowed), false)) if allowed == "*" || allowed == field => findings.note(
            SUBJECT,
            &format!("pages of {origin} may use the hub, but no cookie counts; write `cors_origins {origin}` if they send one"),
        ),
        Some((2.., ..)) => findings.fault(
            SUBJECT,
            "the answer has Access-Control-Allow-Origin twice, which browsers refuse",
            "let either the hub or the proxy add CORS headers",
        ),
        _ => findings.fault(
            SUBJECT,
            &format!("pages of {origin} may not use the hub"),
            &format!("write `cors_origins {origin}` in the hub's configuration, and let the proxy pass OPTIONS on"),
        ),
    }
}

/// Whether a page's browser would send the cookie.
fn cookie(url: &Url, origin: &str, metadata: Option<&Value>, findings: &mut Findings) {
    const SUBJECT: &str = "cookie";
    let Some(name) = metadata.and_then(|document| document["mercure_cookie"].as_str()) else {
        return;
    };
    let host = |url: &Url| url.host_str().map(str::to_owned);
    let page = Url::parse(origin).ok();
    let Some(page) = page.as_ref().and_then(host) else {
        return;
    };
    let hub = host(url).unwrap_or_default();
    let site = |host: &str| psl::domain_str(host).map(str::to_owned);
    if url.scheme() != "https" && name.starts_with("__Secure-") {
        findings.note(
            SUBJECT,
            &format!("browsers keep {name} over HTTPS only; here the hub also reads it without the prefix"),
        );
    }
    if page == hub || (site(&page).is_some() && site(&page) == site(&hub)) {
        findings.good(
            SUBJECT,
            &format!("{name} can reach the hub from pages of {origin}"),
        );
    } else {
        findings.fault(
            SUBJECT,
            &format!("{page} and {hub} are different sites, so browsers send no cookie of one to the other"),
            "serve the hub on a subdomain of the pages' site, or send the token in the Authorization header",
        );
    }
}

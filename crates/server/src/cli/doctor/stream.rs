//! Whether a stream begins, unchanged, and over which version of HTTP.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ORIGIN};
use http::{HeaderValue, Method, StatusCode, Version};
use reqwest::Response;
use talaria_config::guide::Page;
use url::Url;

use super::examined::Examined;
use super::findings::Findings;
use super::{cors, delivery, idle};
use crate::cli::client::{self, Failure, Kind, Refusal};

const SUBJECT: &str = "stream";

/// Subscribes, and publishes if the token may; returns whether the hub accepted the subscription.
pub(super) async fn examine(hub: &Examined<'_>, findings: &mut Findings) -> bool {
    let (url, answer) = subscribe(hub).await;
    let asked = format!("GET {url} with Accept-Encoding: gzip, br, as a browser sends");
    let response = match answer {
        Ok(response) => response,
        Err(failure) => {
            held_back(hub, &url, &asked, &failure, findings).await;
            return false;
        }
    };
    if response.status() != StatusCode::OK {
        refused(hub, &asked, response, findings).await;
        return false;
    }
    if let Some(origin) = hub.origin.filter(|origin| !cors::is_own(hub, origin)) {
        let asked = format!("GET {url} with Origin: {origin}");
        cors::examine_stream(origin, &asked, response.headers(), findings);
    }
    version(hub, &asked, &response, findings);
    if is_unchanged(&asked, &response, findings) {
        let rest = delivery::examine(hub, asked, response, findings).await;
        idle::examine(hub, rest, findings).await;
    }
    true
}

/// Reports that no head came. A proxy that collects an answer holds its head back, too, until it has enough of it.
async fn held_back(
    hub: &Examined<'_>,
    url: &Url,
    asked: &str,
    failure: &Failure,
    findings: &mut Findings,
) {
    let is_bulk = match hub.token.filter(|_| failure.kind == Kind::Silent) {
        Some(token) => {
            let (again, _) = tokio::join!(ask(hub, url), delivery::fill(hub, token));
            again.is_ok_and(|answer| answer.status() == StatusCode::OK)
        }
        None => false,
    };
    let bulk = match is_bulk {
        true => delivery::bulk_of(),
        false => String::new(),
    };
    let server = match hub.server.as_str() {
        "" => String::new(),
        server => format!(" (Server: {server})"),
    };
    findings.on(SUBJECT, asked).fault(
        &format!("{failure}{bulk}: something between here and the hub collects answers{server}"),
        delivery::remedy(&hub.server),
        Page::PROXY_FAULTS,
    );
}

/// Asks for the stream at `url` as a browser does.
async fn ask(hub: &Examined<'_>, url: &Url) -> Result<Response, Failure> {
    let mut headers = client::headers("text/event-stream", hub.token);
    // Browsers send this too, so a proxy that compresses streams shows itself.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, br"));
    if let Some(Ok(origin)) = hub.origin.map(HeaderValue::from_str) {
        headers.insert(ORIGIN, origin);
    }
    let sent = hub.caller.send(Method::GET, url, headers, Bytes::new());
    sent.await
}

/// Asks for the topic in both generations of Mercure, or in that of 1.0 if the hub refuses the other.
async fn subscribe(hub: &Examined<'_>) -> (Url, Result<Response, Failure>) {
    let mut url = hub.url.clone();
    url.query_pairs_mut()
        .append_pair("match", hub.topic)
        .append_pair("topic", hub.topic);
    let answer = ask(hub, &url).await;
    let is_refused = |answer: &Response| answer.status() == StatusCode::BAD_REQUEST;
    if !answer.as_ref().is_ok_and(is_refused) {
        return (url, answer);
    }
    // A hub of Mercure 1.0 alone refuses `topic`.
    url.set_query(None);
    url.query_pairs_mut().append_pair("match", hub.topic);
    let answer = ask(hub, &url).await;
    (url, answer)
}

async fn refused(hub: &Examined<'_>, asked: &str, response: Response, findings: &mut Findings) {
    let mut subject = findings.on(SUBJECT, asked);
    if response.status() == StatusCode::UNAUTHORIZED && hub.token.is_none() {
        return subject.note(
            "not examined: the hub wants a token",
            "give one by --token-file, --token or TALARIA_TOKEN",
            Page::TOKENS,
        );
    }
    let refusal = Refusal::read(response).await;
    subject.fault(
        &refusal.to_string(),
        "the hub's log names the reason; `talaria token check` judges a token",
        Page::TOKEN_REFUSED,
    );
}

/// Over HTTP/1.1 a browser has few connections to a host, and a stream occupies one.
fn version(hub: &Examined<'_>, asked: &str, response: &Response, findings: &mut Findings) {
    if hub.url.scheme() != "https" {
        return;
    }
    let mut subject = findings.on("HTTP version", asked);
    match response.version() {
        Version::HTTP_2 | Version::HTTP_3 => {
            subject.good("HTTP/2: the streams of a browser share one connection");
        }
        version => subject.note(
            &format!("{version:?}: a browser opens six connections to a host at most, for all its tabs, so a seventh stream waits"),
            "let the proxy speak HTTP/2 with browsers (nginx: `http2 on;`)",
            Page::PROXY_STREAMS,
        ),
    }
}

/// Whether an answer is a stream whose events can be read one by one.
fn is_unchanged(asked: &str, response: &Response, findings: &mut Findings) -> bool {
    let mut subject = findings.on(SUBJECT, asked);
    let field = |name| {
        let value = response.headers().get(name);
        value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let media_type = field(CONTENT_TYPE).unwrap_or_default();
    if !media_type.starts_with("text/event-stream") {
        subject.fault(
            &format!("its Content-Type is {media_type:?}"),
            "something else than the hub answers; check the path that the proxy passes on",
            Page::PROXIES,
        );
        return false;
    }
    if let Some(encoding) = field(CONTENT_ENCODING) {
        subject.fault(
            &format!("it is compressed ({encoding}), so events wait until a block is full"),
            "exclude text/event-stream from the proxy's compression (nginx: take it out of `gzip_types`)",
            Page::PROXY_FAULTS,
        );
        return false;
    }
    true
}

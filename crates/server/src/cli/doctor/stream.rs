//! Whether a stream comes through at once, and unchanged.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::Response;
use talaria_config::Error;
use talaria_protocol::event::{Decoder, Item};
use tokio::time::timeout;
use url::Url;
use url::form_urlencoded::Serializer;

use super::findings::Findings;
use crate::cli::client;
use crate::serve::client_error::ClientError;
use crate::serve::clock;

const SUBJECT: &str = "stream";
/// How long to wait for the next part of a stream before reporting that it is held back.
const PATIENCE: Duration = Duration::from_secs(10);
/// A delivery that takes longer is held back on its way.
const PROMPT: Duration = Duration::from_secs(1);
const ROUNDS: usize = 5;

/// Subscribes, and publishes if the token may; returns whether the hub accepted the subscription.
pub(super) async fn examine(
    url: &Url,
    topic: &str,
    token: Option<&HeaderValue>,
    findings: &mut Findings,
) -> bool {
    let Some(mut stream) = subscribe(url, topic, token, findings).await else {
        return false;
    };
    deliver(url, topic, token, &mut stream, findings).await;
    true
}

async fn deliver(
    url: &Url,
    topic: &str,
    token: Option<&HeaderValue>,
    stream: &mut Response,
    findings: &mut Findings,
) {
    let asked = clock::monotonic();
    let mut decoder = Decoder::default();
    match timeout(PATIENCE, comment(stream, &mut decoder)).await {
        Ok(Ok(())) => findings.good(
            SUBJECT,
            &format!(
                "its first byte came after {} ms",
                asked.elapsed().as_millis()
            ),
        ),
        Ok(Err(error)) => {
            return findings.fault(
                SUBJECT,
                &format!("it broke off: {error}"),
                "a proxy that ends streams early must be given a longer timeout than the hub's heartbeat",
            );
        }
        Err(_) => {
            return findings.fault(
                SUBJECT,
                "nothing comes within 10 s: something between here and the hub collects answers",
                "switch buffering off in the proxy (nginx: `proxy_buffering off`, and no gzip for text/event-stream)",
            );
        }
    }
    match token {
        Some(token) => measure(url, topic, token, stream, &mut decoder, findings).await,
        None => findings.note(
            "delivery",
            "not measured; give a token that may publish, see --token-file",
        ),
    }
}

async fn subscribe(
    url: &Url,
    topic: &str,
    token: Option<&HeaderValue>,
    findings: &mut Findings,
) -> Option<Response> {
    let mut target = url.clone();
    target
        .query_pairs_mut()
        .append_pair("match", topic)
        .append_pair("topic", topic);
    let headers = || {
        let mut headers = client::headers("text/event-stream", token);
        // Browsers send this too, so a proxy that compresses streams shows itself.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, br"));
        headers
    };
    let mut answer = client::send(Method::GET, &target, headers(), Bytes::new()).await;
    if answer
        .as_ref()
        .is_ok_and(|answer| answer.status() == StatusCode::BAD_REQUEST)
    {
        // A hub of Mercure 1.0 alone refuses `topic`.
        target.set_query(None);
        target.query_pairs_mut().append_pair("match", topic);
        answer = client::send(Method::GET, &target, headers(), Bytes::new()).await;
    }
    let response = match answer {
        Ok(response) => response,
        Err(error) => {
            findings.fault(
                SUBJECT,
                &error.to_string(),
                "a proxy that waits for the end of an answer never passes a stream on; switch its buffering off",
            );
            return None;
        }
    };
    if response.status() == StatusCode::UNAUTHORIZED && token.is_none() {
        findings.note(
            SUBJECT,
            "not examined: the hub wants a token, see --token-file",
        );
        return None;
    }
    accept(response, findings).await
}

/// The response, if it is a stream that reaches its readers at once.
async fn accept(response: Response, findings: &mut Findings) -> Option<Response> {
    if response.status() != StatusCode::OK {
        let refusal = client::refusal(response).await;
        findings.fault(
            SUBJECT,
            &refusal,
            "the hub's log names the reason; `talaria token check` judges a token",
        );
        return None;
    }
    let field = |name| {
        let value = response.headers().get(name);
        value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let media_type = field(CONTENT_TYPE).unwrap_or_default();
    if !media_type.starts_with("text/event-stream") {
        findings.fault(
            SUBJECT,
            &format!("its Content-Type is {media_type:?}"),
            "something else than the hub answers; check the path that the proxy passes on",
        );
        return None;
    }
    if let Some(encoding) = field(CONTENT_ENCODING) {
        findings.fault(
            SUBJECT,
            &format!("it is compressed ({encoding}), so events wait until a block is full"),
            "exclude text/event-stream from the proxy's compression",
        );
        return None;
    }
    Some(response)
}

/// Waits for the first comment, with which every stream begins.
async fn comment(stream: &mut Response, decoder: &mut Decoder) -> Result<(), Error> {
    loop {
        match stream.chunk().await {
            Ok(Some(bytes)) => {
                // The iterator must run to its end.
                if decoder.feed(&bytes).count() > 0 {
                    return Ok(());
                }
            }
            Ok(None) => return Err(Error::new("the stream ended")),
            Err(error) => return Err(Error::from_cause(ClientError::from(error))),
        }
    }
}

/// Publishes some updates one after the other, and measures until each is received.
async fn measure(
    url: &Url,
    topic: &str,
    token: &HeaderValue,
    stream: &mut Response,
    decoder: &mut Decoder,
    findings: &mut Findings,
) {
    const SUBJECT: &str = "delivery";
    let mut slowest = Duration::ZERO;
    for _ in 0..ROUNDS {
        let begun = clock::monotonic();
        let id = match publish(url, topic, token).await {
            Ok(id) => id,
            Err(error) => {
                return findings.note(
                    SUBJECT,
                    &format!("not measured, the token does not publish here: {error}"),
                );
            }
        };
        match timeout(PATIENCE, event(stream, decoder, &id)).await {
            Ok(true) => slowest = slowest.max(begun.elapsed()),
            Ok(false) => {
                return findings.fault(
                    SUBJECT,
                    "the stream ended before an update came",
                    "see the hub's log",
                );
            }
            Err(_) => {
                return findings.fault(
                    SUBJECT,
                    "an update was published and did not come within 10 s",
                    "if the token may read the topic, something in front of the hub collects answers: switch its buffering off",
                );
            }
        }
    }
    let text = format!(
        "{ROUNDS} updates, the slowest received after {} ms",
        slowest.as_millis()
    );
    if slowest > PROMPT {
        findings.fault(
            SUBJECT,
            &text,
            "something in front of the hub collects answers: switch its buffering off",
        );
    } else {
        findings.good(SUBJECT, &text);
    }
}

async fn publish(url: &Url, topic: &str, token: &HeaderValue) -> Result<String, Error> {
    let mut headers: HeaderMap = client::headers("text/plain, */*;q=0.1", Some(token));
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert(CONTENT_TYPE, form);
    let mut body = Serializer::new(String::new());
    body.append_pair("topic", topic)
        .append_pair("private", "on");
    let body = Bytes::from(body.finish());
    let answer = client::send(Method::POST, url, headers, body).await?;
    if answer.status() != StatusCode::OK {
        return Err(Error::new(client::refusal(answer).await));
    }
    let id = answer.text().await;
    id.map_err(|error| Error::from_cause(ClientError::from(error)))
}

/// Waits for an event; false if the stream ends before.
async fn event(stream: &mut Response, decoder: &mut Decoder, id: &str) -> bool {
    while let Ok(Some(bytes)) = stream.chunk().await {
        let mut found = false;
        for item in decoder.feed(&bytes) {
            found |= matches!(item, Ok(Item::Event(event)) if event.id == id);
        }
        if found {
            return true;
        }
    }
    false
}

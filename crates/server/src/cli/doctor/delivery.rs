//! Whether what is published comes at once, or is held back on its way.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, SERVER, VIA};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::Response;
use talaria_config::Error;
use talaria_config::guide::Page;
use talaria_protocol::event::{Decoder, Item};
use tokio::time::timeout;
use url::form_urlencoded::Serializer;

use super::examined::{Examined, PATIENCE};
use super::findings::Findings;
use crate::cli::client::{self, Refusal, Token};
use crate::serve::client_error::ClientError;
use crate::serve::clock;

/// What takes longer is held back on its way.
const PROMPT: Duration = Duration::from_secs(1);
const ROUNDS: usize = 5;
/// The updates that must fill any buffer on the way, and the bytes of each.
const FILLERS: usize = 24;
const FILLER_BYTES: usize = 8 * 1024;

/// A stream that is read.
struct Reading {
    response: Response,
    decoder: Decoder,
    /// What calls itself a server or a proxy on the way.
    on_the_way: String,
}

impl Reading {
    fn new(response: Response) -> Self {
        let fields = [("Server", SERVER), ("Via", VIA)].into_iter();
        let named = fields.filter_map(|(name, header): (_, HeaderName)| {
            let value = response.headers().get(header)?;
            Some(format!("{name}: {}", value.to_str().ok()?))
        });
        let named: Vec<String> = named.collect();
        Self {
            on_the_way: named.join(", "),
            response,
            decoder: Decoder::default(),
        }
    }

    /// Waits for an item: a comment, an event, a reconnection time.
    async fn item(&mut self) -> Result<(), Error> {
        while let Some(bytes) = self.chunk().await? {
            // The iterator must run to its end.
            if self.decoder.feed(&bytes).count() > 0 {
                return Ok(());
            }
        }
        Err(Error::new("the stream ended"))
    }

    /// Waits for an event; false if the stream ends before.
    async fn event(&mut self, id: &str) -> bool {
        while let Ok(Some(bytes)) = self.chunk().await {
            let mut found = false;
            for item in self.decoder.feed(&bytes) {
                found |= matches!(item, Ok(Item::Event(event)) if event.id == id);
            }
            if found {
                return true;
            }
        }
        false
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let chunk = self.response.chunk().await;
        chunk.map_err(|error| Error::from_cause(ClientError::from(error)))
    }
}

/// Reads the beginning of a stream, then publishes if the token may; returns the stream if it is in order.
pub(super) async fn examine(
    hub: &Examined<'_>,
    asked: String,
    response: Response,
    findings: &mut Findings,
) -> Option<Response> {
    let mut stream = Reading::new(response);
    if !begins(hub, asked, &mut stream, findings).await {
        return None;
    }
    match hub.token {
        Some(token) => {
            if !measure(hub, token, &mut stream, findings).await {
                return None;
            }
        }
        None => findings.on("delivery", "nothing").note(
            "not measured",
            "give a token that may publish, by --token-file",
            Page::DOCTOR,
        ),
    }
    Some(stream.response)
}

/// Whether the first bytes come at once: every stream begins with a comment (B-354).
async fn begins(
    hub: &Examined<'_>,
    asked: String,
    stream: &mut Reading,
    findings: &mut Findings,
) -> bool {
    let begun = clock::monotonic();
    let first = timeout(PATIENCE, stream.item()).await;
    let took = begun.elapsed();
    let mut subject = findings.on("stream", asked);
    match first {
        Ok(Ok(())) if took > PROMPT => {
            subject.fault(
                &format!(
                    "its first bytes came only {} ms after its head{}",
                    took.as_millis(),
                    in_brackets(&stream.on_the_way)
                ),
                remedy(&stream.on_the_way),
                Page::PROXY_FAULTS,
            );
            true
        }
        Ok(Ok(())) => {
            subject.good(&format!(
                "its first byte came after {} ms",
                took.as_millis()
            ));
            true
        }
        Ok(Err(error)) => {
            subject.fault(
                &format!("it broke off: {error}"),
                "a proxy that ends streams early must be given a longer timeout than the hub's heartbeat",
                Page::PROXY_FAULTS,
            );
            false
        }
        Err(_) => {
            let bulk = match hub.token {
                Some(token) => is_let_go(hub, token, stream).await,
                None => false,
            };
            let bulk = match bulk {
                true => bulk_of(),
                false => String::new(),
            };
            subject.fault(
                &format!(
                    "nothing comes within 10 s{bulk}: something between here and the hub collects answers{}",
                    in_brackets(&stream.on_the_way)
                ),
                remedy(&stream.on_the_way),
                Page::PROXY_FAULTS,
            );
            false
        }
    }
}

/// What to do against buffering; `on_the_way` names the servers and proxies that are known.
pub(super) fn remedy(on_the_way: &str) -> &'static str {
    if on_the_way.contains("nginx") {
        "switch buffering off in nginx: `proxy_buffering off;`, and take out `proxy_ignore_headers X-Accel-Buffering`, by which it overlooks that the hub forbids it; no gzip for text/event-stream"
    } else {
        "switch buffering off in the proxy (nginx: `proxy_buffering off`, and no gzip for text/event-stream)"
    }
}

/// What is known once something came that was held back.
pub(super) fn bulk_of() -> String {
    format!(
        ", and then all at once when up to {FILLERS} updates of {} KiB were published behind it",
        FILLER_BYTES >> 10
    )
}

fn in_brackets(text: &str) -> String {
    match text {
        "" => String::new(),
        text => format!(" ({text})"),
    }
}

/// Publishes some updates one after the other, and measures until each is received. Returns whether they came.
async fn measure(
    hub: &Examined<'_>,
    token: &Token,
    stream: &mut Reading,
    findings: &mut Findings,
) -> bool {
    let asked = format!(
        "POST {} with a private update for {}, {ROUNDS} times",
        hub.url, hub.topic
    );
    let mut subject = findings.on("delivery", asked);
    let mut slowest = Duration::ZERO;
    for _ in 0..ROUNDS {
        let begun = clock::monotonic();
        let id = match publish(hub, token, None).await {
            Ok(id) => id,
            Err(error) => {
                subject.note(
                    &format!("not measured, the token does not publish here: {error}"),
                    "give a token that may publish and read the topic of --topic",
                    Page::TOKEN_REFUSED,
                );
                return true;
            }
        };
        match timeout(PATIENCE, stream.event(&id)).await {
            Ok(true) => slowest = slowest.max(begun.elapsed()),
            Ok(false) => {
                subject.fault(
                    "the stream ended before an update came",
                    "see the hub's log",
                    Page::PROXY_FAULTS,
                );
                return false;
            }
            Err(_) => {
                let bulk = match is_let_go_for(hub, token, stream, &id).await {
                    true => bulk_of(),
                    false => String::new(),
                };
                let found = format!(
                    "an update was published and did not come within 10 s{bulk}{}",
                    in_brackets(&stream.on_the_way)
                );
                let remedy = format!(
                    "if the token may read the topic, something in front of the hub collects answers: {}",
                    remedy(&stream.on_the_way)
                );
                subject.fault(&found, &remedy, Page::PROXY_FAULTS);
                return false;
            }
        }
    }
    let text = format!(
        "{ROUNDS} updates, the slowest received after {} ms",
        slowest.as_millis()
    );
    if slowest > PROMPT {
        let found = format!("{text}{}", in_brackets(&stream.on_the_way));
        subject.fault(&found, remedy(&stream.on_the_way), Page::PROXY_FAULTS);
    } else {
        subject.good(&text);
    }
    true
}

/// Whether something that was held back comes when more follows it.
async fn is_let_go(hub: &Examined<'_>, token: &Token, stream: &mut Reading) -> bool {
    fill(hub, token).await && matches!(timeout(PROMPT, stream.item()).await, Ok(Ok(())))
}

/// The same, of an event.
async fn is_let_go_for(hub: &Examined<'_>, token: &Token, stream: &mut Reading, id: &str) -> bool {
    fill(hub, token).await && matches!(timeout(PROMPT, stream.event(id)).await, Ok(true))
}

/// Publishes enough to fill any buffer on the way; false if the token does not publish here.
pub(super) async fn fill(hub: &Examined<'_>, token: &Token) -> bool {
    for _ in 0..FILLERS {
        if publish(hub, token, Some(FILLER_BYTES)).await.is_err() {
            return false;
        }
    }
    true
}

/// Publishes a private update, of this many bytes; returns its id.
async fn publish(hub: &Examined<'_>, token: &Token, bytes: Option<usize>) -> Result<String, Error> {
    let mut headers: HeaderMap = client::headers("text/plain, */*;q=0.1", Some(token));
    let form = HeaderValue::from_static("application/x-www-form-urlencoded");
    headers.insert(CONTENT_TYPE, form);
    let mut body = Serializer::new(String::new());
    body.append_pair("topic", hub.topic)
        .append_pair("private", "on");
    if let Some(bytes) = bytes {
        body.append_pair("data", &"x".repeat(bytes));
    }
    let body = Bytes::from(body.finish());
    let sent = hub.caller.send(Method::POST, hub.url, headers, body);
    let answer = sent
        .await
        .map_err(|failure| Error::new(failure.to_string()))?;
    if answer.status() != StatusCode::OK {
        return Err(Error::new(Refusal::read(answer).await.to_string()));
    }
    let id = answer.text().await;
    id.map_err(|error| Error::from_cause(ClientError::from(error)))
}

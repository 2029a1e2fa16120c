//! `talaria subscribe`: follows topics of a hub and prints their events.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqwest::Response;
use talaria_config::Error;
use talaria_config::guide::Page;
use talaria_protocol::event::{Decoder, Event, Item};
use url::Url;

use super::client::{self, Asked, Caller, Refusal, Token, TokenArgs, TrustArgs};
use super::{output, runtime};
use crate::serve::client_error::ClientError;

/// The reconnection time until the server sends one.
const RETRY: Duration = Duration::from_secs(1);
/// The longest wait before reconnecting, whatever the server sends and however often it failed.
const MAX_RETRY: Duration = Duration::from_secs(30);

/// Subscribes to topics of a hub and prints their events, reconnecting when the connection ends.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct SubscribeArgs {
    /// The hub's URL, such as http://127.0.0.1:3000/.well-known/mercure.
    pub url: String,
    /// A topic, or * for all; may be repeated.
    #[arg(
        long = "match",
        value_name = "TOPIC",
        required_unless_present = "urlpattern",
        value_parser = NonEmptyStringValueParser::new()
    )]
    pub exact: Vec<String>,
    /// A URL Pattern of topics, such as `https://example.com/books/:id`; may be repeated.
    #[arg(long = "match-urlpattern", id = "urlpattern", value_name = "PATTERN", value_parser = NonEmptyStringValueParser::new())]
    pub urlpattern: Vec<String>,
    /// Begin after this event; `earliest` asks for everything that the hub keeps.
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub last_event_id: Option<String>,
    /// Print one JSON object on each line, with `id`, `type` and `data`.
    #[arg(long)]
    pub json: bool,
    /// End after N events, at least one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// The token to present.
    #[command(flatten)]
    pub token: TokenArgs,
    /// Which certificates to trust.
    #[command(flatten)]
    pub trust: TrustArgs,
}

/// Subscribes; exits 0 after `--count` events, 1 when the hub refuses or was never reached.
pub(super) fn run(args: &SubscribeArgs) -> ExitCode {
    match runtime::block_on(subscribe(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::failure(error),
    }
}

async fn subscribe(args: &SubscribeArgs) -> Result<(), Error> {
    let url = subscription_url(args)?;
    let token = args.token.read(client::token_variable()?)?;
    let caller = Caller::new(args.trust.of_user()?);
    let mut output = std::io::stdout().lock();
    let mut reader = Reader {
        output: &mut output,
        json: args.json,
        left: args.count,
        last_event_id: args.last_event_id.clone().unwrap_or_default(),
        retry: RETRY,
    };
    let mut failures = 0;
    let mut connected = false;
    loop {
        let headers = headers(token.as_ref(), &reader.last_event_id)?;
        let problem = match caller
            .send(Method::GET, &url, headers, bytes::Bytes::new())
            .await
        {
            Ok(response) if response.status() == StatusCode::OK => {
                check_media_type(response.headers())?;
                (connected, failures) = (true, 0);
                match reader.read(response).await? {
                    Ended::Done => return Ok(()),
                    Ended::Broken(problem) => problem,
                }
            }
            Ok(response) if connected && is_passing(response.status()) => {
                failures += 1;
                Refusal::read(response).await.to_string()
            }
            Ok(response) => {
                let refusal = Refusal::read(response).await;
                return Err(refusal.error(Asked::Subscribe, token.as_ref()));
            }
            Err(error) if connected => {
                failures += 1;
                error.to_string()
            }
            Err(error) => return Err(error.into()),
        };
        let wait = backoff(reader.retry, failures);
        output::say(&format!(
            "{problem}; reconnecting in {} ms",
            wait.as_millis()
        ));
        tokio::time::sleep(wait).await;
    }
}

/// The URL of the subscription (specification, "Subscription").
fn subscription_url(args: &SubscribeArgs) -> Result<Url, Error> {
    let mut url = client::hub_url(&args.url)?;
    let exact = args.exact.iter().map(|topic| ("match", topic));
    let patterns = args.urlpattern.iter();
    let patterns = patterns.map(|pattern| ("match_urlpattern", pattern));
    url.query_pairs_mut().extend_pairs(exact.chain(patterns));
    Ok(url)
}

fn headers(token: Option<&Token>, last_event_id: &str) -> Result<HeaderMap, Error> {
    let mut headers = client::headers("text/event-stream", token);
    if !last_event_id.is_empty() {
        // The id is sent as UTF-8 (HTML standard, "Server-sent events").
        let id = HeaderValue::from_bytes(last_event_id.as_bytes()).map_err(|_| {
            Error::new("--last-event-id: the id has characters that are not allowed in a header")
                .remedy("give an id that the hub has sent, or `earliest`")
        })?;
        headers.insert(HeaderName::from_static("last-event-id"), id);
    }
    Ok(headers)
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Error> {
    let found = headers
        .get(CONTENT_TYPE)
        .map_or(&b"none"[..], HeaderValue::as_bytes);
    let found = String::from_utf8_lossy(found);
    let essence = found.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("text/event-stream") {
        Ok(())
    } else {
        Err(Error::new(format!(
            "the answer's Content-Type is {found}, not text/event-stream"
        ))
        .remedy("correct the URL: something else than a hub answers there")
        .page(Page::DOCTOR))
    }
}

/// Whether a refusal is temporary, for example while a hub restarts behind a proxy.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

/// The server's reconnection time, doubled for each failure in a row, bounded.
fn backoff(retry: Duration, failures: u32) -> Duration {
    let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
    // A server that sends 0 must not get one request after the other while it fails.
    let retry = if failures > 0 {
        retry.max(RETRY)
    } else {
        retry
    };
    retry.saturating_mul(factor).min(MAX_RETRY)
}

enum Ended {
    /// All events that were asked for have come.
    Done,
    /// The stream ended, for this reason.
    Broken(String),
}

struct Reader<W> {
    output: W,
    json: bool,
    left: Option<u64>,
    last_event_id: String,
    retry: Duration,
}

impl<W: Write> Reader<W> {
    async fn read(&mut self, mut response: Response) -> Result<Ended, Error> {
        let mut decoder = Decoder::default();
        loop {
            let bytes = match response.chunk().await {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return Ok(Ended::Broken("the hub ended the stream".to_owned())),
                Err(error) => return Ok(Ended::Broken(ClientError::from(error).to_string())),
            };
            if self.take(&mut decoder, &bytes)? {
                return Ok(Ended::Done);
            }
        }
    }

    /// Prints the events that a chunk completes; returns whether they were the last ones to print.
    fn take(&mut self, decoder: &mut Decoder, bytes: &[u8]) -> Result<bool, Error> {
        for item in decoder.feed(bytes) {
            match item.map_err(Error::from_cause)? {
                Item::Comment(_) => {}
                Item::Retry(milliseconds) => self.retry = Duration::from_millis(milliseconds),
                Item::Event(event) => {
                    self.print(&event).map_err(output::not_written)?;
                    if let Some(left) = &mut self.left {
                        *left = left.saturating_sub(1);
                        if *left == 0 {
                            return Ok(true);
                        }
                    }
                }
            }
        }
        // A new decoder does not know the id, and an event without one must not lose the cursor.
        if !decoder.last_event_id().is_empty() {
            decoder.last_event_id().clone_into(&mut self.last_event_id);
        }
        Ok(false)
    }

    fn print(&mut self, event: &Event) -> std::io::Result<()> {
        if self.json {
            let object = serde_json::json!({
                "id": event.id,
                "type": event.event_type,
                "data": event.data,
            });
            writeln!(self.output, "{object}")?;
        } else {
            writeln!(self.output, "id: {}", event.id)?;
            writeln!(self.output, "type: {}", event.event_type)?;
            writeln!(self.output, "{}\n", event.data)?;
        }
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: SubscribeArgs,
    }

    fn parse(line: &[&str]) -> Result<SubscribeArgs, clap::Error> {
        let words = ["subscribe", "http://a/hub"].iter().chain(line);
        Cli::try_parse_from(words).map(|cli| cli.args)
    }

    /// Matchers become query parameters of their type (specification, "Subscription").
    #[test]
    fn matchers_become_the_query() {
        let args = parse(&[
            "--match",
            "a b",
            "--match",
            "*",
            "--match-urlpattern",
            "https://example.com/:id",
        ])
        .unwrap();
        assert_eq!(
            subscription_url(&args).unwrap().as_str(),
            "http://a/hub?match=a+b&match=*&match_urlpattern=https%3A%2F%2Fexample.com%2F%3Aid"
        );
        assert!(parse(&["--match-urlpattern", "/:id"]).is_ok());
        assert!(parse(&[]).is_err(), "no matcher");
    }

    /// The cursor is sent in `Last-Event-ID`, as UTF-8 (specification, "Reconnection").
    #[test]
    fn the_cursor_is_a_header() {
        let headers = headers(None, "é").unwrap();
        assert_eq!(headers["last-event-id"].as_bytes(), "é".as_bytes());
        assert!(super::headers(None, "a\nb").is_err());
        assert!(
            !super::headers(None, "")
                .unwrap()
                .contains_key("last-event-id")
        );
    }

    /// Waits follow the server's reconnection time, and grow, but never beyond the bound.
    #[test]
    fn waiting_is_bounded() {
        let ms = Duration::from_millis;
        assert_eq!(backoff(ms(0), 0), ms(0));
        assert_eq!(backoff(ms(0), 1), RETRY);
        assert_eq!(backoff(ms(3000), 0), ms(3000));
        assert_eq!(backoff(ms(3000), 3), ms(12_000));
        assert_eq!(backoff(ms(u64::MAX), 0), MAX_RETRY);
        assert_eq!(backoff(ms(3000), u32::MAX), MAX_RETRY);
    }

    /// Only an event stream is read (HTML standard, "Server-sent events").
    #[test]
    fn other_media_types_are_refused() {
        let of = |value| {
            [(CONTENT_TYPE, HeaderValue::from_static(value))]
                .into_iter()
                .collect()
        };
        assert!(check_media_type(&of("Text/Event-Stream; charset=utf-8")).is_ok());
        assert!(
            check_media_type(&of("text/html"))
                .unwrap_err()
                .to_string()
                .contains("text/html")
        );
        assert!(check_media_type(&HeaderMap::new()).is_err());
    }

    /// Events are printed as they come, until the count is reached; the cursor survives a new
    /// connection whose events have no id.
    #[test]
    fn events_are_printed_and_counted() {
        let mut reader = Reader {
            output: Vec::new(),
            json: true,
            left: Some(3),
            last_event_id: String::new(),
            retry: RETRY,
        };
        let mut decoder = Decoder::default();
        let chunk = b"retry: 20\nid: 1\ndata: a\ndata: b\n\n:\nda";
        assert!(!reader.take(&mut decoder, chunk).unwrap());
        assert_eq!(reader.retry, Duration::from_millis(20));
        let mut decoder = Decoder::default();
        let chunk = b"event: t\ndata\n\n";
        assert!(!reader.take(&mut decoder, chunk).unwrap());
        assert_eq!(reader.last_event_id, "1");
        reader.json = false;
        let chunk = b"id: 2\ndata: c\n\ndata: beyond\n\n";
        assert!(reader.take(&mut decoder, chunk).unwrap());
        assert_eq!(
            std::str::from_utf8(&reader.output).unwrap(),
            "{\"data\":\"a\\nb\",\"id\":\"1\",\"type\":\"message\"}\n\
             {\"data\":\"\",\"id\":\"\",\"type\":\"t\"}\nid: 2\ntype: message\nc\n\n"
        );
        let mut decoder = Decoder::default();
        assert!(reader.take(&mut decoder, b"data: \xff\n\n").is_err());
    }
}

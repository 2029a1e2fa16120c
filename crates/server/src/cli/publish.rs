//! `talaria publish`: sends one update to a hub.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use bytes::Bytes;
use clap::builder::NonEmptyStringValueParser;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use talaria_config::Error;
use talaria_config::guide::Page;
use url::form_urlencoded::Serializer;

use super::client::{self, Asked, Caller, Refusal, TokenArgs, TrustArgs};
use super::{output, runtime};
use crate::serve::client_error::ClientError;

/// The most bytes of an id, as the hub accepts it.
const MOST_ID_BYTES: usize = 4_096;

/// Publishes one update to a hub and prints its id.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct PublishArgs {
    /// The hub's URL, such as http://127.0.0.1:3000/.well-known/mercure.
    pub url: String,
    /// The topic; give it again for alternate topics.
    #[arg(long, required = true, value_name = "TOPIC", value_parser = NonEmptyStringValueParser::new())]
    pub topic: Vec<String>,
    /// The content: a text, @FILE for a file's content, or - for standard input.
    #[arg(long, value_name = "TEXT|@FILE|-", allow_hyphen_values = true)]
    pub data: Option<String>,
    /// Deliver only to subscribers whose token grants a topic of the update.
    #[arg(long)]
    pub private: bool,
    /// The update's id; without one the hub makes one.
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub id: Option<String>,
    /// The event type that subscribers see.
    #[arg(long = "type", value_name = "TYPE", value_parser = NonEmptyStringValueParser::new())]
    pub event_type: Option<String>,
    /// The reconnection time for subscribers, in milliseconds.
    #[arg(long, value_name = "MILLISECONDS")]
    pub retry: Option<u64>,
    /// The token to present.
    #[command(flatten)]
    pub token: TokenArgs,
    /// Which certificates to trust.
    #[command(flatten)]
    pub trust: TrustArgs,
}

/// Publishes; prints the id to standard output. If that fails, the reason goes to standard error, and the
/// exit code is 1.
pub(super) fn run(args: &PublishArgs) -> ExitCode {
    match runtime::block_on(publish(args)) {
        Ok(id) => output::print(&format!("{id}\n")),
        Err(error) => output::failure(error),
    }
}

async fn publish(args: &PublishArgs) -> Result<String, Error> {
    let url = client::hub_url(&args.url)?;
    let token = args.token.read(client::token_variable()?)?;
    let caller = Caller::new(args.trust.of_user()?);
    let data = args.data.as_deref().map(content).transpose()?;
    let mut headers = client::headers("text/plain, */*;q=0.1", token.as_ref());
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    let body = Bytes::from(form(args, data.as_deref()));
    let response = caller.send(Method::POST, &url, headers, body).await?;
    if response.status() != http::StatusCode::OK {
        let refusal = Refusal::read(response).await;
        return Err(refusal.error(Asked::Publish, token.as_ref()));
    }
    let media_type = response.headers().get(CONTENT_TYPE).cloned();
    let id = response.bytes().await.map_err(|error| {
        Error::new("the answer broke off, so whether the update is published is not known")
            .caused_by(ClientError::from(error))
            .remedy("see the hub's log, or publish again with an --id of yours")
    })?;
    let id = String::from_utf8_lossy(&id);
    // The body is the id (specification, "Publication").
    let is_id = !id.is_empty() && id.len() <= MOST_ID_BYTES && !id.contains(['\n', '\r', '<']);
    if is_id {
        return Ok(id.into_owned());
    }
    let media_type = media_type
        .as_ref()
        .map_or(&b"none"[..], HeaderValue::as_bytes);
    Err(Error::new(format!(
        "{url}: the answer is not the id of an update: {} bytes, Content-Type {}",
        id.len(),
        String::from_utf8_lossy(media_type)
    ))
    .remedy("correct the URL: something else than a hub answers there")
    .page(Page::DOCTOR))
}

/// The body of the request (specification, "Publication").
fn form(args: &PublishArgs, data: Option<&str>) -> String {
    let mut form = Serializer::new(String::new());
    for topic in &args.topic {
        form.append_pair("topic", topic);
    }
    let retry = args.retry.map(|retry| retry.to_string());
    let fields = [
        ("data", data),
        ("id", args.id.as_deref()),
        ("type", args.event_type.as_deref()),
        ("retry", retry.as_deref()),
        ("private", args.private.then_some("on")),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            form.append_pair(name, value);
        }
    }
    form.finish()
}

fn content(data: &str) -> Result<String, Error> {
    if data == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| {
                Error::new("--data -")
                    .caused_by(error)
                    .remedy("pipe UTF-8 text in")
            })?;
        return Ok(text);
    }
    match data.strip_prefix('@') {
        Some(file) => client::read_text("--data", Path::new(file)),
        None => Ok(data.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: PublishArgs,
    }

    fn parse(line: &[&str]) -> Result<PublishArgs, clap::Error> {
        let words = ["publish", "http://a"].iter().chain(line);
        Cli::try_parse_from(words).map(|cli| cli.args)
    }

    /// Every field is sent form-encoded, topics in order (specification, "Publication").
    #[test]
    fn every_field_is_sent() {
        let args = parse(&[
            "--topic",
            "a b",
            "--topic",
            "é&",
            "--data",
            "-5%",
            "--private",
            "--id",
            "1+1",
            "--type",
            "t",
            "--retry",
            "10",
        ])
        .unwrap();
        assert_eq!(
            form(&args, args.data.as_deref()),
            "topic=a+b&topic=%C3%A9%26&data=-5%25&id=1%2B1&type=t&retry=10&private=on"
        );
        let args = parse(&["--topic", "a"]).unwrap();
        assert_eq!(form(&args, None), "topic=a");
    }

    /// Arguments that cannot be sent are refused before anything is sent.
    #[test]
    fn wrong_arguments_are_refused() {
        assert!(parse(&[]).is_err(), "no topic");
        assert!(parse(&["--topic", "a", "--retry", "soon"]).is_err());
        assert!(parse(&["--topic", ""]).is_err());
        assert!(parse(&["--topic", "a", "--id", ""]).is_err());
        assert!(parse(&["--topic", "a", "--type", ""]).is_err());
        assert!(parse(&["--topic", "a", "--token", "x", "--token-file", "y"]).is_err());
        let error = content("@/no/such/file").unwrap_err().to_string();
        assert!(error.starts_with("--data /no/such/file"), "{error}");
        assert_eq!(content("a@b").unwrap(), "a@b");
    }
}

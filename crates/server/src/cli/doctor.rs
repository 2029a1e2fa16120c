//! `talaria doctor`: what a hub, and whatever stands in front of it, tells its clients, each fault
//! with its remedy.

mod connection;
mod cookie;
mod cors;
mod discovery;
mod findings;
mod identity;
mod origin;
mod stream;
mod token;

use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use talaria_config::Error;

use self::findings::{Findings, tell};
use super::client::{self, TokenArgs};
use super::{output, runtime};

/// The flags of `doctor`.
#[derive(clap::Args)]
#[command(after_help = "\
Asks for the hub's metadata, permissions and streams. With a token that may publish on the topic, it also
publishes a few private updates there and measures how long they take. Exit code 0 if nothing is wrong.

Example:
  talaria doctor https://hub.example --origin https://app.example --token-file token.jwt")]
pub(super) struct Args {
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

/// Examines a hub; exits 0 if nothing is wrong.
pub(super) fn run(args: &Args) -> ExitCode {
    match runtime::block_on(examine(args)) {
        Ok(0) => {
            tell("nothing is wrong");
            ExitCode::SUCCESS
        }
        Ok(faults) => {
            tell(&format!("faults: {faults}"));
            ExitCode::FAILURE
        }
        Err(error) => output::failure(error),
    }
}

/// Examines a hub; returns the number of faults.
async fn examine(args: &Args) -> Result<usize, Error> {
    let url = client::hub_url(&args.url)?;
    if url.query().is_some() {
        return Err(
            Error::new(format!("{:?}: doctor asks with its own queries", args.url))
                .remedy("leave this one out, and name the topic with --topic"),
        );
    }
    let origin = args
        .origin
        .as_deref()
        .map(origin::of_browsers)
        .transpose()?;
    let token = args.token.authorization(client::token_variable()?)?;
    if token.is_some() && args.topic == "*" {
        return Err(
            Error::new("--topic *: an update cannot be published to every topic")
                .remedy("name one"),
        );
    }
    let mut found = Findings::default();
    if !connection::examine(&url, &mut found).await {
        return Ok(found.faults);
    }
    let document = identity::metadata_url(&url);
    let metadata = discovery::examine(&document, &url, &mut found).await;
    if metadata.is_some() {
        identity::examine(&document, &url, token.as_ref(), &mut found).await;
    }
    match &origin {
        Some(origin) => {
            cors::examine(&url, origin, &mut found).await;
            cookie::examine(&url, origin, metadata.as_ref(), &mut found);
        }
        None => found.note(
            "CORS, cookie",
            "not examined; name the origin of your pages with --origin",
        ),
    }
    let is_accepted = stream::examine(&url, &args.topic, token.as_ref(), &mut found).await;
    if let Some(token) = &token {
        token::examine(token, is_accepted, metadata.as_ref(), &url, &mut found);
    }
    Ok(found.faults)
}

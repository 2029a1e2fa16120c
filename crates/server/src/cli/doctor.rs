//! `talaria doctor`: what a hub, and whatever stands in front of it, tells its clients, each fault
//! with its remedy.

mod banner;
mod connection;
mod cookie;
mod cors;
mod delivery;
mod discovery;
mod examined;
mod exposed;
mod findings;
mod identity;
mod idle;
mod kind;
mod origin;
mod stream;
mod token;

use std::process::ExitCode;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use talaria_config::Error;
use talaria_config::guide::Page;
use talaria_config::value::parse_duration;

use self::examined::{Examined, PATIENCE};
use self::findings::Findings;
use super::client::{self, Caller, TokenArgs, TrustArgs};
use super::{output, runtime};

/// The flags of `doctor`.
#[derive(clap::Args)]
#[command(after_help = "\
Asks for the hub's metadata, permissions and streams, as a client of this machine: it trusts the certificates that
the system trusts. With a token that may publish on the topic, it also publishes a few private updates there and
measures how long they take. Exit code 0 if nothing is wrong, else 1.

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
    /// Also keep a stream open for this long, such as 70s, to find a proxy that ends silent ones.
    #[arg(long, value_name = "DURATION")]
    idle: Option<String>,
    /// The port where the admin listener must not answer from outside.
    #[arg(long, value_name = "PORT", default_value_t = 2019)]
    admin_port: u16,
    /// Print one JSON object, with `url`, `faults` and `findings`.
    #[arg(long)]
    json: bool,
    /// The token to examine and to use.
    #[command(flatten)]
    token: TokenArgs,
    /// Which certificates to trust.
    #[command(flatten)]
    trust: TrustArgs,
}

/// Examines a hub; exits 0 if nothing is wrong.
pub(super) fn run(args: &Args) -> ExitCode {
    match runtime::block_on(examine(args)) {
        Ok(code) => code,
        Err(error) => output::failure(error),
    }
}

async fn examine(args: &Args) -> Result<ExitCode, Error> {
    let url = client::hub_url(&args.url)?;
    if url.query().is_some() {
        return Err(
            Error::new(format!("{:?}: doctor asks with its own queries", args.url))
                .remedy("leave this one out, and name the topic with --topic"),
        );
    }
    let origin = args.origin.as_deref();
    let origin = origin.map(origin::of_browsers).transpose()?;
    let token = args.token.read(client::token_variable()?)?;
    if token.is_some() && args.topic == "*" {
        return Err(
            Error::new("--topic *: an update cannot be published to every topic")
                .remedy("name one"),
        );
    }
    let mut found = Findings::new(args.json);
    let trust = args.trust.of_clients()?;
    let mut hub = Examined {
        url: &url,
        caller: Caller::new(trust.clone()).with_patience(PATIENCE),
        topic: &args.topic,
        token: token.as_ref(),
        origin: origin.as_deref(),
        idle: args.idle.as_deref().map(duration).transpose()?,
        admin_port: args.admin_port,
        server: String::new(),
    };
    if connection::examine(&mut hub, trust, &mut found).await {
        examine_hub(&hub, &mut found).await;
    }
    Ok(found.conclude(&url))
}

/// Examines what certainly answers as a hub.
async fn examine_hub(hub: &Examined<'_>, found: &mut Findings) {
    let document = identity::metadata_url(hub.url);
    let metadata = discovery::examine(hub, &document, found).await;
    if metadata.is_some() {
        identity::examine(hub, &document, found).await;
    }
    match hub.origin {
        Some(origin) => {
            cors::examine(hub, origin, found).await;
            cookie::examine(hub.url, origin, metadata.as_ref(), found);
        }
        None => found.on("CORS, cookie", "nothing").note(
            "not examined",
            "name the origin of your pages with --origin",
            Page::CORS,
        ),
    }
    let is_accepted = stream::examine(hub, found).await;
    if let Some(token) = hub.token {
        token::examine(token, is_accepted, metadata.as_ref(), hub.url, found);
    }
    exposed::examine(hub, found).await;
}

fn duration(text: &str) -> Result<Duration, Error> {
    parse_duration(text).map_err(|problem| {
        Error::new(format!("--idle {text:?} is not a duration: {problem}"))
            .remedy("write for example 70s")
    })
}

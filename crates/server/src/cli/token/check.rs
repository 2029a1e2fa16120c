//! `talaria token check`: the verdict of a hub with this configuration.

use std::fmt::Write as _;
use std::process::ExitCode;

use talaria_config::Error;
use talaria_config::guide::Page;
use talaria_config::settings::{HubSettings, ListenAddress, Settings, SiteSettings};
use talaria_hub::HubOptions;
use talaria_hub::access::{Role, Verifier};
use talaria_hub::clock::{Clock as _, SystemClock, UnixTime};
use talaria_protocol::authorization::Action;

use super::argument::text;
use super::decoded::Decoded;
use crate::cli::{client, load, output, runtime};
use crate::serve::key_sets;

/// The flags of `token check`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The token itself, `@path` for a file, `-` for standard input.
    #[arg(value_name = "TOKEN|@FILE|-")]
    token: String,
    /// The hub's URL as its clients see it, when the configuration pins no resource identifier.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    load: load::Args,
}

/// Prints the verdict for each role.
///
/// # Errors
///
/// The configuration or the token cannot be read.
pub(super) fn check(args: &Args) -> Result<ExitCode, Error> {
    if args.token == "-" && args.load.reads_standard_input() {
        return Err(
            Error::new("--config -: the token is read from standard input already")
                .remedy("give one of them in a file"),
        );
    }
    let (loaded, _) = args.load.load()?;
    output::warn(&loaded.notices);
    let settings = loaded.settings;
    let (hub, addresses) = hub_of(&settings)?;
    let argument = if args.token == "-" { "@-" } else { &args.token };
    let token = text("the token", argument)?;
    let options = &hub.options;
    let audiences = audiences(options, &addresses, url(args, options)?.as_deref());
    fetch(hub)?;
    let verifier = Verifier::new(
        options.issuers.clone(),
        options.base.clone(),
        options.limits.clone(),
    )
    .from_generation(options.rule.oldest())
    .with_max_lifetime(options.max_token_lifetime);
    let now = SystemClock.unix_time();
    let decoded = Decoded::read(&token);
    let mut out = decoded.map_or_else(String::new, |it| it.describe(options, now.seconds()));
    // Writing to a string cannot fail.
    _ = writeln!(out, "hub URL (`aud`): {}", audiences.join(" or "));
    let accepted = judge(&mut out, &verifier, token.trim(), &audiences, now);
    let printed = output::print(&out);
    Ok(if accepted { printed } else { ExitCode::FAILURE })
}

/// Writes the verdict for each role; returns whether one accepts the token.
fn judge(
    out: &mut String,
    verifier: &Verifier,
    token: &str,
    audiences: &[String],
    now: UnixTime,
) -> bool {
    let (mut accepted, mut is_refused) = (false, false);
    for role in [Role::Publisher, Role::Subscriber] {
        let name = role.name();
        _ = match verifier.verify(token, role, audiences, now) {
            Ok(access) => {
                let action = match role {
                    Role::Publisher => Action::Publish,
                    Role::Subscriber => Action::Subscribe,
                };
                let issuer = access.issuer;
                let unread = if access.ignores_older_claim {
                    "; its claim \"mercure\" is of Mercure 0.x, which this hub does not read (write `protocol_version_compatibility 8`)"
                } else {
                    ""
                };
                match (access.details.topics_of(action), role) {
                    // A publisher without a grant gets 403, while public updates can be read without one (B-445).
                    (0, Role::Publisher) => {
                        writeln!(
                            out,
                            "{name}: refused, the token has no publish grant{unread}"
                        )
                    }
                    (grants, _) => {
                        accepted = true;
                        writeln!(
                            out,
                            "{name}: accepted, issuer {issuer}, topics granted: {grants}{unread}"
                        )
                    }
                }
            }
            Err(refusal) => {
                is_refused = true;
                writeln!(out, "{name}: refused ({}), {refusal}", refusal.code())
            }
        };
    }
    if is_refused {
        _ = writeln!(out, "see {}", Page::TOKEN_REFUSED);
    }
    accepted
}

/// The URL of `--url`, which must be the pinned resource identifier if there is one.
fn url(args: &Args, options: &HubOptions) -> Result<Option<String>, Error> {
    let Some(given) = &args.url else {
        return Ok(None);
    };
    let url = client::hub_url(given).map_err(|error| Error::new("--url").caused_by(error))?;
    match &options.resource_identifier {
        Some(pinned) if pinned != given && *pinned != url.as_str() => Err(Error::new(format!(
            "--url {given:?}: the configuration says `resource_identifier {pinned}`, and that is the hub's name"
        ))
        .remedy("leave --url out")),
        _ => Ok(Some(url.into())),
    }
}

/// The one hub of a configuration, and its addresses.
fn hub_of(settings: &Settings) -> Result<(&HubSettings, Vec<&ListenAddress>), Error> {
    match settings.hubs.as_slice() {
        [hub] => {
            let asks = |site: &&SiteSettings| !site.routes.hubs().is_empty();
            let sites = settings.sites.iter().filter(asks);
            Ok((hub, sites.flat_map(|site| &site.addresses).collect()))
        }
        hubs => Err(Error::new(format!(
            "the configuration has {} hubs, and a token is judged by one",
            hubs.len()
        ))
        .remedy("give --config a file with that hub alone")),
    }
}

/// Fetches the key sets of the issuers, as the hub would.
fn fetch(hub: &HubSettings) -> Result<(), Error> {
    if hub.key_sets.is_empty() {
        return Ok(());
    }
    runtime::block_on(key_sets::fetch_all(&hub.key_sets))
}

/// What the hub would find in `aud`: the pinned identifier, the URL given, or what requests to its
/// addresses would derive (B-420).
fn audiences(options: &HubOptions, addresses: &[&ListenAddress], url: Option<&str>) -> Vec<String> {
    let more = options.accepted_audiences.iter().cloned();
    if let Some(pinned) = options.resource_identifier.as_deref().or(url) {
        return std::iter::once(pinned.to_owned()).chain(more).collect();
    }
    let derived = addresses.iter().map(|address| {
        let host = address.host.as_deref().unwrap_or("localhost");
        address.url_on(host)
    });
    // The configuration accepts those of named hosts already.
    let mut all: Vec<String> = derived.collect();
    all.extend(more.filter(|url| !all.contains(url)).collect::<Vec<_>>());
    all
}

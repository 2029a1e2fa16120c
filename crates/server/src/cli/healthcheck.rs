//! `talaria healthcheck`: asks a hub on this machine whether it can serve, for containers without `curl`.

use std::process::ExitCode;
use std::time::Duration;

use reqwest::Client;
use talaria_config::Error;
use talaria_config::settings::{AdminAddress, ListenAddress};

use super::{admin, load, output, runtime};
use crate::serve::client_error::ClientError;
use crate::serve::sites::HEALTH_PATH;

/// What `talaria healthcheck --help` adds.
pub(super) const HELP: &str = "\
Without --url it asks for /healthz at the first address of the configuration, on the loopback interface. The exit
code is 0 if updates can be stored, else 1. The certificate is not checked, because it is for the public name.

Example, in a Dockerfile:
  HEALTHCHECK CMD [\"talaria\", \"healthcheck\"]";

/// How long a hub may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The flags of `healthcheck`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    load: load::Args,
    /// The URL to ask instead.
    #[arg(long, value_name = "URL", conflicts_with = "admin")]
    url: Option<String>,
    /// Ask the admin listener at this address instead whether the hubs are ready.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
}

/// Asks.
pub(super) fn healthcheck(args: &Args) -> ExitCode {
    let asked = question(args).and_then(|(client, url)| runtime::block_on(ask(&client, url)));
    match asked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::failure(error),
    }
}

fn question(args: &Args) -> Result<(Client, String), Error> {
    if let Some(text) = &args.admin {
        let address = AdminAddress::parse(text)
            .map_err(|problem| Error::new(format!("--admin {text:?}: {problem}")))?;
        let url = admin::url(&address, "/mercure/health/ready");
        return Ok((admin::client(&address)?, url));
    }
    let url = match &args.url {
        Some(url) => url.clone(),
        None => {
            let (loaded, _) = args.load.load()?;
            let sites = loaded.settings.sites.iter();
            let addresses = sites.flat_map(|site| &site.addresses);
            let known = addresses.clone().find(|address| address.port != 0);
            known.map(own_url).ok_or_else(|| {
                Error::new("the configuration leaves the port to the system")
                    .remedy("name the hub's URL by --url, or its admin listener by --admin")
            })?
        }
    };
    let client = Client::builder()
        .no_proxy()
        .tls_danger_accept_invalid_certs(true)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| Error::new("no HTTP client").caused_by(ClientError::from(error)))?;
    Ok((client, url))
}

/// The URL of an address for clients on this machine: `/healthz` answers under any host.
fn own_url(address: &ListenAddress) -> String {
    let scheme = if address.tls { "https" } else { "http" };
    let host = match address.bind.iter().find(|ip| !ip.is_unspecified()) {
        Some(ip) if ip.is_ipv6() => format!("[{ip}]"),
        Some(ip) => ip.to_string(),
        // The name of the certificate, as far as it is one of this machine.
        None if address.host.as_deref() == Some("localhost") => "localhost".to_owned(),
        None => "127.0.0.1".to_owned(),
    };
    format!("{scheme}://{host}:{}{HEALTH_PATH}", address.port)
}

async fn ask(client: &Client, url: String) -> Result<(), Error> {
    let asked = tokio::time::timeout(PATIENCE, client.get(&url).send()).await;
    let answer = match asked {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(Error::new(url).caused_by(ClientError::from(error))),
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            return Err(Error::new(format!("{url}: no answer within {seconds} s")));
        }
    };
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(Error::new(format!("{url} answered {status}"))),
    }
}

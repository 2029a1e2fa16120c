//! `talaria stop` and `talaria reload`: ask the admin listener of a running hub (B-012, B-013).

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, REFERER};
use http::{HeaderMap, HeaderValue, Method};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, RequestBuilder};
use talaria_config::Error;
use talaria_config::settings::AdminAddress;

use super::{load, output, runtime};
use crate::serve::admin::FILE;
use crate::serve::client_error::ClientError;

/// What `talaria stop --help` adds.
pub(super) const STOP_HELP: &str = "\
It asks the admin listener, at the address that --address, the configuration or CADDY_ADMIN names, else at
localhost:2019, and returns when the hub has begun to end its streams.";

/// What `talaria reload --help` adds.
pub(super) const RELOAD_HELP: &str = "\
It sends the file to the admin listener, at the address that --address, the file or CADDY_ADMIN names, else at
localhost:2019. Variables in it are those of the hub, not of this command. A file that says what is in force
already changes nothing, unless --force is given. A wrong file leaves the old one in force.

Example:
  talaria reload --config /etc/talaria/Caddyfile";

/// How long a hub may take to connect, and to answer: a reload may open another storage.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(90);
/// How much of a refusal is read, and of a result: ten thousand revocations.
const MOST_BYTES: usize = 256 * 1024;
const MOST_RESULT: usize = 128 << 20;

/// The flags of `stop`.
#[derive(clap::Args)]
pub(super) struct StopArgs {
    #[command(flatten)]
    hub: HubArgs,
}

/// The flags of `reload`.
#[derive(clap::Args)]
pub(super) struct ReloadArgs {
    #[command(flatten)]
    hub: HubArgs,
    /// Load the file even if it says what is in force already.
    #[arg(short, long)]
    force: bool,
}

/// Which hub is asked.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct HubArgs {
    /// The configuration file of the hub, `-` for standard input; without it ./Caddyfile if that exists.
    #[arg(short, long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// The format of the file; only `caddyfile` is known.
    #[arg(short, long, value_name = "NAME", requires = "config")]
    adapter: Option<String>,
    /// The address of the admin listener, `host:port` or `unix//path`.
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
}

impl HubArgs {
    fn load(&self) -> load::Args {
        load::Args::of_file(self.config.clone(), self.adapter.clone())
    }

    /// The address of the admin listener.
    ///
    /// # Errors
    /// It is malformed, or there is no admin listener.
    pub(super) fn address(&self) -> Result<AdminAddress, Error> {
        if let Some(text) = &self.address {
            return AdminAddress::parse(text).map_err(|problem| {
                Error::new(format!("--address {text:?}: {problem}"))
                    .remedy("give for example localhost:2019 or unix//run/hub.sock")
            });
        }
        // Standard input can be read once only.
        let load = match self.load() {
            load if load.reads_standard_input() => load::Args::of_file(None, None),
            load => load,
        };
        load.admin()?.address.ok_or_else(|| {
            Error::new("the configuration says `admin off`, so there is nothing to ask")
                .remedy("send the process SIGUSR1 to reload, SIGTERM to stop")
        })
    }
}

/// Stops a running hub.
pub(super) fn stop(args: &StopArgs) -> ExitCode {
    let asked = args.hub.address().and_then(|address| {
        runtime::block_on(async { post(&address, "/stop", |request| request).await })
    });
    match asked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::failure(error),
    }
}

/// Puts a configuration file in force in a running hub.
pub(super) fn reload(args: &ReloadArgs) -> ExitCode {
    let asked = file(args).and_then(|(name, text)| {
        let address = args.hub.address()?;
        let fill = |request: RequestBuilder| {
            let request = request.header(CONTENT_TYPE, "text/caddyfile").body(text);
            let request = match name {
                Some(name) => request.header(FILE, name),
                None => request,
            };
            match args.force {
                true => request.header(CACHE_CONTROL, "must-revalidate"),
                false => request,
            }
        };
        runtime::block_on(post(&address, "/load", fill))
    });
    match asked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::failure(error),
    }
}

/// The file: its absolute path, encoded, and its text.
fn file(args: &ReloadArgs) -> Result<(Option<String>, String), Error> {
    let load = args.hub.load();
    let file = load.file()?.ok_or_else(|| {
        Error::new("there is no configuration file to load")
            .remedy("name one by --config; a hub that variables configure is restarted")
    })?;
    let path = load.path().and_then(|path| std::path::absolute(path).ok());
    let name = path.map(|path| {
        utf8_percent_encode(&path.display().to_string(), NON_ALPHANUMERIC)
            .to_string()
            .replace("%2F", "/")
    });
    Ok((name, file.text))
}

/// Sends a request to an admin listener.
///
/// # Errors
/// It cannot be reached, or refuses.
async fn post(
    address: &AdminAddress,
    path: &str,
    fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
) -> Result<(), Error> {
    ask(address, Method::POST, path, fill).await.map(drop)
}

/// Sends a request to an admin listener. Returns the body of its answer.
///
/// # Errors
/// It cannot be reached, or refuses.
pub(super) async fn ask(
    address: &AdminAddress,
    method: Method,
    path: &str,
    fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
) -> Result<Vec<u8>, Error> {
    let client = client(address)?;
    let request = fill(client.request(method, url(address, path)));
    let sent = tokio::time::timeout(ANSWER, request.send()).await;
    let Ok(sent) = sent else {
        return Err(unreachable(address).remedy("its log says what it does"));
    };
    let mut answer = sent.map_err(|error| {
        unreachable(address)
            .caused_by(ClientError::from(error))
            .remedy(
                "check that the hub runs, and where its admin listener is: --address, CADDY_ADMIN",
            )
    })?;
    let is_success = answer.status().is_success();
    let most = if is_success { MOST_RESULT } else { MOST_BYTES };
    let mut body = Vec::new();
    while body.len() < most
        && let Ok(Ok(Some(chunk))) = tokio::time::timeout(ANSWER, answer.chunk()).await
    {
        body.extend_from_slice(&chunk);
    }
    if is_success {
        return Ok(body);
    }
    let said: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
    let said = said.as_ref().and_then(|value| value.get("error")?.as_str());
    let said = said.map_or_else(
        || String::from_utf8_lossy(&body).into_owned(),
        str::to_owned,
    );
    Err(match answer.status().as_u16() {
        400 => Error::new(said),
        status => Error::new(format!("the admin listener answered {status}: {said}")),
    })
}

fn unreachable(address: &AdminAddress) -> Error {
    Error::new(format!("the admin listener at {address} does not answer"))
}

/// A client of an admin listener. It says where it asks, which `enforce_origin` wants to know; not in `Origin`, because
/// the name of a listener on all interfaces may be no origin that is allowed.
///
/// # Errors
/// The system refuses one.
pub(super) fn client(address: &AdminAddress) -> Result<Client, Error> {
    let mut headers = HeaderMap::new();
    if let Ok(asked) = HeaderValue::try_from(url(address, "/")) {
        headers.insert(REFERER, asked);
    }
    let builder = Client::builder()
        .default_headers(headers)
        .tls_certs_only([])
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT);
    let builder = match address {
        AdminAddress::Unix(path) => builder.unix_socket(path.clone()),
        AdminAddress::Tcp { .. } => builder,
    };
    builder
        .build()
        .map_err(|error| Error::new("no HTTP client").caused_by(ClientError::from(error)))
}

/// The URL of a path of an admin listener.
pub(super) fn url(address: &AdminAddress, path: &str) -> String {
    match address {
        AdminAddress::Unix(_) => format!("http://localhost{path}"),
        AdminAddress::Tcp { port, .. } if address.is_everywhere() => {
            format!("http://localhost:{port}{path}")
        }
        AdminAddress::Tcp { .. } => format!("http://{address}{path}"),
    }
}

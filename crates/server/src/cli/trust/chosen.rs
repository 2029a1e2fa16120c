//! Which root `talaria trust` and `untrust` are about.

use std::path::{Path, PathBuf};

use http::Method;
use serde_json::Value;
use talaria_config::Error;
use url::Url;

use crate::cli::client::{self, Caller, Trust};
use crate::cli::runtime::block_on;
use crate::serve::tls;
use crate::serve::trust_stores::{Root, System};

/// The most bytes of an answer of the admin API.
const MOST_BYTES: usize = 256 * 1024;

/// Which root is meant: that of this user's local authority unless a flag names another one.
#[derive(clap::Args)]
pub(super) struct Which {
    /// The file of another root, in PEM.
    #[arg(long, value_name = "PATH", conflicts_with = "address")]
    cert: Option<PathBuf>,
    /// The admin address of a running hub, which is asked for its root, for example localhost:2019.
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// The name of the authority; `local` is the only one.
    #[arg(long, value_name = "NAME", default_value = "local")]
    ca: String,
    /// Accepted for existing scripts: where the authority lies does not depend on the configuration.
    #[arg(short, long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Accepted beside --config.
    #[arg(short, long, value_name = "NAME", requires = "config")]
    adapter: Option<String>,
}

impl Which {
    /// Reads it.
    ///
    /// # Errors
    /// There is none, or it is not the certificate of an authority.
    pub(super) fn root(&self) -> Result<Root, Error> {
        if self.ca != "local" {
            return Err(
                Error::new(format!("--ca {}: there is no such authority", self.ca)).remedy(
                    "the one authority is `local`; leave --ca out, or name a root with --cert",
                ),
            );
        }
        match (&self.cert, &self.address) {
            (Some(path), _) => Root::read(path)
                .map_err(|error| error.remedy("give --cert the root of an authority in PEM")),
            (None, Some(address)) => block_on(of_hub(address)),
            (None, None) => of_user(),
        }
    }
}

fn of_user() -> Result<Root, Error> {
    let path = tls::directory()?.join("root.crt");
    Root::read(&path).map_err(|error| {
        let held = System::find().map_or_else(|_| Vec::new(), |system| system.roots());
        let held: Vec<String> = held.iter().map(|path| path.display().to_string()).collect();
        let other = match held.is_empty() {
            true => String::new(),
            false => format!("; the system's store holds {}, each of which --cert may name", held.join(", ")),
        };
        error.remedy(format!(
            "start a hub with an HTTPS address as this user and with the same XDG_DATA_HOME, which makes one; or name it with --cert or --address{other}"
        ))
    })
}

/// Asks the admin API of a hub for its root (B-066).
async fn of_hub(address: &str) -> Result<Root, Error> {
    const REMEDY: &str = "give --address the admin address of a running hub, for example localhost:2019, or name the root's file with --cert";
    let bare = address.trim_start_matches("http://").trim_end_matches('/');
    let text = format!("http://{bare}/pki/ca/local");
    let failed = |why: String| Error::new(format!("{text}: {why}")).remedy(REMEDY);
    let url = Url::parse(&text).map_err(|error| failed(error.to_string()))?;
    let headers = client::headers("application/json", None);
    let caller = Caller::new(Trust::default());
    let answer = caller.send(Method::GET, &url, headers, bytes::Bytes::new());
    let mut answer = answer.await.map_err(|error| failed(error.to_string()))?;
    if !answer.status().is_success() {
        return Err(failed(format!("the answer is {}", answer.status())));
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer
        .chunk()
        .await
        .map_err(|error| failed(error.to_string()))?
    {
        body.extend_from_slice(&chunk);
        if body.len() > MOST_BYTES {
            return Err(failed("the answer is too large".to_owned()));
        }
    }
    let answer: Option<Value> = serde_json::from_slice(&body).ok();
    let root = answer
        .as_ref()
        .and_then(|answer| answer.get("root_certificate"));
    let root = root.and_then(Value::as_str);
    let root = root.ok_or_else(|| failed("the answer has no root_certificate".to_owned()))?;
    Root::parse(Path::new(&text), root.as_bytes())
}

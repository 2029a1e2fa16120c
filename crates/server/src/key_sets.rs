//! Fetching the key sets of issuers (specification, "Token Validation"; B-236, B-450, B-1024).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CACHE_CONTROL, LOCATION};
use reqwest::{Client, StatusCode, Url};
use talaria_hub::access::{KeySet, Taken};
use talaria_protocol::error::Shown;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::cli::explain;
use crate::folders;

/// How long a fetch may take, with all that it asks an issuer.
const TIMEOUT: Duration = Duration::from_secs(8);
/// What a set may have, in bytes.
pub const MAX_BYTES: u64 = 1 << 20;
/// How long a set is good for if its answer says nothing, and at least and at most.
const USUAL: Duration = Duration::from_secs(3600);
const LEAST: Duration = Duration::from_secs(60);
const MOST: Duration = Duration::from_secs(24 * 3600);
/// Between the beginnings of two fetches that tokens with unknown keys ask for; requests wait for the
/// next one.
const PAUSE: Duration = Duration::from_secs(3);
/// How long a request waits for the fetch that it asks for: one may just have begun that takes all its
/// time, and so may its own.
pub const PATIENCE: Duration = Duration::from_secs(17);
const _: () =
    assert!(PATIENCE.as_secs() > 2 * TIMEOUT.as_secs() && PAUSE.as_secs() <= TIMEOUT.as_secs());
/// The waits after failures, doubled from one to the other.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(300);

/// Where a set is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// At this address.
    Url(Url),
    /// In a file.
    File(PathBuf),
    /// Where the issuer's metadata document says (RFC 8414, OpenID Connect Discovery).
    Discovered,
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(url) => write!(f, "{url}"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Discovered => f.write_str("the address in its metadata document"),
        }
    }
}

/// A set to be kept up to date.
#[derive(Debug, Clone)]
pub struct Source {
    /// Whose it is.
    pub issuer: String,
    /// Where it is.
    pub location: Location,
    /// What is kept up to date.
    pub set: Arc<KeySet>,
}

/// Keeps sets up to date, for ever; nothing waits for the first fetch.
///
/// # Errors
/// The client for HTTPS cannot be set up.
pub fn follow(sources: Vec<Source>, tasks: &mut JoinSet<()>) -> Result<(), String> {
    if sources.is_empty() {
        return Ok(());
    }
    let client = client_for(&sources)?;
    for source in sources {
        tasks.spawn(source.follow(client.clone()));
    }
    Ok(())
}

/// Fetches each set once, for a program that ends.
///
/// # Errors
/// The first set that cannot be fetched, and why.
pub async fn fetch_all(sources: &[Source]) -> Result<(), String> {
    let client = client_for(sources)?;
    for source in sources {
        source.fetch(client.as_ref()).await?;
    }
    Ok(())
}

/// A client, if one is needed: files need no certificates of the system.
fn client_for(sources: &[Source]) -> Result<Option<Client>, String> {
    let is_file = |source: &Source| matches!(source.location, Location::File(_));
    if sources.iter().all(is_file) {
        return Ok(None);
    }
    client().map(Some)
}

fn client() -> Result<Client, String> {
    Client::builder()
        .https_only(true)
        // B-1024: the address is configured, and nobody else decides on it.
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .user_agent(concat!("talaria/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| format!("no client for HTTPS: {error}"))
}

impl Source {
    async fn follow(self, client: Option<Client>) {
        let fetch = || async {
            let fetched = timeout(TIMEOUT, self.fetch(client.as_ref())).await;
            fetched.unwrap_or_else(|_| {
                Err(format!(
                    "{} did not answer within {} s",
                    self.location,
                    TIMEOUT.as_secs()
                ))
            })
        };
        self.keep_up(fetch, || sleep(PAUSE)).await;
    }

    /// Fetches the set again and again; `pause` begins with each fetch.
    async fn keep_up<F, P>(&self, fetch: impl Fn() -> F, pause: impl Fn() -> P)
    where
        F: Future<Output = Result<(Taken, Duration), String>>,
        P: Future<Output = ()>,
    {
        let mut retry = FIRST_RETRY;
        self.set.begin();
        loop {
            let pause = pause();
            let wait = match fetch().await {
                Ok((taken, good_for)) => {
                    retry = FIRST_RETRY;
                    tracing::info!(
                        issuer = self.issuer,
                        keys = taken.keys,
                        skipped = taken.skipped.join(", "),
                        "fetched the key set of {}",
                        self.location
                    );
                    good_for
                }
                Err(error) => {
                    self.set.keep();
                    tracing::warn!(
                        issuer = self.issuer,
                        "{error}; the earlier keys stay, and it is tried again in {} s",
                        retry.as_secs()
                    );
                    let wait = retry;
                    retry = LAST_RETRY.min(2 * retry);
                    wait
                }
            };
            // Whichever comes first.
            if timeout(wait, self.set.wanted(pause)).await.is_err() {
                self.set.begin();
            }
        }
    }

    /// Fetches the set and takes it over; says for how long it is good.
    async fn fetch(&self, client: Option<&Client>) -> Result<(Taken, Duration), String> {
        let client = || client.ok_or("there is no client for HTTPS");
        let (json, good_for) = match &self.location {
            Location::Url(url) => get(client()?, url).await?,
            // Cheap, and a key that was taken out of it must not count for long.
            Location::File(path) => (read(path).await?, LEAST),
            Location::Discovered => {
                let client = client()?;
                let url = discover(client, &self.issuer).await?;
                get(client, &url).await?
            }
        };
        let taken = self.set.replace(&json);
        let taken = taken.map_err(|error| format!("the key set of {}: {error}", self.location))?;
        Ok((taken, good_for))
    }
}

/// Reads a set that lies in a file.
///
/// # Errors
/// It cannot be read, or is too large.
async fn read(path: &Path) -> Result<Vec<u8>, String> {
    let file = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || folders::read(&file, MAX_BYTES));
    let read = reading
        .await
        .map_err(io::Error::other)
        .and_then(|read| read);
    read.map_err(|error| format!("{}: {error}", path.display()))
}

/// The body of a good answer, and for how long that is good.
async fn get(client: &Client, url: &Url) -> Result<(Vec<u8>, Duration), String> {
    let failed = |error: reqwest::Error| format!("{url}: {}", explain(&error));
    let mut response = client.get(url.clone()).send().await.map_err(failed)?;
    if response.status().is_redirection() {
        let target = response
            .headers()
            .get(LOCATION)
            .and_then(|target| target.to_str().ok());
        return Err(format!(
            "{url} redirects to {}; configure that address, no redirect is followed",
            target.map_or_else(|| "nowhere".to_owned(), |target| Shown(target).to_string())
        ));
    }
    if response.status() != StatusCode::OK {
        return Err(format!("{url} answers {}", response.status()));
    }
    let control = response
        .headers()
        .get(CACHE_CONTROL)
        .and_then(|control| control.to_str().ok());
    let good_for = good_for(control.unwrap_or_default());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if (body.len() + chunk.len()) as u64 > MAX_BYTES {
            return Err(format!("{url} answers more than {MAX_BYTES} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body, good_for))
}

/// `max-age` within bounds (RFC 9111, section 5.2.2.1).
fn good_for(control: &str) -> Duration {
    let mut directives = control.split(',').map(str::trim);
    let age = directives.find_map(|directive| {
        let (name, seconds) = directive.split_once('=')?;
        let seconds = seconds.trim_matches('"').parse().ok()?;
        name.eq_ignore_ascii_case("max-age").then_some(seconds)
    });
    age.map_or(USUAL, |seconds| {
        Duration::from_secs(seconds).clamp(LEAST, MOST)
    })
}

/// The address of an issuer's key set: from its metadata as authorization server (RFC 8414), else
/// as OpenID provider.
async fn discover(client: &Client, issuer: &str) -> Result<Url, String> {
    let own = Url::parse(issuer).map_err(|_| {
        format!(
            "the issuer {issuer:?} is no URL, so nothing can be discovered; write its `jwks_uri`"
        )
    })?;
    let mut errors = Vec::new();
    for document in documents(&own) {
        let answer = get(client, &document).await;
        let found = answer.and_then(|(json, _)| {
            named(&json, issuer).map_err(|problem| format!("{document}: {problem}"))
        });
        match found {
            Ok(url) => return Ok(url),
            Err(error) => errors.push(error),
        }
    }
    Err(errors.join("; "))
}

fn documents(issuer: &Url) -> [Url; 2] {
    let path = issuer.path().trim_end_matches('/');
    let at = |path: String| {
        let mut url = issuer.clone();
        url.set_path(&path);
        url
    };
    [
        at(format!("/.well-known/oauth-authorization-server{path}")),
        at(format!("{path}/.well-known/openid-configuration")),
    ]
}

/// The key set's address in a metadata document, which must be of this issuer.
fn named(json: &[u8], issuer: &str) -> Result<Url, String> {
    let document: serde_json::Value =
        serde_json::from_slice(json).map_err(|_| "it is no JSON".to_owned())?;
    let own = document["issuer"].as_str().unwrap_or_default();
    if own != issuer {
        return Err(format!(
            "it is the document of the issuer {}, not of {issuer:?}; they must be equal to the last character",
            Shown(own)
        ));
    }
    let address = document["jwks_uri"]
        .as_str()
        .ok_or("it names no jwks_uri")?;
    Url::parse(address).map_err(|_| format!("its jwks_uri {} is no URL", Shown(address)))
}

#[cfg(test)]
mod tests;

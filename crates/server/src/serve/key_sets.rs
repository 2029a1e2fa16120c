//! Fetches the key sets of issuers (specification, "Token Validation"; B-236, B-450, B-1024).

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CACHE_CONTROL, LOCATION};
use reqwest::{Client, StatusCode, Url};
use talaria_config::key_set::{KeySetSource, Location, MAX_BYTES, PATIENCE};
use talaria_config::{Error, folders};
use talaria_hub::access::Taken;
use talaria_protocol::error::Shown;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::serve::client_error::ClientError;
use crate::serve::log::in_one_line;

/// How long a fetch may take, with all requests to the issuer.
const TIMEOUT: Duration = Duration::from_secs(8);
/// How long a set is valid: if its answer does not say, at least, and at most.
const USUAL: Duration = Duration::from_secs(3600);
const LEAST: Duration = Duration::from_secs(60);
const MOST: Duration = Duration::from_secs(24 * 3600);
/// The time between the beginnings of two fetches for tokens with unknown keys. Requests wait for the next one.
const PAUSE: Duration = Duration::from_secs(3);
const _: () =
    assert!(PATIENCE.as_secs() > 2 * TIMEOUT.as_secs() && PAUSE.as_secs() <= TIMEOUT.as_secs());
/// The first and the longest wait after a failure; each wait is twice the one before.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(300);

/// Keeps sets up to date as long as the program runs; nothing waits for the first fetch.
///
/// # Errors
/// The client for HTTPS cannot be set up.
pub(crate) fn follow(
    sources: Vec<KeySetSource>,
    lost: &Arc<Notify>,
    tasks: &mut JoinSet<()>,
) -> Result<(), Error> {
    if sources.is_empty() {
        return Ok(());
    }
    let client = client_for(&sources)?;
    for source in sources {
        let follower = Follower {
            source,
            lost: Arc::clone(lost),
        };
        tasks.spawn(follower.follow(client.clone()));
    }
    Ok(())
}

/// Fetches each set once, for a program that ends.
///
/// # Errors
/// A set cannot be fetched.
pub(crate) async fn fetch_all(sources: &[KeySetSource]) -> Result<(), Error> {
    let client = client_for(sources)?;
    for source in sources {
        fetch(source, client.as_ref()).await?;
    }
    Ok(())
}

/// A client, if one is needed. Files need none, and none of the certificates of the system.
fn client_for(sources: &[KeySetSource]) -> Result<Option<Client>, Error> {
    let is_file = |source: &KeySetSource| matches!(source.location, Location::File(_));
    if sources.iter().all(is_file) {
        return Ok(None);
    }
    client().map(Some)
}

fn client() -> Result<Client, Error> {
    Client::builder()
        .https_only(true)
        // Only the configuration decides which address is asked (B-1024).
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .user_agent(concat!("talaria/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Error::new("no client for HTTPS").caused_by(ClientError::from(error)))
}

/// Keeps one set up to date.
struct Follower {
    source: KeySetSource,
    /// Told when the set has lost a key.
    lost: Arc<Notify>,
}

impl Follower {
    async fn follow(self, client: Option<Client>) {
        let fetch = || async {
            let fetched = timeout(TIMEOUT, fetch(&self.source, client.as_ref())).await;
            fetched.unwrap_or_else(|_| {
                Err(Error::new(format!(
                    "{} did not answer within {} s",
                    self.source.location,
                    TIMEOUT.as_secs()
                )))
            })
        };
        self.keep_up(fetch, || sleep(PAUSE)).await;
    }

    /// Fetches the set again and again; a new `pause` begins with each fetch.
    async fn keep_up<F, P>(&self, fetch: impl Fn() -> F, pause: impl Fn() -> P)
    where
        F: Future<Output = Result<(Taken, Duration), Error>>,
        P: Future<Output = ()>,
    {
        let mut retry = FIRST_RETRY;
        self.source.set.begin();
        loop {
            let pause = pause();
            let wait = match fetch().await {
                Ok((taken, good_for)) => {
                    retry = FIRST_RETRY;
                    tracing::info!(
                        name: "key_set_fetched",
                        issuer = self.source.issuer,
                        keys = taken.keys,
                        lost = taken.lost,
                        skipped = taken.skipped.join(", "),
                        "fetched the key set of {}",
                        self.source.location
                    );
                    if taken.lost > 0 {
                        self.lost.notify_one();
                    }
                    good_for
                }
                Err(error) => {
                    self.source.set.keep();
                    tracing::warn!(
                        name: "key_set_failed",
                        issuer = self.source.issuer,
                        "{}; the earlier keys stay, and the next attempt follows in {} s",
                        in_one_line(&error),
                        retry.as_secs()
                    );
                    let wait = retry;
                    retry = LAST_RETRY.min(2 * retry);
                    wait
                }
            };
            // The set expires, or a token asks for it.
            if timeout(wait, self.source.set.wanted(pause)).await.is_err() {
                self.source.set.begin();
            }
        }
    }
}

/// Fetches the set and replaces its keys; also returns how long they are valid.
async fn fetch(source: &KeySetSource, client: Option<&Client>) -> Result<(Taken, Duration), Error> {
    let client = || client.ok_or_else(|| Error::new("there is no client for HTTPS"));
    let (json, good_for) = match &source.location {
        Location::Url(url) => get(client()?, url).await?,
        // Reading a file is cheap, and a key that was removed from it must not stay valid for long.
        Location::File(path) => (read(path).await?, LEAST),
        Location::Discovered => {
            let client = client()?;
            let url = discover(client, &source.issuer).await?;
            get(client, &url).await?
        }
    };
    let taken = source.set.replace(&json);
    let taken = taken.map_err(|error| {
        Error::new(format!("the key set of {}", source.location)).caused_by(error)
    })?;
    Ok((taken, good_for))
}

/// Reads a set from a file.
///
/// # Errors
/// It cannot be read, or is too large.
async fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let file = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || folders::read(&file, MAX_BYTES));
    let read = reading
        .await
        .map_err(io::Error::other)
        .and_then(|read| read);
    read.map_err(|error| Error::new(path.display().to_string()).caused_by(error))
}

/// The body of an answer with status 200, and how long it is valid.
async fn get(client: &Client, url: &Url) -> Result<(Vec<u8>, Duration), Error> {
    let failed =
        |error: reqwest::Error| Error::new(url.as_str()).caused_by(ClientError::from(error));
    let mut response = client.get(url.clone()).send().await.map_err(failed)?;
    if response.status().is_redirection() {
        let target = response
            .headers()
            .get(LOCATION)
            .and_then(|target| target.to_str().ok());
        return Err(Error::new(format!(
            "{url} redirects to {}",
            target.map_or_else(|| "nowhere".to_owned(), |target| Shown(target).to_string())
        ))
        .remedy("configure that address, because no redirect is followed"));
    }
    if response.status() != StatusCode::OK {
        return Err(Error::new(format!("{url} answers {}", response.status())));
    }
    let control = response
        .headers()
        .get(CACHE_CONTROL)
        .and_then(|control| control.to_str().ok());
    let good_for = good_for(control.unwrap_or_default());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if (body.len() + chunk.len()) as u64 > MAX_BYTES {
            return Err(Error::new(format!(
                "{url} answers more than {MAX_BYTES} bytes"
            )));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body, good_for))
}

/// The `max-age` of an answer, within bounds (RFC 9111, section 5.2.2.1).
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

/// Finds the address of an issuer's key set in its metadata as authorization server, else as OpenID provider (RFC
/// 8414).
async fn discover(client: &Client, issuer: &str) -> Result<Url, Error> {
    let own = Url::parse(issuer).map_err(|_| {
        Error::new(format!(
            "the issuer {issuer:?} is not a URL, so nothing can be discovered"
        ))
        .remedy("write its `jwks_uri`")
    })?;
    let mut errors = Vec::new();
    for document in documents(&own) {
        let answer = get(client, &document).await;
        let found = answer.and_then(|(json, _)| {
            named(&json, issuer).map_err(|error| Error::new(document.as_str()).caused_by(error))
        });
        match found {
            Ok(url) => return Ok(url),
            Err(error) => errors.push(in_one_line(&error)),
        }
    }
    Err(Error::new(errors.join("; ")))
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

/// Reads the key set's address in a metadata document, which must be that of the issuer.
fn named(json: &[u8], issuer: &str) -> Result<Url, Error> {
    let document: serde_json::Value =
        serde_json::from_slice(json).map_err(|_| Error::new("it is not JSON"))?;
    let own = document["issuer"].as_str().unwrap_or_default();
    if own != issuer {
        return Err(Error::new(format!(
            "it is the document of the issuer {}, not of {issuer:?}",
            Shown(own)
        ))
        .remedy("make them equal to the last character"));
    }
    let address = document["jwks_uri"]
        .as_str()
        .ok_or_else(|| Error::new("it names no jwks_uri"))?;
    Url::parse(address)
        .map_err(|_| Error::new(format!("its jwks_uri {} is not a URL", Shown(address))))
}

#[cfg(test)]
mod tests;

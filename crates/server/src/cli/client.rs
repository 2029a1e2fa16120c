//! What the verbs share that ask a hub over HTTP: its URL, the token, trust, one request, and what to do about what
//! goes wrong.

mod failure;
mod refusal;
mod target;
mod token;
mod trust;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Method};
use reqwest::{Client, ClientBuilder, Response, redirect};
use talaria_config::Error;
use url::Url;

pub(super) use self::failure::{Failure, Kind};
pub(super) use self::refusal::{Asked, Refusal};
pub(super) use self::target::hub_url;
pub(super) use self::token::{Token, TokenArgs, token_variable};
pub(super) use self::trust::{Trust, TrustArgs};

use crate::build::VERSION;

/// How long a hub may take to accept a connection and answer with a head.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks hubs.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    trust: Trust,
    patience: Duration,
}

impl Caller {
    /// One that trusts the certificates of `trust`.
    pub(super) fn new(trust: Trust) -> Self {
        Self {
            trust,
            patience: PATIENCE,
        }
    }

    /// The same, which waits for an answer only as long as this.
    pub(super) fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sends one request on a separate connection. No redirect is followed, since a token must not go elsewhere.
    ///
    /// # Errors
    /// The hub cannot be reached, or does not answer in time.
    pub(super) async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response, Failure> {
        let client = self.client(url, |builder| builder)?;
        self.send_by(&client, method, url, headers, body).await
    }

    /// Sends a request without a body in HTTP/1.1, whose `Host` may differ from that of the URL.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub(super) async fn send_http1(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
    ) -> Result<Response, Failure> {
        let client = self.client(url, ClientBuilder::http1_only)?;
        self.send_by(&client, method, url, headers, Bytes::new())
            .await
    }

    fn client(
        &self,
        url: &Url,
        choose: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<Client, Failure> {
        choose(self.trust.builder(url))
            .redirect(redirect::Policy::none())
            .connect_timeout(self.patience)
            .pool_max_idle_per_host(0)
            .user_agent(format!("talaria/{VERSION}"))
            .build()
            .map_err(|error| Failure::of(url, error))
    }

    async fn send_by(
        &self,
        client: &Client,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response, Failure> {
        let request = client
            .request(method, url.clone())
            .headers(headers)
            .body(body);
        match tokio::time::timeout(self.patience, request.send()).await {
            Ok(answer) => answer.map_err(|error| Failure::of(url, error)),
            Err(_) => Err(Failure::silent(url, self.patience)),
        }
    }
}

/// The headers that each of our requests carries.
pub(super) fn headers(accept: &'static str, token: Option<&Token>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    if let Some(token) = token {
        headers.insert(AUTHORIZATION, token.authorization.clone());
    }
    headers
}

/// Reads the file that an option names.
///
/// # Errors
/// The file is not readable UTF-8.
pub(super) fn read_text(option: &str, file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(file).map_err(|error| {
        Error::new(format!("{option} {}", file.display()))
            .caused_by(error)
            .remedy("give a readable UTF-8 file")
    })
}

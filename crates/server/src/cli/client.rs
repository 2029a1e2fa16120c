//! What `talaria publish` and `talaria subscribe` share: the hub's URL, the token, one request.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method};
use reqwest::{Certificate, Client, ClientBuilder, Response, redirect};
use talaria_config::Error;
use url::Url;

use crate::serve::client_error::ClientError;
use crate::serve::tls;

/// The variable that holds the token if no option names one.
pub(super) const TOKEN_VARIABLE: &str = "TALARIA_TOKEN";

/// How long a hub may take to accept a connection and answer with a head.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of a refusal's body is read.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;
/// What to do about a token that cannot be sent.
const COMPACT_FORM: &str = "give the compact form, header.payload.signature";

/// The token of a client; the variable `TALARIA_TOKEN` holds it if neither option is given.
#[derive(Clone, Default, clap::Args)]
pub(super) struct TokenArgs {
    /// The access token; safer in a file or in TALARIA_TOKEN, which lists of processes do not show.
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    pub token: Option<String>,
    /// A file with the access token.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

impl fmt::Debug for TokenArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenArgs")
            .field("token_file", &self.token_file)
            .finish_non_exhaustive()
    }
}

impl TokenArgs {
    /// The value of the header with the token; `variable` is the value of [`TOKEN_VARIABLE`].
    ///
    /// # Errors
    /// The file cannot be read, or the token has characters that are not allowed in a header.
    pub(super) fn authorization(
        &self,
        variable: Option<String>,
    ) -> Result<Option<HeaderValue>, Error> {
        let (source, token) = match (&self.token, &self.token_file) {
            (Some(token), _) => ("--token".to_owned(), token.clone()),
            (None, Some(file)) => {
                let source = format!("--token-file {}", file.display());
                let token = std::fs::read_to_string(file).map_err(|error| {
                    Error::new(source.as_str())
                        .caused_by(error)
                        .remedy("give a readable file")
                })?;
                (source, token)
            }
            (None, None) => match variable {
                Some(token) => (TOKEN_VARIABLE.to_owned(), token),
                None => return Ok(None),
            },
        };
        let token = token.trim();
        if token.is_empty() {
            return Err(
                Error::new(format!("{source}: the token is empty")).remedy("give one or none")
            );
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
            Error::new(format!(
                "{source}: the token has characters that are not allowed in a header"
            ))
            .remedy(COMPACT_FORM)
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// The value of [`TOKEN_VARIABLE`].
///
/// # Errors
/// It is not UTF-8.
pub(super) fn token_variable() -> Result<Option<String>, Error> {
    match std::env::var(TOKEN_VARIABLE) {
        Ok(token) => Ok(Some(token)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            Err(Error::new(format!("{TOKEN_VARIABLE} is not UTF-8")).remedy(COMPACT_FORM))
        }
    }
}

/// Reads a hub's URL; one without a path means the hub's well-known path.
///
/// # Errors
/// The URL is not one of `http` or `https`, or has parts that are never sent.
pub(super) fn hub_url(url: &str) -> Result<Url, Error> {
    const REMEDY: &str = "give the hub's URL, such as http://localhost:3000/.well-known/mercure";
    let mut parsed = Url::parse(url).map_err(|error| {
        Error::new(format!("{url:?}"))
            .caused_by(error)
            .remedy(REMEDY)
    })?;
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
        return Err(Error::new(format!("{url:?}: not an http:// or https:// URL")).remedy(REMEDY));
    }
    if parsed.path() == "/" {
        parsed.set_path(talaria_protocol::HUB_PATH);
    }
    if parsed.fragment().is_some() {
        return Err(Error::new(format!("{url:?}: a fragment is never sent"))
            .remedy("write # as %23, or leave it out"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(
            Error::new("the hub's URL holds a user name or password, which no hub reads")
                .remedy("give --token-file"),
        );
    }
    Ok(parsed)
}

/// A client for requests to hubs. It trusts what the system trusts, and the local authority of this
/// user; it follows no redirect, since a token must not go elsewhere.
///
/// # Errors
/// The system's certificates cannot be used.
pub(super) fn client(url: &Url) -> Result<Client, Error> {
    build(builder(url))
}

fn builder(url: &Url) -> ClientBuilder {
    if url.scheme() == "http" {
        // Plain HTTP works on a machine without certificates.
        return Client::builder().tls_certs_only([]);
    }
    let root = tls::directory().ok().map(|folder| folder.join("root.crt"));
    let root = root.and_then(|root| std::fs::read(root).ok());
    let root = root.and_then(|pem| Certificate::from_pem(&pem).ok());
    Client::builder().tls_certs_merge(root)
}

fn build(builder: ClientBuilder) -> Result<Client, Error> {
    builder
        .redirect(redirect::Policy::none())
        .connect_timeout(PATIENCE)
        .pool_max_idle_per_host(0)
        .user_agent(concat!("talaria/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Error::new("no HTTP client").caused_by(ClientError::from(error)))
}

/// Sends one request on a separate connection.
///
/// # Errors
/// The hub cannot be reached, or does not answer in time.
pub(super) async fn send(
    method: Method,
    url: &Url,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Error> {
    send_by(&client(url)?, method, url, headers, body).await
}

/// Sends a request without a body in HTTP/1.1, whose `Host` may differ from that of the URL.
///
/// # Errors
/// As [`send`].
pub(super) async fn send_http1(
    method: Method,
    url: &Url,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let client = build(builder(url).http1_only())?;
    send_by(&client, method, url, headers, Bytes::new()).await
}

async fn send_by(
    client: &Client,
    method: Method,
    url: &Url,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Error> {
    let request = client
        .request(method, url.clone())
        .headers(headers)
        .body(body);
    match tokio::time::timeout(PATIENCE, request.send()).await {
        Ok(answer) => {
            answer.map_err(|error| Error::new(authority(url)).caused_by(ClientError::from(error)))
        }
        Err(_) => Err(Error::new(format!(
            "{}: no answer within {} s",
            authority(url),
            PATIENCE.as_secs()
        ))),
    }
}

/// The headers that each of our requests carries.
pub(super) fn headers(accept: &'static str, authorization: Option<&HeaderValue>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    if let Some(authorization) = authorization {
        headers.insert(AUTHORIZATION, authorization.clone());
    }
    headers
}

/// Explains a refusal: its status, challenge and body.
pub(super) async fn refusal(mut response: Response) -> String {
    let mut text = format!("the hub answered {}", response.status());
    for challenge in response.headers().get_all(WWW_AUTHENTICATE) {
        let challenge = String::from_utf8_lossy(challenge.as_bytes());
        // Writing into a string cannot fail.
        _ = write!(text, "\nWWW-Authenticate: {challenge}");
    }
    let mut body = Vec::new();
    let read = async {
        while body.len() < MAX_REFUSAL_BYTES
            && let Ok(Some(chunk)) = response.chunk().await
        {
            body.extend_from_slice(&chunk);
        }
    };
    // A part of the body is better than nothing.
    _ = tokio::time::timeout(PATIENCE, read).await;
    let body = String::from_utf8_lossy(&body);
    let body = body.trim_end();
    if !body.is_empty() {
        _ = write!(text, "\n{body}");
    }
    text
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A hub's address alone is enough; a URL that cannot work is refused.
    #[test]
    fn a_hubs_url_is_completed_or_refused() {
        let url = hub_url("http://127.0.0.1:3000").unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:3000/.well-known/mercure");
        let url = hub_url("http://[::1]/hub?x=1").unwrap();
        assert_eq!(url.as_str(), "http://[::1]/hub?x=1");
        assert_eq!(authority(&url), "[::1]");
        let url = hub_url("https://hub.example").unwrap();
        assert_eq!(url.as_str(), "https://hub.example/.well-known/mercure");
        assert!(hub_url("127.0.0.1:3000").is_err());
        assert!(hub_url("hub").is_err());
        let error = hub_url("http://[::1]/hub#y").unwrap_err().to_string();
        assert!(error.contains("%23"), "{error}");
        let error = hub_url("http://ann:secret@hub.example")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("--token-file") && !error.contains("secret"),
            "{error}"
        );
    }

    /// An option takes precedence over the variable, and no error shows a token.
    #[test]
    fn the_nearest_token_counts() {
        let args = |token: &str| TokenArgs {
            token: Some(token.to_owned()),
            token_file: None,
        };
        let value = args("a.b.c\n").authorization(Some("d".to_owned()));
        assert_eq!(value.unwrap().unwrap(), "Bearer a.b.c");
        let value = TokenArgs::default().authorization(Some("d".to_owned()));
        assert_eq!(value.unwrap().unwrap(), "Bearer d");
        assert_eq!(TokenArgs::default().authorization(None).unwrap(), None);
        let error = args("se\ncret")
            .authorization(None)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("--token") && !error.contains("cret"),
            "{error}"
        );
        assert!(args(" ").authorization(None).is_err());
        let missing = TokenArgs {
            token: None,
            token_file: Some("/no/such/file".into()),
        };
        let error = missing.authorization(None).unwrap_err().to_string();
        assert!(error.starts_with("--token-file /no/such/file"), "{error}");
    }
}

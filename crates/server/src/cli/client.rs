//! What `talaria publish` and `talaria subscribe` share: the hub's URL, the token, one request.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method};
use reqwest::{Certificate, Client, ClientBuilder, Response, redirect};
use url::Url;

use crate::tls;

/// Where the token comes from when no option names one.
pub const TOKEN_VARIABLE: &str = "TALARIA_TOKEN";

/// How long a hub may take to accept a connection and answer with a head.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of a refusal's body is read.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;

/// How a client presents itself; the variable `TALARIA_TOKEN` counts when neither is given.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TokenArgs {
    /// The access token; better in a file or in TALARIA_TOKEN, where no list of processes shows it.
    #[arg(long, value_name = "TOKEN", conflicts_with = "token_file")]
    pub token: Option<String>,
    /// A file with the access token.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

impl TokenArgs {
    /// The token to present, as a header's value; `variable` is the value of [`TOKEN_VARIABLE`].
    ///
    /// # Errors
    /// When the file cannot be read, or the token has characters that no header may carry.
    pub fn authorization(&self, variable: Option<String>) -> Result<Option<HeaderValue>, String> {
        let (source, token) = match (&self.token, &self.token_file) {
            (Some(token), _) => ("--token".to_owned(), token.clone()),
            (None, Some(file)) => {
                let source = format!("--token-file {}", file.display());
                let token = std::fs::read_to_string(file)
                    .map_err(|error| format!("{source}: {error}; give a readable file"))?;
                (source, token)
            }
            (None, None) => match variable {
                Some(token) => (TOKEN_VARIABLE.to_owned(), token),
                None => return Ok(None),
            },
        };
        let token = token.trim();
        if token.is_empty() {
            return Err(format!("{source}: the token is empty; give one or none"));
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
            format!("{source}: the token has characters that no header carries; give the compact form, header.payload.signature")
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// The value of [`TOKEN_VARIABLE`].
///
/// # Errors
/// When it is not text.
pub fn token_variable() -> Result<Option<String>, String> {
    match std::env::var(TOKEN_VARIABLE) {
        Ok(token) => Ok(Some(token)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(format!(
            "{TOKEN_VARIABLE} is not UTF-8; give the compact form, header.payload.signature"
        )),
    }
}

/// Reads a hub's URL; one without a path means the hub's well-known path.
///
/// # Errors
/// Refuses anything but `http` and `https`, and what would not be sent.
pub fn hub_url(url: &str) -> Result<Url, String> {
    let mut parsed = Url::parse(url).map_err(|error| {
        format!("{url:?}: {error}; give the hub's URL, such as http://127.0.0.1:3000/.well-known/mercure")
    })?;
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
        return Err(format!(
            "{url:?}: not an http:// or https:// URL; give the hub's"
        ));
    }
    if parsed.path() == "/" {
        parsed.set_path(talaria_protocol::HUB_PATH);
    }
    if parsed.fragment().is_some() {
        return Err(format!(
            "{url:?}: a fragment is never sent; write # as %23, or leave it out"
        ));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(
            "the hub's URL holds a user name or password, which no hub reads; give --token-file"
                .to_owned(),
        );
    }
    Ok(parsed)
}

/// A client for requests to hubs. It trusts what the system trusts, and the local authority of this
/// user; it follows no redirect, since a token must not go elsewhere.
///
/// # Errors
/// When the system's certificates cannot be used.
pub fn client(url: &Url) -> Result<Client, String> {
    build(builder(url))
}

fn builder(url: &Url) -> ClientBuilder {
    if url.scheme() == "http" {
        // Where there are no certificates, plain HTTP needs none.
        return Client::builder().tls_certs_only([]);
    }
    let root = tls::directory().ok().map(|folder| folder.join("root.crt"));
    let root = root.and_then(|root| std::fs::read(root).ok());
    let root = root.and_then(|pem| Certificate::from_pem(&pem).ok());
    Client::builder().tls_certs_merge(root)
}

fn build(builder: ClientBuilder) -> Result<Client, String> {
    builder
        .redirect(redirect::Policy::none())
        .connect_timeout(PATIENCE)
        .pool_max_idle_per_host(0)
        .user_agent(concat!("talaria/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| format!("no HTTP client: {}", explain(&error)))
}

/// Sends one request on a connection of its own.
///
/// # Errors
/// When the hub cannot be reached or answers with no HTTP head in time.
pub async fn send(
    method: Method,
    url: &Url,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, String> {
    send_by(&client(url)?, method, url, headers, body).await
}

/// The same in HTTP/1.1, whose `Host` may be another than that of the URL.
///
/// # Errors
/// As [`send`].
pub async fn send_http1(method: Method, url: &Url, headers: HeaderMap) -> Result<Response, String> {
    let client = build(builder(url).http1_only())?;
    send_by(&client, method, url, headers, Bytes::new()).await
}

async fn send_by(
    client: &Client,
    method: Method,
    url: &Url,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, String> {
    let request = client
        .request(method, url.clone())
        .headers(headers)
        .body(body);
    match tokio::time::timeout(PATIENCE, request.send()).await {
        Ok(answer) => answer.map_err(|error| format!("{}: {}", authority(url), explain(&error))),
        Err(_) => Err(format!(
            "{}: no answer within {} s",
            authority(url),
            PATIENCE.as_secs()
        )),
    }
}

/// Headers that every request of ours carries.
pub fn headers(accept: &'static str, authorization: Option<&HeaderValue>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    if let Some(authorization) = authorization {
        headers.insert(AUTHORIZATION, authorization.clone());
    }
    headers
}

/// Explains a refusal: its status, challenge and body.
pub async fn refusal(mut response: Response) -> String {
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
    // What has come by then is better than nothing.
    _ = tokio::time::timeout(PATIENCE, read).await;
    let body = String::from_utf8_lossy(&body);
    let body = body.trim_end();
    if !body.is_empty() {
        _ = write!(text, "\n{body}");
    }
    text
}

/// The causes of an error, which its own text leaves out.
pub fn explain(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let causes: Vec<_> = causes.map(ToString::to_string).collect();
    if causes.is_empty() {
        error.to_string()
    } else {
        causes.join(": ")
    }
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Reads a file given by a person.
///
/// # Errors
/// Names the option and the file.
pub fn read_text(option: &str, file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|error| {
        format!(
            "{option} {}: {error}; give a readable UTF-8 file",
            file.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hub's address alone is enough; what cannot work yet says so.
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
        assert!(hub_url("http://[::1]/hub#y").unwrap_err().contains("%23"));
        let error = hub_url("http://ann:secret@hub.example").unwrap_err();
        assert!(
            error.contains("--token-file") && !error.contains("secret"),
            "{error}"
        );
    }

    /// An option counts before the variable, and no error shows a token.
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
        assert_eq!(TokenArgs::default().authorization(None), Ok(None));
        let error = args("se\ncret").authorization(None).unwrap_err();
        assert!(
            error.starts_with("--token") && !error.contains("cret"),
            "{error}"
        );
        assert!(args(" ").authorization(None).is_err());
        let missing = TokenArgs {
            token: None,
            token_file: Some("/no/such/file".into()),
        };
        let error = missing.authorization(None).unwrap_err();
        assert!(error.starts_with("--token-file /no/such/file"), "{error}");
    }
}

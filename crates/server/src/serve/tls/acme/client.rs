//! The requests to an authority: over HTTPS, bounded in size and time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::header::{RETRY_AFTER, USER_AGENT};
use http::{HeaderValue, Request, Response};
use instant_acme::{BodyWrapper, BytesResponse, Error as AcmeError, HttpClient};
use reqwest::Certificate;
use talaria_config::settings::AuthoritySettings;
use talaria_config::{Error, folders};

use crate::serve::client_error::ClientError;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// The most bytes of a request and of an answer: of a certificate with its chain.
const MOST: usize = 256 * 1024;
const AGENT: &str = concat!("talaria/", env!("CARGO_PKG_VERSION"), " instant-acme");

/// Asks an authority.
#[derive(Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    /// The wait that it asked for with its last refusal, in seconds.
    asked: Arc<AtomicU64>,
}

impl Client {
    /// A client that trusts what the settings say.
    ///
    /// # Errors
    /// The roots cannot be read.
    pub(super) fn new(settings: &AuthoritySettings) -> Result<Self, Error> {
        let mut builder = reqwest::Client::builder()
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT)
            .user_agent(AGENT);
        if let Some(path) = &settings.roots {
            let unusable = |error: Box<dyn std::error::Error + Send + Sync>| {
                Error::new(format!("acme_ca_root: {} cannot be used", path.display()))
                    .caused_by(error)
                    .remedy("give the root certificates of the authority's own server in PEM")
            };
            let pem = folders::read(path, folders::KEY_BYTES).map_err(|e| unusable(e.into()))?;
            let roots = Certificate::from_pem_bundle(&pem).map_err(|e| unusable(e.into()))?;
            if roots.is_empty() {
                return Err(unusable("there is no certificate in it".into()));
            }
            builder = builder.tls_certs_only(roots);
        }
        let http = builder.build().map_err(|error| {
            Error::new("no client for HTTPS").caused_by(ClientError::from(error))
        })?;
        Ok(Self {
            http,
            asked: Arc::default(),
        })
    }

    /// How long to wait, if the authority said so with its last refusal.
    pub(super) fn asked_to_wait(&self) -> Option<Duration> {
        let seconds = self.asked.load(Ordering::Relaxed);
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    /// Posts a form, and gives the answer whatever its status.
    pub(super) async fn post_form(&self, url: &str, form: String) -> Result<Bytes, AcmeError> {
        let request = Request::post(url)
            .header(
                http::header::CONTENT_TYPE,
                "application/x-www-form-urlencoded",
            )
            .body(Body::from(form))?;
        Ok(self.send(request).await?.into_body())
    }

    async fn send(&self, request: Request<Body>) -> Result<Response<Bytes>, AcmeError> {
        let (mut parts, body) = request.into_parts();
        parts
            .headers
            .insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let body = to_bytes(body, MOST).await.map_err(other)?;
        let request = self
            .http
            .request(parts.method, parts.uri.to_string())
            .headers(parts.headers)
            .body(body);
        let failed = |error| other(ClientError::from(error));
        let mut answer = request.send().await.map_err(failed)?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        let mut content = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if content.len() + chunk.len() > MOST {
                return Err(other(format!("it answers more than {MOST} bytes")));
            }
            content.extend_from_slice(&chunk);
        }
        self.remember(&response);
        *response.body_mut() = content.into();
        Ok(response)
    }

    fn remember(&self, response: &Response<Bytes>) {
        let status = response.status();
        if status.is_success() {
            return;
        }
        let asked = response.headers().get(RETRY_AFTER);
        let seconds = asked.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        self.asked.store(seconds.unwrap_or(0), Ordering::Relaxed);
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, AcmeError>> + Send>> {
        let client = self.clone();
        Box::pin(async move {
            let (parts, body) = client.send(request.map(Body::new)).await?.into_parts();
            Ok(BytesResponse {
                parts,
                body: Box::new(body),
            })
        })
    }
}

fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> AcmeError {
    AcmeError::Other(error.into())
}

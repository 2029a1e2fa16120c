//! Sends exports to the collector, over HTTP or gRPC.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use talaria_config::settings::{ExporterSettings, TraceProtocol};
use talaria_config::{Error, folders};
use tokio::time::timeout;

use super::grpc;
use super::outcome::{Outcome, taken};

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(60);
/// The most bytes of an answer.
const MOST: usize = 64 * 1024;
const AGENT: HeaderValue = HeaderValue::from_static(concat!(
    "OTel-OTLP-Exporter-Talaria/",
    env!("CARGO_PKG_VERSION")
));

/// A collector.
pub(super) struct Client {
    http: Legacy<HttpsConnector<HttpConnector>, Body>,
    uri: Uri,
    headers: HeaderMap,
    protocol: TraceProtocol,
    gzip: bool,
    timeout: Duration,
}

impl Client {
    /// A client of the collector that the settings name.
    ///
    /// # Errors
    /// A certificate or a key cannot be read.
    pub(super) fn new(settings: &ExporterSettings) -> Result<Self, Error> {
        let fault = |error: http::Error| {
            Error::new("OTEL_EXPORTER_OTLP_ENDPOINT cannot be used").caused_by(error)
        };
        let is_grpc = settings.protocol == TraceProtocol::Grpc;
        let uri: Result<Uri, http::Error> = match is_grpc {
            true => grpc::uri(&settings.endpoint),
            false => settings.endpoint.parse().map_err(http::Error::from),
        };
        let uri = uri.map_err(fault)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &settings.headers {
            let name = HeaderName::try_from(name).map_err(|error| fault(error.into()))?;
            let value = HeaderValue::try_from(value.expose());
            let mut value = value.map_err(|error| fault(error.into()))?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        headers.entry(USER_AGENT).or_insert(AGENT);
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let tls = tls(settings, uri.scheme_str() == Some("https"))?;
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http();
        let connector = match is_grpc {
            true => https.enable_http2().wrap_connector(tcp),
            false => https.enable_http1().wrap_connector(tcp),
        };
        let http = Legacy::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1)
            .http2_only(is_grpc)
            .build(connector);
        Ok(Self {
            http,
            uri,
            headers,
            protocol: settings.protocol,
            gzip: settings.gzip,
            timeout: settings.timeout,
        })
    }

    /// Sends a message once.
    pub(super) async fn send(&self, message: &[u8]) -> Outcome {
        let attempt = async {
            match self.protocol {
                TraceProtocol::HttpProtobuf => self.post(message).await,
                TraceProtocol::Grpc => self.call(message).await,
            }
        };
        let sent = timeout(self.timeout, attempt).await;
        let late = || format!("no answer within {} s", self.timeout.as_secs_f64());
        match sent {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(why)) => Outcome::Later { why, after: None },
            Err(_) => Outcome::Later {
                why: late(),
                after: None,
            },
        }
    }

    /// By OTLP over HTTP.
    async fn post(&self, message: &[u8]) -> Result<Outcome, String> {
        let mut request =
            Request::post(self.uri.clone()).header(CONTENT_TYPE, "application/x-protobuf");
        if self.gzip {
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        let answer = self.exchange(request, self.packed(message)?).await?;
        let status = answer.status();
        if is_passing(status) {
            let after = answer.headers().get(RETRY_AFTER);
            let after = after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
            return Ok(Outcome::Later {
                why: format!("it answers {status}"),
                after: after.map(Duration::from_secs),
            });
        }
        if !status.is_success() {
            return Ok(Outcome::Refused(format!("it answers {status}")));
        }
        let body = to_bytes(answer.into_body(), MOST).await.unwrap_or_default();
        Ok(taken(&body))
    }

    /// By OTLP over gRPC.
    async fn call(&self, message: &[u8]) -> Result<Outcome, String> {
        let request = grpc::request(&self.uri, self.gzip);
        let framed = grpc::framed(&self.packed(message)?, self.gzip);
        let answer = self.exchange(request, framed).await?;
        grpc::outcome(answer, MOST).await
    }

    async fn exchange(
        &self,
        request: http::request::Builder,
        body: Vec<u8>,
    ) -> Result<Response<Body>, String> {
        let mut request = request
            .body(Body::from(body))
            .map_err(|error| error.to_string())?;
        let headers = self.headers.iter();
        request
            .headers_mut()
            .extend(headers.map(|(name, value)| (name.clone(), value.clone())));
        let answer = self
            .http
            .request(request)
            .await
            .map_err(|error| causes(&error))?;
        Ok(answer.map(Body::new))
    }

    fn packed(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        if !self.gzip {
            return Ok(message.to_vec());
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let written = encoder.write_all(message).and_then(|()| encoder.finish());
        written.map_err(|error| error.to_string())
    }
}

/// Whether another attempt may succeed (OTLP, "Retryable Response Codes").
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

/// An error with its causes; its own text says little.
fn causes(error: &dyn std::error::Error) -> String {
    let all = std::iter::successors(Some(error), |cause| cause.source());
    let all: Vec<String> = all.map(ToString::to_string).collect();
    all.join(": ")
}

/// What to encrypt with. Only if it is needed, reads which authorities the system trusts.
fn tls(settings: &ExporterSettings, is_needed: bool) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let fault =
        |error: rustls::Error| Error::new("no client for the collector's HTTPS").caused_by(error);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(fault)?;
    let builder = match &settings.roots {
        Some(path) => builder.with_root_certificates(roots(path)?),
        None if is_needed => builder.with_platform_verifier().map_err(|error| {
            fault(error).remedy("install the system's certificates (`ca-certificates`), or set OTEL_EXPORTER_OTLP_CERTIFICATE")
        })?,
        None => builder.with_root_certificates(RootCertStore::empty()),
    };
    let Some((certificate, key)) = &settings.identity else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", certificate)?;
    let name = "OTEL_EXPORTER_OTLP_CLIENT_KEY";
    let pem = read(name, key)?;
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|error| unusable(name, key).caused_by(error))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| {
        unusable("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", certificate).caused_by(error)
    })
}

fn roots(path: &Path) -> Result<RootCertStore, Error> {
    let name = "OTEL_EXPORTER_OTLP_CERTIFICATE";
    let mut roots = RootCertStore::empty();
    for certificate in certificates(name, path)? {
        let added = roots.add(certificate);
        added.map_err(|error| unusable(name, path).caused_by(error))?;
    }
    Ok(roots)
}

fn certificates(name: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem = read(name, path)?;
    let all = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|error| unusable(name, path).caused_by(error))?;
    match all.is_empty() {
        true => Err(unusable(name, path).remedy("give certificates in PEM")),
        false => Ok(all),
    }
}

fn read(name: &str, path: &Path) -> Result<Vec<u8>, Error> {
    folders::read(path, folders::KEY_BYTES).map_err(|error| unusable(name, path).caused_by(error))
}

fn unusable(name: &str, path: &Path) -> Error {
    Error::new(format!("{name}: {} cannot be used", path.display()))
}

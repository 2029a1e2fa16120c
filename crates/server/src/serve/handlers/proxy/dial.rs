//! Connects to upstreams, over TCP or TLS.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use talaria_config::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service;

use super::lent::Lent;

/// How long a connection may take, with the look-up of its name and the TLS handshake.
const DIAL: Duration = Duration::from_secs(3);
/// How long an idle connection is kept, and how many of them for each upstream.
const IDLE: Duration = Duration::from_secs(60);
const MAX_IDLE: usize = 32;
/// How much of a response a connection reads ahead, its head included.
const READ_BYTES: usize = 64 * 1024;

/// A client that keeps connections, for HTTP/1.1 only.
pub(super) fn client(tls: ClientConfig) -> Client<Dialer, Lent> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // So that a tunnel notices that its upstream is gone.
    tcp.set_keepalive(Some(IDLE));
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(MAX_IDLE)
        .http1_max_buf_size(READ_BYTES)
        .set_host(false)
        .build(Dialer(connector))
}

/// What to encrypt with. Only if it is needed, reads which authorities the system trusts.
///
/// # Errors
/// The system's certificates cannot be read.
pub(super) fn tls(is_needed: bool) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let fault = |error| {
        let error = Error::new("the proxy cannot connect to HTTPS upstreams").caused_by(error);
        error.remedy("install the system's certificates (`ca-certificates`)")
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(fault)?;
    let builder = if is_needed {
        builder.with_platform_verifier().map_err(fault)?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}

/// A connection was not made in time.
#[derive(Debug, thiserror::Error)]
#[error("no connection within {} s", DIAL.as_secs())]
pub(super) struct Late;

/// Connects within [`DIAL`].
#[derive(Clone)]
pub(super) struct Dialer(HttpsConnector<HttpConnector>);

type Failed = Box<dyn StdError + Send + Sync>;
type Dialed = Result<MaybeHttpsStream<TokioIo<TcpStream>>, Failed>;

impl Service<Uri> for Dialer {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Dialed> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = timeout(DIAL, self.0.call(uri));
        Box::pin(async { connecting.await.unwrap_or_else(|_| Err(Late.into())) })
    }
}

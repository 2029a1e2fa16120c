//! How connections are encrypted.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use talaria_transport::shared::backend::BackendError;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::fault::Fault;
use crate::options::RedisTls;

/// Encrypts connections.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl Tls {
    /// # Errors
    /// [`BackendError::Fatal`] if a certificate or a key cannot be used.
    pub(crate) fn new(options: &RedisTls) -> Result<Self, BackendError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| fatal("TLS cannot be used", &error, "report this"))?;
        let builder = match &options.ca {
            Some(pem) => builder.with_root_certificates(roots(pem)?),
            None => builder.with_platform_verifier().map_err(|error| {
                fatal(
                    "the system's certificates cannot be read",
                    &error,
                    "install the system's certificates (`ca-certificates`), or set a CA",
                )
            })?,
        };
        let config = match &options.certificate {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let unusable = |error: &dyn std::fmt::Display| {
                    let remedy = "set the client's certificate and its key as PEM";
                    fatal("the client's certificate cannot be used", error, remedy)
                };
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| unusable(&error))?;
                let chain = certificates(chain).map_err(|error| unusable(&error))?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| unusable(&error))?
            }
        };
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Encrypts a connection to a host.
    ///
    /// # Errors
    /// [`Fault::Tls`] if the server cannot be trusted.
    pub(crate) async fn encrypt(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Fault> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Fault::Tls(format!("{host} is not a name that a certificate may have")))?;
        let encrypted = self.0.connect(name, stream).await;
        encrypted.map_err(|error| Fault::of_io(&error))
    }
}

fn roots(pem: &[u8]) -> Result<RootCertStore, BackendError> {
    let remedy = "set the certificates of the server's authority as PEM";
    let unusable = |error: &dyn std::fmt::Display| fatal("the CA cannot be used", error, remedy);
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem).map_err(|error| unusable(&error))? {
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() {
        return Err(unusable(&"it has no certificate"));
    }
    Ok(roots)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, rustls::pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem).collect()
}

fn fatal(what: &str, error: &dyn std::fmt::Display, remedy: &str) -> BackendError {
    BackendError::Fatal {
        problem: format!("{what}: {error}"),
        remedy: remedy.to_owned(),
    }
}

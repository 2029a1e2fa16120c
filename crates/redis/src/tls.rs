//! How connections are encrypted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use talaria_transport::shared::backend::BackendError;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::fault::Fault;
use crate::options::{ReadTls, RedisTls};

/// Encrypts connections, with the certificates as they are when a connection is made.
pub(crate) struct Tls {
    /// Reads the certificates again, if they may be renewed.
    again: Option<ReadTls>,
    held: Mutex<Held>,
}

struct Held {
    /// What `connector` was made of.
    options: RedisTls,
    connector: TlsConnector,
    /// Whether the log says that the certificates cannot be read again.
    is_told: bool,
}

impl Tls {
    /// # Errors
    /// [`BackendError::Fatal`] if a certificate or a key cannot be used.
    pub(crate) fn new(options: &RedisTls, again: Option<ReadTls>) -> Result<Self, BackendError> {
        let held = Held {
            connector: connector(options)?,
            options: options.clone(),
            is_told: false,
        };
        Ok(Self {
            again,
            held: Mutex::new(held),
        })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the certificates again, and takes over what has changed. If they cannot be used, those from before stay,
    /// and the log says so once.
    async fn renew(&self) {
        let Some(again) = self.again.clone() else {
            return;
        };
        let read = tokio::task::spawn_blocking(move || again()).await;
        let read = read.unwrap_or_else(|error| Err(error.to_string()));
        let mut held = self.held();
        let renewed = match read {
            Ok(options) if options == held.options => Ok(None),
            Ok(options) => connector(&options)
                .map(|connector| Some((options, connector)))
                .map_err(|error| error.to_string()),
            Err(reason) => Err(reason),
        };
        match renewed {
            Ok(renewed) => {
                held.is_told = false;
                if let Some(renewed) = renewed {
                    (held.options, held.connector) = renewed;
                }
            }
            Err(reason) => {
                let is_told = std::mem::replace(&mut held.is_told, true);
                drop(held);
                if !is_told {
                    tracing::warn!(
                        name: "log_certificates_unusable",
                        reason,
                        "the certificates for the server of the log cannot be read again; those from before stay in use"
                    );
                }
            }
        }
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
        self.renew().await;
        let connector = self.held().connector.clone();
        let encrypted = connector.connect(name, stream).await;
        encrypted.map_err(|error| Fault::of_io(&error))
    }
}

/// # Errors
/// [`BackendError::Fatal`] if a certificate or a key cannot be used.
fn connector(options: &RedisTls) -> Result<TlsConnector, BackendError> {
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
    Ok(TlsConnector::from(Arc::new(config)))
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

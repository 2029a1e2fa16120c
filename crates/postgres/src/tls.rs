//! How connections are encrypted.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use talaria_transport::shared::backend::BackendError;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::TlsConnect;
use tokio_rustls::TlsConnector;

use crate::fault::{Fault, fatal};
use crate::options::{Encryption, Host, Mode, ReadEncryption, Server};
use crate::stream::Stream;
use crate::verify;

/// Encrypts connections, with the certificates as they are when a connection is made.
pub(crate) struct Tls {
    /// Reads the certificates again, if they may be renewed.
    again: Option<ReadEncryption>,
    held: Mutex<Held>,
}

struct Held {
    /// What `connector` was made of.
    options: Encryption,
    connector: Option<TlsConnector>,
    /// Whether the log says that the certificates cannot be read again.
    is_told: bool,
}

impl Tls {
    /// # Errors
    /// [`BackendError::Fatal`] if a certificate or a key cannot be used.
    pub(crate) fn new(
        options: &Encryption,
        again: Option<ReadEncryption>,
    ) -> Result<Self, BackendError> {
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

    /// How to encrypt a connection to a server, and whether that is demanded of it.
    ///
    /// # Errors
    /// [`Fault::Tls`] if the server's name cannot be in a certificate.
    pub(crate) async fn prepare(&self, server: &Server) -> Result<(SslMode, Encrypt), Fault> {
        self.renew().await;
        let held = self.held();
        let name = match &server.host {
            Host::Name(name) => name.clone(),
            // The system protects such a socket.
            Host::Folder(_) => return Ok((SslMode::Disable, Encrypt(None))),
        };
        let mode = match held.options.mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        };
        let name = ServerName::try_from(name.clone())
            .map_err(|_| Fault::Tls(format!("{name} is not a name that a certificate may have")));
        let name = match (mode, name) {
            (SslMode::Disable, _) => return Ok((mode, Encrypt(None))),
            (_, name) => name?,
        };
        let connector = held.connector.clone();
        Ok((mode, Encrypt(connector.map(|connector| (connector, name)))))
    }
}

/// Encrypts one connection.
pub(crate) struct Encrypt(Option<(TlsConnector, ServerName<'static>)>);

impl TlsConnect<Stream> for Encrypt {
    type Stream = Stream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream>> + Send>>;

    fn connect(self, stream: Stream) -> Self::Future {
        Box::pin(async move {
            let Some((connector, name)) = self.0 else {
                return Err(io::Error::other("connections are not encrypted"));
            };
            connector.connect(name, stream).await.map(Stream::new)
        })
    }
}

/// # Errors
/// [`BackendError::Fatal`] if a certificate or a key cannot be used.
fn connector(options: &Encryption) -> Result<Option<TlsConnector>, BackendError> {
    if options.mode == Mode::Disable {
        return Ok(None);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = options.ca.as_deref().map(roots).transpose()?;
    let verifier = verify::verifier(options.mode, roots, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fatal(format!("TLS cannot be used: {error}"), "report this"))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match &options.certificate {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let unusable = |error: &dyn std::fmt::Display| {
                fatal(
                    format!("the client's certificate cannot be used: {error}"),
                    "set the client's certificate and its key as PEM",
                )
            };
            let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| unusable(&error))?;
            let chain = certificates(chain).map_err(|error| unusable(&error))?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| unusable(&error))?
        }
    };
    Ok(Some(TlsConnector::from(Arc::new(config))))
}

fn roots(pem: &[u8]) -> Result<RootCertStore, BackendError> {
    let unusable = |error: &dyn std::fmt::Display| {
        fatal(
            format!("the CA cannot be used: {error}"),
            "set the certificates of the server's authority as PEM",
        )
    };
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

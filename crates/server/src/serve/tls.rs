//! HTTPS: which certificate a listener shows, and how it stays valid (B-060 to B-065).

mod authority;
mod certificate;
mod local;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use talaria_config::Error;
use talaria_config::settings::{CertificateSettings, ListenAddress};
use tokio_rustls::TlsAcceptor;

pub(crate) use authority::directory;

use self::certificate::Certificate;
use self::local::Local;
use crate::serve::clock;
use crate::serve::log::in_one_line;
use crate::serve::trust_stores;

/// The first wait after a renewal that failed.
const AGAIN: Duration = Duration::from_secs(60);

/// What encrypts the connections of the HTTPS listeners.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
    local: Option<Local>,
}

impl Tls {
    /// Reads or makes the certificate for the HTTPS addresses; `None` if there are none.
    ///
    /// # Errors
    /// A file cannot be read or written, or no certificate can be made.
    pub(crate) fn new(
        addresses: &[ListenAddress],
        settings: &CertificateSettings,
    ) -> Result<Option<Self>, Error> {
        let encrypted: Vec<_> = addresses.iter().filter(|address| address.tls).collect();
        if encrypted.is_empty() {
            return Ok(None);
        }
        let names: Vec<String> = encrypted
            .iter()
            .filter_map(|address| address.host.clone())
            .collect();
        let (local, key) = match settings {
            CertificateSettings::Local => {
                let local = Local::open(directory()?, &names)?;
                let key = local.certify(clock::now())?;
                (Some(local), key)
            }
            CertificateSettings::Files { certificate, key } => {
                (None, certificate::read(certificate, key)?)
            }
        };
        let certificate = Arc::new(Certificate::new(key));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::new("TLS cannot be set up").caused_by(error))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificate) as _);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Some(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate,
            local,
        }))
    }

    /// What accepts the handshakes.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// The file of the root that clients must trust, if it is our own.
    pub(crate) fn root(&self) -> Option<PathBuf> {
        self.local.as_ref().map(Local::root)
    }

    /// Makes this machine trust our root too, if it is a container (B-065).
    pub(crate) async fn trust(&self) {
        if let Some(root) = self.root() {
            trust_stores::install_at_start(&root).await;
        }
    }

    /// Renews the certificate of the local authority before it expires, as long as the program runs.
    pub(crate) async fn renew(&self) {
        let Some(local) = &self.local else {
            return;
        };
        loop {
            tokio::time::sleep(local::RENEWAL).await;
            loop {
                match local.certify(clock::now()) {
                    Ok(key) => break self.certificate.replace(key),
                    Err(error) => {
                        tracing::error!(
                            "the certificate could not be renewed, the old one stays: {}",
                            in_one_line(&error)
                        );
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
            tracing::info!("renewed the certificate of the local authority");
        }
    }
}

//! HTTPS: which certificate a listener shows, and how it stays valid (B-060 to B-065).

mod authority;
mod certificate;
mod local;
mod system;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

pub use authority::directory;
pub use system::Store;

use self::certificate::Certificate;
use self::local::Local;
use crate::clock;
use crate::config::settings::{CertificateSettings, ListenAddress};

/// The first wait after a renewal that failed.
const AGAIN: Duration = Duration::from_secs(60);

/// What encrypts the connections of the HTTPS listeners.
pub struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
    local: Option<Local>,
}

impl Tls {
    /// Reads or makes the certificate for the HTTPS addresses; `None` if there are none.
    ///
    /// # Errors
    /// A sentence that names the file and the remedy.
    pub fn new(
        addresses: &[ListenAddress],
        settings: &CertificateSettings,
    ) -> Result<Option<Self>, String> {
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
            .map_err(|error| format!("TLS cannot be set up: {error}"))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificate) as _);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Some(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate,
            local,
        }))
    }

    /// What takes the handshakes.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// Where the root lies that clients must trust, if it is our own.
    pub fn root(&self) -> Option<PathBuf> {
        self.local.as_ref().map(Local::root)
    }

    /// Makes this machine trust our root as well, where the process may do that (B-065): health
    /// checks within a container ask by HTTPS. What cannot be done is only said.
    pub fn trust(&self) {
        let Some(root) = self.root() else {
            return;
        };
        let trusted = std::fs::read_to_string(&root)
            .map_err(|error| error.to_string())
            .and_then(|pem| {
                let store = Store::find()?;
                if store.holds(&pem) {
                    return Ok(());
                }
                store.install(&pem, &root)
            });
        match trusted {
            Ok(()) => tracing::info!(
                root = %root.display(),
                "this machine trusts the root of the local authority; `skip_install_trust` in the global options leaves its store alone"
            ),
            Err(error) => tracing::info!(
                root = %root.display(),
                "certificates are of a local authority, which this machine does not trust: {error}; `talaria trust --print` shows the root"
            ),
        }
    }

    /// Renews the certificate of the local authority before it expires, as long as the program runs.
    pub async fn renew(&self) {
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
                            "the certificate could not be renewed, the old one stays: {error}"
                        );
                        tokio::time::sleep(AGAIN).await;
                    }
                }
            }
            tracing::info!("renewed the certificate of the local authority");
        }
    }
}

//! The certificate in use.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// One certificate for all names of the site. A name that is not among them fails the handshake
/// (B-063); a client that sends none, as for an IP address, gets it too.
pub struct Certificate {
    names: Vec<String>,
    any: bool,
    key: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// `any`: whether every name is served.
    pub fn new(names: Vec<String>, any: bool, key: CertifiedKey) -> Self {
        Self {
            names,
            any,
            key: RwLock::new(Arc::new(key)),
        }
    }

    /// Shows another one from now on.
    pub fn replace(&self, key: CertifiedKey) {
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let served = match hello.server_name() {
            None => true,
            Some(name) => self.any || self.names.iter().any(|known| known == name),
        };
        served.then(|| Arc::clone(&self.key.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Puts a chain and its key together.
pub fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, rustls::Error> {
    CertifiedKey::from_der(chain, key, &rustls::crypto::aws_lc_rs::default_provider())
}

/// Reads a chain and its key from PEM files.
pub fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, String> {
    let unreadable = |path: &Path, what: &str, error: &dyn fmt::Display| {
        format!(
            "tls: {} cannot be read as {what} in PEM: {error}; check the path, its permissions and the order `tls <certificate> <key>`",
            path.display()
        )
    };
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(certificate, "a certificate", &error))?;
    if chain.is_empty() {
        return Err(unreadable(
            certificate,
            "a certificate",
            &"there is none in it",
        ));
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| unreadable(key, "a private key", &error))?;
    certified(chain, private).map_err(|error| {
        format!(
            "tls: {} and {} do not belong together: {error}",
            certificate.display(),
            key.display()
        )
    })
}

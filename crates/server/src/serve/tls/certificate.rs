//! The certificate in use.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use talaria_config::{Error, folders};

/// The site's certificate, which every handshake gets, whatever name it asks for.
///
/// Orchestrators probe `/healthz` by a pod's address or name and do not verify the certificate. Every other
/// client compares the names itself, and a request for a host that is not served gets 421 (B-063).
pub(super) struct Certificate(RwLock<Arc<CertifiedKey>>);

impl Certificate {
    /// Shows `key`.
    pub(super) fn new(key: CertifiedKey) -> Self {
        Self(RwLock::new(Arc::new(key)))
    }

    /// Shows another certificate from now on.
    pub(super) fn replace(&self, key: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let key = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&key))
    }
}

/// Puts a chain and its key together.
pub(super) fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, rustls::Error> {
    CertifiedKey::from_der(chain, key, &rustls::crypto::aws_lc_rs::default_provider())
}

/// Reads a chain and its key from PEM files.
///
/// # Errors
/// A file is not readable PEM, or the two do not belong together.
pub(super) fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, Error> {
    const CERTIFICATE: &str = "a certificate";
    const KEY: &str = "a private key";
    let content = folders::read(certificate, folders::KEY_BYTES)
        .map_err(|error| unreadable(certificate, CERTIFICATE, error))?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&content)
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(certificate, CERTIFICATE, error))?;
    if chain.is_empty() {
        return Err(unreadable(certificate, CERTIFICATE, "there is none in it"));
    }
    let content =
        folders::read(key, folders::KEY_BYTES).map_err(|error| unreadable(key, KEY, error))?;
    let private =
        PrivateKeyDer::from_pem_slice(&content).map_err(|error| unreadable(key, KEY, error))?;
    certified(chain, private).map_err(|error| {
        Error::new(format!(
            "tls: {} and {} do not belong together",
            certificate.display(),
            key.display()
        ))
        .caused_by(error)
    })
}

fn unreadable(
    path: &Path,
    what: &str,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::new(format!(
        "tls: {} cannot be read as {what} in PEM",
        path.display()
    ))
    .caused_by(cause)
    .remedy("check the path, its permissions and the order `tls <certificate> <key>`")
}

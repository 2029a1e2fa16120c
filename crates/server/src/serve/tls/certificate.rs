//! The certificate in use.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use talaria_config::{Error, folders};

/// The certificate of some names. It is replaced when it is renewed, and may not be there yet.
pub(super) struct Certificate(RwLock<State>);

enum State {
    Ready(Arc<CertifiedKey>),
    /// Why there is none.
    Missing(String),
}

impl Certificate {
    /// Shows `key`.
    pub(super) fn new(key: CertifiedKey) -> Self {
        Self(RwLock::new(State::Ready(Arc::new(key))))
    }

    /// Refuses handshakes until there is a certificate.
    pub(super) fn missing(why: &str) -> Self {
        Self(RwLock::new(State::Missing(why.to_owned())))
    }

    /// Shows another certificate from now on.
    pub(super) fn replace(&self, key: Arc<CertifiedKey>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = State::Ready(key);
    }

    /// Says why there is no certificate; one that is there stays.
    pub(super) fn explain(&self, why: &str) {
        let mut state = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let State::Missing(known) = &mut *state {
            why.clone_into(known);
        }
    }

    /// The certificate.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn get(&self) -> Result<Arc<CertifiedKey>, String> {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            State::Ready(key) => Ok(Arc::clone(key)),
            State::Missing(why) => Err(why.clone()),
        }
    }
}

/// When a certificate is valid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Validity {
    /// The first moment.
    pub start: SystemTime,
    /// The last one.
    pub end: SystemTime,
}

impl Validity {
    /// That of a certificate; `None` if it cannot be read.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let validity = parsed.validity();
        let time = |seconds: i64| {
            let seconds = Duration::from_secs(u64::try_from(seconds).ok()?);
            SystemTime::UNIX_EPOCH.checked_add(seconds)
        };
        Some(Self {
            start: time(validity.not_before.timestamp())?,
            end: time(validity.not_after.timestamp())?,
        })
    }
}

/// Puts a chain and its key together.
pub(super) fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, rustls::Error> {
    CertifiedKey::from_der(chain, key, &rustls::crypto::aws_lc_rs::default_provider())
}

/// A certificate that no client trusts, for clients that verify nothing.
///
/// # Errors
/// The system gives no key.
pub(super) fn self_signed() -> Result<CertifiedKey, Box<dyn std::error::Error + Send + Sync>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    Ok(certified(
        vec![made.cert.der().clone()],
        PrivateKeyDer::Pkcs8(key),
    )?)
}

/// Puts them together without reading the certificate, which may have an extension that the library does not know.
pub(super) fn unchecked(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, rustls::Error> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let key = provider.key_provider.load_private_key(key)?;
    Ok(CertifiedKey::new(chain, key))
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

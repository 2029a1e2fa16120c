//! A certificate with its key, and for how long it is valid.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use url::Url;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::X509Certificate;

use crate::serve::tls::certificate::certified;

/// The most certificates of a chain.
const MOST: usize = 16;

/// A certificate that an authority issued.
#[derive(Clone)]
pub(super) struct Stored {
    pub key: Arc<CertifiedKey>,
    /// When it begins to be valid.
    pub from: SystemTime,
    /// When it expires.
    pub until: SystemTime,
    /// The directory of the authority.
    pub directory: Url,
}

impl Stored {
    /// Reads a chain and its key in PEM.
    ///
    /// # Errors
    /// One of them cannot be read, or they do not belong together.
    pub(super) fn parse(
        chain: &[u8],
        key: &[u8],
        directory: &Url,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
            .take(MOST)
            .collect::<Result<_, _>>()?;
        let first = chain.first().ok_or("there is no certificate in it")?;
        let (_, leaf) = x509_parser::parse_x509_certificate(first)?;
        let (from, until) = validity(&leaf)?;
        let key = certified(chain, PrivateKeyDer::from_pem_slice(key)?)?;
        Ok(Self {
            key: Arc::new(key),
            from,
            until,
            directory: directory.clone(),
        })
    }

    /// The certificate itself.
    pub(super) fn leaf(&self) -> Option<&CertificateDer<'static>> {
        self.key.cert.first()
    }

    /// Whether it is the same certificate.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.leaf() == other.leaf()
    }

    /// Whether it is for this name.
    pub(super) fn is_for(&self, name: &str) -> bool {
        let parsed = self
            .leaf()
            .map(|leaf| x509_parser::parse_x509_certificate(leaf));
        let Some(Ok((_, leaf))) = parsed else {
            return false;
        };
        let Ok(Some(names)) = leaf.subject_alternative_name() else {
            return false;
        };
        let mut names = names.value.general_names.iter();
        names.any(
            |each| matches!(each, GeneralName::DNSName(each) if each.eq_ignore_ascii_case(name)),
        )
    }

    /// How long it is still valid.
    pub(super) fn left(&self, now: SystemTime) -> Duration {
        self.until.duration_since(now).unwrap_or_default()
    }
}

fn validity(
    leaf: &X509Certificate<'_>,
) -> Result<(SystemTime, SystemTime), Box<dyn Error + Send + Sync>> {
    let time = |seconds: i64| -> Result<SystemTime, std::num::TryFromIntError> {
        Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds)?))
    };
    let validity = leaf.validity();
    // Later times do not fit into every type.
    const LATEST: i64 = 253_402_300_799;
    let until = validity.not_after.timestamp().min(LATEST);
    Ok((
        time(validity.not_before.timestamp().min(until))?,
        time(until)?,
    ))
}

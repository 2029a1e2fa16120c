//! A certificate authority and its files (B-065).

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use talaria_config::Error;
use talaria_config::folders::{self, NO_DATA_HOME, data_home};

use super::files;

/// How much before the time of its making a certificate is valid, for clocks that are behind.
pub(super) const BEHIND: Duration = Duration::from_secs(60);

/// A certificate that signs others, and its key.
pub(super) struct Authority {
    pub issuer: Issuer<'static, KeyPair>,
    pub certificate: CertificateDer<'static>,
    pub expires_at: SystemTime,
}

/// The name of an authority, and how long it lives.
pub(super) struct Kind {
    /// The files are `<name>.crt` and `<name>.key`.
    pub name: &'static str,
    pub subject: &'static str,
    pub lifetime: Duration,
    /// How many authorities may follow below it.
    pub below: u8,
}

/// The local authority's directory.
///
/// # Errors
/// The environment names no place for it.
pub(crate) fn directory() -> Result<PathBuf, Error> {
    let data = data_home(|name| std::env::var_os(name)).ok_or_else(|| {
        Error::new(format!(
            "there is no place for the local certificate authority: {NO_DATA_HOME}"
        ))
    })?;
    Ok(data.join("caddy/pki/authorities/local"))
}

/// The contents of an authority's files, in PEM.
struct Files {
    certificate: String,
    key: String,
}

impl Authority {
    /// Reads the authority, or makes a new one if there is none or less than a third of its life is left.
    /// `parent` signs it; without a parent it signs itself.
    pub(super) fn open(
        directory: &Path,
        kind: &Kind,
        parent: Option<&Self>,
        now: SystemTime,
    ) -> Result<Self, Error> {
        let certificate = directory.join(format!("{}.crt", kind.name));
        let key = directory.join(format!("{}.key", kind.name));
        if certificate.exists()
            && key.exists()
            && let Some(read) = Self::read(&certificate, &key)?
        {
            if let Some(exposed) = folders::exposed_key(&key) {
                tracing::warn!(name: "secrets_exposed", "{exposed}");
            }
            let signed = parent.is_none_or(|parent| read.is_signed_by(parent));
            if signed && read.expires_at > now + kind.lifetime / 3 {
                return Ok(read);
            }
        }
        let (made, files) = Self::make(kind, parent, now)
            .map_err(|error| Error::new("the local certificate authority").caused_by(error))?;
        files::make_folder(directory).map_err(|error| unwritable(directory, error))?;
        for (path, mode, content) in [
            (&key, 0o600, &files.key),
            (&certificate, 0o644, &files.certificate),
        ] {
            files::write(path, mode, content.as_bytes())
                .map_err(|error| unwritable(path, error))?;
        }
        Ok(made)
    }

    /// Reads a pair; `None` if the two do not belong together, because a program ended between the two renames.
    fn read(certificate: &Path, key: &Path) -> Result<Option<Self>, Error> {
        let pem = folders::read_own(certificate, folders::KEY_BYTES)
            .map_err(|error| unusable(certificate, error))?;
        let der =
            CertificateDer::from_pem_slice(&pem).map_err(|error| unusable(certificate, error))?;
        let text = folders::read_own(key, folders::KEY_BYTES)
            .and_then(folders::text)
            .map_err(|error| unusable(key, error))?;
        let pair = KeyPair::from_pem(&text).map_err(|error| unusable(key, error))?;
        let (expires_at, public) =
            described(&der).ok_or_else(|| unusable(certificate, "it is damaged"))?;
        if public != pair.public_key_raw() {
            tracing::warn!(
                name: "authority_remade",
                "{} and {} do not belong together, so both are made anew",
                certificate.display(),
                key.display()
            );
            return Ok(None);
        }
        let issuer =
            Issuer::from_ca_cert_der(&der, pair).map_err(|error| unusable(certificate, error))?;
        Ok(Some(Self {
            issuer,
            certificate: der,
            expires_at,
        }))
    }

    fn make(
        kind: &Kind,
        parent: Option<&Self>,
        now: SystemTime,
    ) -> Result<(Self, Files), rcgen::Error> {
        let pair = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = match parent {
            Some(_) => named(kind.subject),
            // Databases of browsers take roots of one name for one root.
            None => named(&format!("{} {}", kind.subject, short_name(&pair))),
        };
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(kind.below));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let expires_at = valid(&mut params, now, kind.lifetime);
        let certificate = match parent {
            Some(parent) => params.signed_by(&pair, &parent.issuer)?,
            None => params.self_signed(&pair)?,
        };
        let files = Files {
            certificate: certificate.pem(),
            key: pair.serialize_pem(),
        };
        let made = Self {
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, pair),
            expires_at,
        };
        Ok((made, files))
    }

    fn is_signed_by(&self, parent: &Self) -> bool {
        let own = x509_parser::parse_x509_certificate(&self.certificate);
        let other = x509_parser::parse_x509_certificate(&parent.certificate);
        match (own, other) {
            (Ok((_, own)), Ok((_, other))) => {
                let own_key = own.iter_extensions().find_map(|extension| {
                    match extension.parsed_extension() {
                        x509_parser::extensions::ParsedExtension::AuthorityKeyIdentifier(id) => {
                            id.key_identifier.as_ref().map(|id| id.0.to_vec())
                        }
                        _ => None,
                    }
                });
                let parents = other.iter_extensions().find_map(|extension| {
                    match extension.parsed_extension() {
                        x509_parser::extensions::ParsedExtension::SubjectKeyIdentifier(id) => {
                            Some(id.0.to_vec())
                        }
                        _ => None,
                    }
                });
                own.issuer() == other.subject() && own_key == parents
            }
            _ => false,
        }
    }
}

/// Sets when a certificate is valid: from a little before now, for clocks that are behind.
pub(super) fn valid(
    params: &mut CertificateParams,
    now: SystemTime,
    lifetime: Duration,
) -> SystemTime {
    let expires_at = now + lifetime;
    params.use_authority_key_identifier_extension = true;
    params.not_before = (now - BEHIND).into();
    params.not_after = expires_at.into();
    expires_at
}

/// The beginning of a key's fingerprint.
fn short_name(pair: &KeyPair) -> String {
    let fingerprint = digest(&SHA256, pair.public_key_raw());
    let beginning = fingerprint.as_ref().iter().take(4);
    beginning.map(|byte| format!("{byte:02x}")).collect()
}

/// A subject that is only a common name.
pub(super) fn named(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

/// When a certificate expires, and its public key.
fn described(certificate: &CertificateDer<'_>) -> Option<(SystemTime, Vec<u8>)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let seconds = u64::try_from(parsed.validity().not_after.timestamp()).ok()?;
    let public = parsed.public_key().subject_public_key.data.to_vec();
    let expires_at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    Some((expires_at, public))
}

fn unwritable(path: &Path, error: std::io::Error) -> Error {
    Error::new(format!("{} cannot be written", path.display()))
        .caused_by(error)
        .remedy(
            "the local certificate authority lies there: check XDG_DATA_HOME and its permissions",
        )
}

fn unusable(path: &Path, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(format!(
        "{} of the local certificate authority cannot be used",
        path.display()
    ))
    .caused_by(cause)
    .remedy("move it away, and a new authority is made, which clients must trust anew")
}

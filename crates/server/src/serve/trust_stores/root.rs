//! The root of a local authority, and the names that it has in stores.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use talaria_config::{Error, folders};

/// What the names of our roots in stores begin with; the fingerprint of each follows.
const FILE: &str = "talaria-local-authority";
const NICKNAME: &str = "Talaria Local Authority";
/// How many bytes of the fingerprint are in a name.
const NAMED_BYTES: usize = 8;

/// The certificate of an authority that signs itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Root {
    /// Where it was read.
    pub path: PathBuf,
    /// The certificate, and nothing else, in PEM.
    pub pem: String,
    fingerprint: String,
}

impl Root {
    /// Reads a root from a file. The file may also be a link: the operator names it.
    ///
    /// # Errors
    /// It is not readable, or not the certificate of an authority in PEM.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = folders::read(path, folders::KEY_BYTES).map_err(|error| {
            Error::new(format!(
                "there is no root certificate at {}",
                path.display()
            ))
            .caused_by(error)
        })?;
        Self::parse(path, &text)
    }

    /// Reads a root from a text in PEM that came from `path`.
    ///
    /// # Errors
    /// It is not the certificate of an authority.
    pub(crate) fn parse(path: &Path, text: &[u8]) -> Result<Self, Error> {
        let shown = path.display();
        let certificate = CertificateDer::from_pem_slice(text).map_err(|error| {
            Error::new(format!("{shown} is not a certificate in PEM")).caused_by(error)
        })?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).map_err(|error| {
            Error::new(format!("{shown} is not a certificate")).caused_by(error)
        })?;
        // A machine that trusts a certificate of a site trusts it for nothing.
        if !parsed.is_ca() {
            return Err(Error::new(format!(
                "{shown} is the certificate of a site, not of an authority"
            ))
            .remedy("name the file root.crt of the local authority"));
        }
        let mut fingerprint = String::new();
        for byte in digest(&SHA256, &certificate)
            .as_ref()
            .iter()
            .take(NAMED_BYTES)
        {
            // Writing to a string does not fail.
            _ = write!(fingerprint, "{byte:02x}");
        }
        Ok(Self {
            path: path.to_owned(),
            pem: pem(&certificate),
            fingerprint,
        })
    }

    /// Writes its file as a whole or not at all.
    ///
    /// # Errors
    /// The file system refuses it.
    pub(super) fn write(&self, place: &Path) -> io::Result<()> {
        let beside = place.with_extension("new");
        let mut file = folders::create_own(&beside, 0o644)?;
        let written = file
            .write_all(self.pem.as_bytes())
            .and_then(|()| fs::rename(&beside, place));
        written.inspect_err(|_| _ = fs::remove_file(&beside))
    }

    /// The name of its file in the system's store.
    pub(super) fn file_name(&self) -> String {
        format!("{FILE}-{}.crt", self.fingerprint)
    }

    /// The name of the file of every root before the fingerprint was a part of it.
    pub(super) fn older_file_name() -> String {
        format!("{FILE}.crt")
    }

    /// Whether a file of the system's store is one of ours.
    pub(super) fn is_file_name(name: &str) -> bool {
        name.starts_with(FILE) && name.ends_with(".crt")
    }

    /// Its name in the databases of browsers.
    pub(super) fn nickname(&self) -> String {
        format!("{NICKNAME} {}", self.fingerprint)
    }
}

/// A certificate in PEM.
fn pem(certificate: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(certificate);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while let Some((line, after)) = rest.split_at_checked(64) {
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    if !rest.is_empty() {
        pem.push_str(rest);
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    /// A new root in PEM.
    pub(crate) fn made() -> String {
        let pair = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
        params.self_signed(&pair).unwrap().pem()
    }

    /// A root has one form whatever stands around it, and two roots have different names.
    #[test]
    fn a_root_is_known_by_its_fingerprint() {
        let path = Path::new("root.crt");
        let text = made();
        let root = Root::parse(path, text.as_bytes()).unwrap();
        let beside = format!("# a comment\n{text}\n{}", made());
        assert_eq!(Root::parse(path, beside.as_bytes()).unwrap(), root);
        assert_eq!(Root::parse(path, root.pem.as_bytes()).unwrap(), root);
        let other = Root::parse(path, made().as_bytes()).unwrap();
        assert_ne!(other.file_name(), root.file_name());
        assert_ne!(other.nickname(), root.nickname());
        assert_eq!(root.fingerprint.len(), 16);
        for name in [root.file_name(), Root::older_file_name()] {
            assert!(Root::is_file_name(&name), "{name}");
        }
    }

    /// Neither a site's certificate nor a key becomes a root.
    #[test]
    fn only_an_authority_is_a_root() {
        let pair = KeyPair::generate().unwrap();
        let site = CertificateParams::new(vec!["a".to_owned()]).unwrap();
        let site = site.self_signed(&pair).unwrap().pem();
        for text in [site, pair.serialize_pem(), "text".to_owned()] {
            assert!(Root::parse(Path::new("x"), text.as_bytes()).is_err());
        }
    }
}

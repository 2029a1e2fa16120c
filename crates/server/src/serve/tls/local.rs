//! Certificates of a local authority, for names that no public authority certifies (B-065).

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use talaria_config::Error;

use super::authority::{Authority, BEHIND, Kind, named, valid};
use super::certificate::certified;
use super::files;

const HOUR: Duration = Duration::from_secs(3600);
const LEAF: Duration = Duration::from_secs(12 * 3600);
/// How often the certificate is replaced: when a third of its life is left.
const RENEWAL: Duration = Duration::from_secs(8 * 3600);

const ROOT: Kind = Kind {
    name: "root",
    subject: "Talaria Local Authority - Root",
    lifetime: Duration::from_secs(3600 * 24 * 3600),
    below: 1,
};

const INTERMEDIATE: Kind = Kind {
    name: "intermediate",
    subject: "Talaria Local Authority - Intermediate",
    lifetime: Duration::from_secs(7 * 24 * 3600),
    below: 0,
};

/// The local authority, for the names of a site.
pub(super) struct Local {
    directory: PathBuf,
    names: Vec<String>,
}

impl Local {
    /// An authority for these names.
    ///
    /// # Errors
    /// There is no name, so nothing could be certified.
    pub(super) fn open(directory: PathBuf, names: &[String]) -> Result<Self, Error> {
        if names.is_empty() {
            return Err(Error::new(
                "the HTTPS address has no host, so no certificate can be made for it",
            )
            .remedy("name one, such as localhost, or give `tls <certificate> <key>`"));
        }
        // A certificate holds IPv6 addresses without brackets.
        let names = names
            .iter()
            .map(|name| name.trim_matches(['[', ']']).to_owned())
            .collect();
        Ok(Self { directory, names })
    }

    /// The root that clients must trust.
    pub(super) fn root(&self) -> PathBuf {
        self.directory.join("root.crt")
    }

    /// Whether a certificate that was made at one time is to be replaced at another: it is old, or the clock was set
    /// back, so that it is not valid yet.
    pub(super) fn is_due(made: SystemTime, now: SystemTime) -> bool {
        match now.duration_since(made) {
            Ok(age) => age >= RENEWAL,
            Err(before) => before.duration() > BEHIND,
        }
    }

    /// Makes a new certificate with its chain; renews root and intermediate if that is due.
    ///
    /// # Errors
    /// A file cannot be read or written, or the names cannot be certified.
    pub(super) fn certify(&self, now: SystemTime) -> Result<CertifiedKey, Error> {
        // Another hub may have the same folder.
        let _lock = files::lock(&self.directory.join("talaria.lock"));
        let root = Authority::open(&self.directory, &ROOT, None, now)?;
        let intermediate = Authority::open(&self.directory, &INTERMEDIATE, Some(&root), now)?;
        self.leaf(&intermediate, now).map_err(|error| {
            Error::new(format!(
                "no certificate can be made for {}",
                self.names.join(", ")
            ))
            .caused_by(error)
            .remedy("check the site address")
        })
    }

    fn leaf(
        &self,
        intermediate: &Authority,
        now: SystemTime,
    ) -> Result<CertifiedKey, Box<dyn std::error::Error + Send + Sync>> {
        let pair = KeyPair::generate()?;
        let mut params = CertificateParams::new(self.names.clone())?;
        params.distinguished_name = named("");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // The leaf must not outlive the certificate that signs it.
        let left = intermediate.expires_at.duration_since(now).unwrap_or(HOUR);
        valid(&mut params, now, LEAF.min(left));
        let leaf = params.signed_by(&pair, &intermediate.issuer)?;
        let chain = vec![leaf.der().clone(), intermediate.certificate.clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pair.serialize_der()));
        Ok(certified(chain, key)?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::serve::clock;

    fn der(path: &std::path::Path) -> Vec<u8> {
        fs::read(path).unwrap()
    }

    /// Hubs that begin at once with an empty folder have one authority between them.
    #[test]
    fn one_folder_has_one_authority() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("local");
        let names = ["localhost".to_owned()];
        let starts = std::sync::Barrier::new(8);
        let intermediates: Vec<_> = std::thread::scope(|scope| {
            let hubs: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let local = Local::open(directory.clone(), &names).unwrap();
                        starts.wait();
                        local.certify(clock::now()).unwrap().cert[1].clone()
                    })
                })
                .collect();
            hubs.into_iter().map(|hub| hub.join().unwrap()).collect()
        });
        assert!(intermediates.iter().all(|one| *one == intermediates[0]));
    }

    /// A certificate beside the key of another, as an end between the two renames leaves it, is made anew, once.
    #[test]
    fn a_pair_that_does_not_belong_together_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().to_owned();
        let local = Local::open(directory.clone(), &["localhost".to_owned()]).unwrap();
        let now = clock::now();
        let read = |name: &str| der(&directory.join(name));
        local.certify(now).unwrap();
        for name in ["intermediate", "root"] {
            let (root, intermediate) = (read("root.crt"), read("intermediate.crt"));
            let foreign = KeyPair::generate().unwrap().serialize_pem();
            fs::write(directory.join(format!("{name}.key")), foreign).unwrap();
            local.certify(now).unwrap();
            assert_eq!(read("root.crt") != root, name == "root");
            assert_ne!(read("intermediate.crt"), intermediate);
            let made = read("intermediate.crt");
            local.certify(now).unwrap();
            assert_eq!(read("intermediate.crt"), made);
        }
    }

    /// The wall clock decides, also after a suspend and when it is set back.
    #[test]
    fn the_wall_clock_decides_when_a_certificate_is_replaced() {
        let made = clock::now();
        for (now, due) in [
            (made, false),
            (made + RENEWAL - HOUR, false),
            (made + RENEWAL, true),
            (made - Duration::from_secs(30), false),
            (made - HOUR, true),
        ] {
            assert_eq!(Local::is_due(made, now), due);
        }
    }

    /// The root lives 3600 days, the intermediate 7 days and the leaf 12 hours; each is renewed in time, and
    /// the root of a machine does not change before (B-065).
    #[test]
    fn each_certificate_is_renewed_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().to_owned();
        let names = vec!["localhost".to_owned(), "[::1]".to_owned()];
        let local = Local::open(directory.clone(), &names).unwrap();
        let start = clock::now();
        let day = 24 * HOUR;
        let first = local.certify(start).unwrap();
        assert_eq!(first.cert.len(), 2);
        let (root, intermediate) = (
            directory.join("root.crt"),
            directory.join("intermediate.crt"),
        );
        let (old_root, old_intermediate) = (der(&root), der(&intermediate));
        for key in ["root.key", "intermediate.key"] {
            let mode = fs::metadata(directory.join(key))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
        let second = local.certify(start + 8 * HOUR).unwrap();
        assert_ne!(first.cert[0], second.cert[0]);
        assert_eq!(first.cert[1], second.cert[1]);
        local.certify(start + 5 * day).unwrap();
        assert_eq!(der(&root), old_root);
        assert_ne!(der(&intermediate), old_intermediate);
        local.certify(start + 2500 * day).unwrap();
        assert_ne!(der(&root), old_root);

        fs::write(&root, "garbage").unwrap();
        let error = local.certify(start).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("root.crt"), "{error}");
        assert!(Local::open(directory, &[]).is_err());
    }
}

//! Where certificates and accounts of ACME lie: in the existing hub's folders and forms, so that each takes over what
//! the other left (B-070).

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use talaria_config::{Error, folders};
use url::Url;

use super::stored::Stored;
use crate::serve::tls::files::{self, Beside};

/// The files of the data folder.
#[derive(Debug, Clone)]
pub(in crate::serve::tls) struct Store {
    data: PathBuf,
}

/// A certificate and its key, in PEM.
pub(super) struct Issued {
    pub chain: String,
    pub key: String,
}

/// An account at an authority.
pub(super) struct StoredAccount {
    /// Its URL.
    pub location: String,
    pub key: PrivatePkcs8KeyDer<'static>,
}

impl Store {
    /// The files in `<data home>/caddy`.
    pub(in crate::serve::tls) fn new(data: PathBuf) -> Self {
        Self { data }
    }

    /// The certificate of a name from this authority; `None` if there is none that can be used.
    pub(super) fn load(&self, directory: &Url, name: &str) -> Option<Stored> {
        let [certificate, key, _] = self.files(directory, name);
        if !certificate.exists() && !key.exists() {
            return None;
        }
        // If the program ended between the two renames, the new certificate lies beside the old one.
        let read = read_pair(&certificate, &key, directory).or_else(|error| {
            read_pair(&files::beside(&certificate), &key, directory).map_err(|_| error)
        });
        match read {
            Ok(stored) => {
                if let Some(exposed) = folders::exposed_key(&key) {
                    tracing::warn!(name: "secrets_exposed", "{exposed}");
                }
                Some(stored)
            }
            Err(error) => {
                tracing::warn!(
                    name: "certificate_unusable",
                    name,
                    "the stored certificate {} cannot be used, so a new one is ordered: {error}",
                    certificate.display()
                );
                None
            }
        }
    }

    /// Keeps a certificate.
    ///
    /// # Errors
    /// The files cannot be written.
    pub(super) fn save(&self, directory: &Url, name: &str, issued: &Issued) -> Result<(), Error> {
        let [certificate, key, about] = self.files(directory, name);
        let description = json!({
            "sans": [name],
            "issuer_data": { "ca": directory.as_str() },
        });
        let contents = [
            (&key, issued.key.clone()),
            (&certificate, issued.chain.clone()),
            (&about, format!("{description:#}\n")),
        ];
        write_together(&contents)
    }

    /// The account for an email address at an authority.
    pub(super) fn account(&self, directory: &Url, email: Option<&str>) -> Option<StoredAccount> {
        let [about, key] = self.account_files(directory, email);
        let read = || -> Result<StoredAccount, Box<dyn std::error::Error + Send + Sync>> {
            let about: Value =
                serde_json::from_slice(&folders::read_own(&about, folders::KEY_BYTES)?)?;
            let location = about.get("location").and_then(Value::as_str);
            let key = PrivateKeyDer::from_pem_slice(&folders::read_own(&key, folders::KEY_BYTES)?)?;
            Ok(StoredAccount {
                location: location.ok_or("it has no location")?.to_owned(),
                key: pkcs8(&key)?,
            })
        };
        if !about.exists() {
            return None;
        }
        read()
            .inspect_err(|error| {
                tracing::warn!(
                    name: "acme_account_unusable",
                    "the ACME account {} cannot be used, so a new one is made: {error}",
                    about.display()
                );
            })
            .ok()
    }

    /// Keeps an account.
    ///
    /// # Errors
    /// The files cannot be written.
    pub(super) fn save_account(
        &self,
        directory: &Url,
        email: Option<&str>,
        account: &StoredAccount,
    ) -> Result<(), Error> {
        let [about, key] = self.account_files(directory, email);
        let contact: Vec<String> = email
            .iter()
            .map(|email| format!("mailto:{email}"))
            .collect();
        let description = json!({
            "status": "valid",
            "contact": contact,
            "termsOfServiceAgreed": true,
            "orders": "",
            "location": account.location,
        });
        let pem = pem::encode(&pem::Pem::new(
            "PRIVATE KEY",
            account.key.secret_pkcs8_der(),
        ));
        write_together(&[(&key, pem), (&about, format!("{description:#}\n"))])
    }

    /// Removes an account that its authority does not know.
    pub(super) fn forget_account(&self, directory: &Url, email: Option<&str>) {
        for file in self.account_files(directory, email) {
            if let Err(error) = fs::remove_file(&file) {
                tracing::debug!("{} cannot be removed: {error}", file.display());
            }
        }
    }

    /// Locks what no other program and no other task may do meanwhile; `None` if one does it. The lock ends with
    /// the file, or with the program. A file system without locks gives none, and the order goes on without.
    ///
    /// # Errors
    /// The file cannot be made.
    pub(super) fn lock(&self, what: &str) -> Result<Option<File>, Error> {
        let path = self.lock_path(what);
        let folder = path.parent().unwrap_or(&self.data);
        let file = files::make_folder(folder).and_then(|()| files::open_lock(&path));
        let file = file.map_err(|error| unwritable(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                tracing::warn!(
                    name: "folder_not_locked",
                    "{} cannot be locked, so a certificate is ordered without a lock; no other hub may use this data folder: {error}",
                    path.display()
                );
                Ok(Some(file))
            }
        }
    }

    /// The file of a lock.
    pub(super) fn lock_path(&self, what: &str) -> PathBuf {
        let name = format!("talaria_{}.lock", safe(what));
        self.data.join("locks").join(name)
    }

    /// The files of a certificate: its chain, its key and a description.
    fn files(&self, directory: &Url, name: &str) -> [PathBuf; 3] {
        let name = safe(name);
        let folder = self
            .data
            .join("certificates")
            .join(of(directory))
            .join(&name);
        ["crt", "key", "json"].map(|ending| folder.join(format!("{name}.{ending}")))
    }

    /// The files of an account: a description, and its key.
    fn account_files(&self, directory: &Url, email: Option<&str>) -> [PathBuf; 2] {
        let email = safe(email.unwrap_or("default"));
        let user = email.split('@').next().unwrap_or_default();
        let folder = self
            .data
            .join("acme")
            .join(of(directory))
            .join("users")
            .join(&email);
        ["json", "key"].map(|ending| folder.join(format!("{user}.{ending}")))
    }
}

/// The folder of an authority: its host, and its path with dashes.
fn of(directory: &Url) -> String {
    let host = directory.host_str().unwrap_or_default();
    let port = directory
        .port()
        .map_or_else(String::new, |port| format!(":{port}"));
    let path = directory.path().trim_matches('/').replace('/', "-");
    let dash = if path.is_empty() { "" } else { "-" };
    safe(&format!("{host}{port}{dash}{path}"))
}

/// A name as the existing hub writes it for files.
fn safe(text: &str) -> String {
    let text = text.trim().to_lowercase();
    let mut safe = String::new();
    for c in text.chars() {
        match c {
            ' ' => safe.push('_'),
            '+' => safe.push_str("_plus_"),
            '*' => safe.push_str("wildcard_"),
            ':' => safe.push('-'),
            c if c.is_ascii_alphanumeric() || matches!(c, '_' | '@' | '.' | '-') => safe.push(c),
            _ => {}
        }
    }
    // No name may lead to another folder.
    let safe = safe.replace("..", "");
    if safe == "." { String::new() } else { safe }
}

fn read_pair(
    certificate: &Path,
    key: &Path,
    directory: &Url,
) -> Result<Stored, Box<dyn std::error::Error + Send + Sync>> {
    let chain = folders::read_own(certificate, folders::KEY_BYTES)?;
    let key = folders::read_own(key, folders::KEY_BYTES)?;
    Stored::parse(&chain, &key, directory)
}

/// Writes files that belong together: all beside their places first, so that little can come between.
fn write_together(contents: &[(&PathBuf, String)]) -> Result<(), Error> {
    let mut written = Vec::new();
    for (path, content) in contents {
        let folder = path.parent().unwrap_or(path);
        let beside = files::make_folder(folder)
            .and_then(|()| Beside::write(path, 0o600, content.as_bytes()))
            .map_err(|error| unwritable(path, error))?;
        written.push((path, beside));
    }
    for (path, beside) in written {
        beside.put().map_err(|error| unwritable(path, error))?;
    }
    Ok(())
}

/// A key of any form in the one that the library reads.
fn pkcs8(
    key: &PrivateKeyDer<'_>,
) -> Result<PrivatePkcs8KeyDer<'static>, Box<dyn std::error::Error + Send + Sync>> {
    let pair =
        EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_der())
            .map_err(|_| "its key is not one for ES256")?;
    let document = pair.to_pkcs8v1().map_err(|_| "its key cannot be read")?;
    Ok(PrivatePkcs8KeyDer::from(document.as_ref().to_vec()))
}

fn unwritable(path: &Path, error: io::Error) -> Error {
    Error::new(format!("{} cannot be written", path.display()))
        .caused_by(error)
        .remedy("certificates lie there: check XDG_DATA_HOME and its permissions")
}

/// The latest of the certificates of a name, from these authorities.
pub(super) fn latest<'a>(
    store: &Store,
    directories: impl Iterator<Item = &'a Url>,
    name: &str,
) -> Option<Stored> {
    let stored = directories.filter_map(|directory| store.load(directory, name));
    stored.max_by_key(|stored| stored.until)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    /// The names of folders and files are those of the existing hub (B-070).
    #[test]
    fn files_lie_where_the_existing_hub_has_them() {
        let store = Store::new("/d".into());
        for (directory, name, expected) in [
            (
                "https://acme-v02.api.letsencrypt.org/directory",
                "hub.example.com",
                "/d/certificates/acme-v02.api.letsencrypt.org-directory/hub.example.com/hub.example.com.crt",
            ),
            (
                "https://acme.zerossl.com/v2/DV90",
                "*.Example.com",
                "/d/certificates/acme.zerossl.com-v2-dv90/wildcard_.example.com/wildcard_.example.com.crt",
            ),
            (
                "https://localhost:14000/dir/",
                "../../a",
                "/d/certificates/localhost-14000-dir/a/a.crt",
            ),
        ] {
            let [certificate, ..] = store.files(&url(directory), name);
            assert_eq!(certificate, Path::new(expected));
        }
        let directory = url("https://ca.test/");
        for (email, expected) in [
            (None, "/d/acme/ca.test/users/default/default.json"),
            (
                Some("A+b@c.test"),
                "/d/acme/ca.test/users/a_plus_b@c.test/a_plus_b.json",
            ),
        ] {
            assert_eq!(
                store.account_files(&directory, email)[0],
                Path::new(expected)
            );
        }
    }

    /// The account of the existing hub, whose key has the form of RFC 5915, is taken over; an own one is read
    /// back; no other user may read it.
    #[test]
    fn accounts_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("caddy"));
        let directory = url("https://ca.test/dir");
        assert!(store.account(&directory, None).is_none());
        let (_, key) = instant_acme::Key::generate_pkcs8().unwrap();
        let account = StoredAccount {
            location: "https://ca.test/account/1".to_owned(),
            key,
        };
        store.save_account(&directory, None, &account).unwrap();
        let [about, key] = store.account_files(&directory, None);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&about), mode(&key)), (0o600, 0o600));
        assert_eq!(mode(key.parent().unwrap()), 0o700);
        let read = store.account(&directory, None).unwrap();
        assert_eq!(read.location, account.location);
        assert!(read.key.secret_pkcs8_der().len() > 100);

        let existing = std::process::Command::new("openssl")
            .args(["ecparam", "-name", "prime256v1", "-genkey", "-noout"])
            .output()
            .expect("openssl is installed");
        fs::write(&key, existing.stdout).unwrap();
        let read = store.account(&directory, None).unwrap();
        assert!(instant_acme::Key::from_pkcs8_der(read.key).is_ok());

        fs::write(&key, "garbage").unwrap();
        assert!(store.account(&directory, None).is_none());
        store.forget_account(&directory, None);
        assert!(!about.exists() && !key.exists());
    }

    #[test]
    fn one_may_hold_a_lock() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().to_owned());
        let held = store.lock("a.test").unwrap();
        assert!(held.is_some());
        assert!(store.lock("a.test").unwrap().is_none());
        assert!(store.lock("b.test").unwrap().is_some());
        drop(held);
        assert!(store.lock("a.test").unwrap().is_some());
    }
}

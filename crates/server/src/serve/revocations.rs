//! The files that keep revocations over a restart: one for each store (ADR 0021).

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde_json::{Map, Value, json};
use talaria_config::Error;
use talaria_config::folders::{self, NO_DATA_HOME, data_home};
use talaria_config::settings::TransportSettings;
use talaria_hub::Hub;
use talaria_hub::access::{Revocation, Tokens};
use talaria_hub::clock::{Clock as _, SystemClock, UnixTime};

use crate::serve::clock::monotonic;

/// The name of the file in the directory of a history.
const IN_HISTORY: &str = "revoked.json";
/// The form of the file.
const VERSION: u64 = 1;
/// The most bytes of a file: ten thousand entries with the longest claims.
const MOST_BYTES: u64 = 128 << 20;

/// How long a file may be locked by others, and the pause until the lock is tried again.
const LOCKED: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(20);

/// Where the revocations of a store are kept.
#[derive(Debug, Clone, Default)]
pub(crate) struct RevocationFile(Option<PathBuf>);

/// What such a file held when its store was opened.
pub(crate) struct Kept {
    file: RevocationFile,
    revocations: Vec<Revocation>,
}

impl Kept {
    /// Reads a file; one that does not exist holds nothing.
    ///
    /// # Errors
    /// It cannot be read, or is damaged. A hub that went on would accept revoked tokens.
    pub(crate) fn read(file: RevocationFile) -> Result<Self, Error> {
        let path = file.0.as_deref();
        let revocations = path.map_or_else(|| Ok(Vec::new()), read);
        Ok(Self {
            revocations: revocations?,
            file,
        })
    }

    /// Where they are kept.
    pub(crate) fn file(&self) -> &RevocationFile {
        &self.file
    }

    /// Has a new hub refuse these tokens.
    pub(crate) fn restore(&self, hub: &Hub) {
        let now = SystemClock.unix_time();
        let lasting = self.revocations.iter().filter(|entry| now < entry.until);
        let count = lasting.filter(|entry| refuse(hub, entry)).count();
        if count > 0 {
            tracing::info!(
                name: "revocations_read",
                count,
                "tokens stay revoked; `talaria revoke --list` shows them"
            );
        }
    }
}

impl RevocationFile {
    /// That of a store, whose hubs have this name: in the directory of its history, else in the data folder of this
    /// user, where hubs of one name share it.
    pub(crate) fn of(store: &TransportSettings, name: Option<&str>) -> Self {
        if let Some(directory) = store.directory() {
            return Self(Some(directory.join(IN_HISTORY)));
        }
        let name = name.unwrap_or("default");
        let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
        let home = data_home(|name| std::env::var_os(name));
        Self(home.map(|home| home.join(format!("caddy/talaria-revoked-{name}.json"))))
    }

    /// Whether both are the same file.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.is_some() && self.0 == other.0
    }

    /// Adds entries, in place of those for the same tokens. Blocks.
    ///
    /// # Errors
    /// The file system refuses it, or the file is damaged; it stays as it was.
    pub(crate) fn enter(&self, entered: &[Revocation]) -> Result<(), Error> {
        self.change(|entries| {
            let tokens: HashSet<&Tokens> = entered.iter().map(|entry| &entry.tokens).collect();
            entries.retain(|known| !tokens.contains(&known.tokens));
            entries.extend_from_slice(entered);
        })
    }

    /// Removes the entries for exactly these tokens. Blocks.
    ///
    /// # Errors
    /// As [`Self::enter`].
    pub(crate) fn remove(&self, removed: &[Revocation]) -> Result<(), Error> {
        self.change(|entries| {
            let tokens: HashSet<&Tokens> = removed.iter().map(|entry| &entry.tokens).collect();
            entries.retain(|known| !tokens.contains(&known.tokens));
        })
    }

    /// Changes the entries, one process at a time: hubs without a history may share a file.
    fn change(&self, change: impl FnOnce(&mut Vec<Revocation>)) -> Result<(), Error> {
        let path = self.0.as_deref().ok_or_else(|| Error::new(NO_DATA_HOME))?;
        let failed = |error: io::Error| Error::new(path.display().to_string()).caused_by(error);
        let _lock = lock(path, LOCKED).map_err(failed)?;
        let mut entries = read(path)?;
        let now = SystemClock.unix_time();
        entries.retain(|entry| now < entry.until);
        change(&mut entries);
        write(path, &entries).map_err(failed)
    }
}

/// Has a hub refuse the tokens of an entry from now on. Returns whether it does.
pub(crate) fn refuse(hub: &Hub, entry: &Revocation) -> bool {
    let revoked = hub.revoke(entry.clone());
    if let Err(error) = &revoked {
        tracing::error!(name: "revocation_forgotten", "a token that was revoked is accepted: {error}");
    }
    revoked.is_ok()
}

/// Holds the lock of a file until it is dropped. Waits for it `at_most` this long.
fn lock(path: &Path, at_most: Duration) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder)?;
    }
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path.with_extension("lock"))?;
    let deadline = monotonic() + at_most;
    loop {
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(lock),
            Err(Errno::WOULDBLOCK | Errno::INTR) if monotonic() < deadline => thread::sleep(LOOK),
            Err(Errno::WOULDBLOCK) => {
                let sentence = "another process holds its lock";
                return Err(io::Error::new(io::ErrorKind::TimedOut, sentence));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn read(path: &Path) -> Result<Vec<Revocation>, Error> {
    let wrong = |cause: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(format!(
            "{}, which lists the revoked tokens, cannot be read",
            path.display()
        ))
        .caused_by(cause)
        .remedy("restore it from a backup; if you remove it, tokens that were revoked are accepted again")
    };
    let text = match folders::read_own(path, MOST_BYTES).and_then(folders::text) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(wrong(error.into())),
    };
    let value: Value = serde_json::from_str(&text).map_err(|error| wrong(error.into()))?;
    let version = value.get("version").and_then(Value::as_u64);
    let entries = value.get("revocations").and_then(Value::as_array);
    let entries = entries.filter(|_| version == Some(VERSION));
    let entries = entries.and_then(|entries| entries.iter().map(from_json).collect());
    entries.ok_or_else(|| wrong("it is not a list of revocations of this version".into()))
}

/// Replaces the file atomically, for this user alone.
fn write(path: &Path, entries: &[Revocation]) -> io::Result<()> {
    let entries: Vec<Value> = entries.iter().map(to_json).collect();
    let text = json!({ "version": VERSION, "revocations": entries }).to_string();
    let draft = path.with_extension("new");
    let written = folders::create_own(&draft, 0o600).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    });
    let moved = written.and_then(|()| fs::rename(&draft, path));
    if moved.is_err() {
        // It is of no use, and the error that counts is the one before.
        _ = fs::remove_file(&draft);
    }
    moved?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// An entry as JSON; absent members stand for what is not given.
pub(crate) fn to_json(entry: &Revocation) -> Value {
    let Tokens {
        issuer,
        subject,
        id,
    } = &entry.tokens;
    let texts = [
        ("issuer", issuer),
        ("subject", subject),
        ("jti", id),
        ("reason", &entry.reason),
    ];
    let times = [
        ("since", Some(entry.since)),
        ("until", Some(entry.until)),
        ("issued_before", entry.issued_before),
    ];
    let mut members = Map::new();
    for (name, text) in texts {
        members.extend(text.as_deref().map(|text| (name.to_owned(), text.into())));
    }
    for (name, time) in times {
        members.extend(time.map(|time| (name.to_owned(), time.seconds().into())));
    }
    Value::Object(members)
}

fn from_json(value: &Value) -> Option<Revocation> {
    let text = |name: &str| match value.get(name) {
        None => Some(None),
        Some(value) => value.as_str().map(|text| Some(text.to_owned())),
    };
    let time = |name: &str| match value.get(name) {
        None => Some(None),
        Some(value) => value
            .as_f64()
            .map(|seconds| Some(UnixTime::from_seconds(seconds))),
    };
    let tokens = Tokens {
        issuer: text("issuer")?,
        subject: text("subject")?,
        id: text("jti")?,
    };
    (!tokens.is_empty()).then_some(())?;
    Some(Revocation {
        tokens,
        issued_before: time("issued_before")?,
        since: time("since")??,
        until: time("until")??,
        reason: text("reason")?,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn entry(subject: &str, until: f64) -> Revocation {
        Revocation {
            tokens: Tokens {
                subject: Some(subject.to_owned()),
                ..Tokens::default()
            },
            issued_before: Some(UnixTime::from_seconds(1.5)),
            since: UnixTime::from_seconds(1.0),
            until: UnixTime::from_seconds(until),
            reason: Some("a \"leak\"\n".to_owned()),
        }
    }

    /// What was entered is read again, only this user can read it, and what has ended is forgotten.
    #[test]
    fn revocations_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/revoked.json");
        let file = RevocationFile(Some(path.clone()));
        assert_eq!(read(&path).unwrap(), []);
        let (ann, bob) = (entry("ann", 1e10), entry("bob", 2e10));
        for entry in [&entry("old", 2.0), &ann, &bob, &ann] {
            file.enter(std::slice::from_ref(entry)).unwrap();
        }
        assert_eq!(read(&path).unwrap(), [bob.clone(), ann.clone()]);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        file.remove(&[bob]).unwrap();
        assert_eq!(read(&path).unwrap(), [ann]);
        assert!(!path.with_extension("new").exists());
    }

    /// A lock that another holds is not waited for without end.
    #[test]
    fn a_lock_has_a_deadline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revoked.json");
        let held = lock(&path, LOCKED).unwrap();
        let error = lock(&path, Duration::ZERO).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        drop(held);
        lock(&path, Duration::ZERO).unwrap();
    }

    /// A damaged file is an error, and is not replaced.
    #[test]
    fn a_damaged_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revoked.json");
        let file = RevocationFile(Some(path.clone()));
        for damaged in [
            "{",
            "{}",
            r#"{"version":2,"revocations":[]}"#,
            r#"{"version":1,"revocations":[{"since":1,"until":2}]}"#,
            r#"{"version":1,"revocations":[{"subject":1,"since":1,"until":2}]}"#,
        ] {
            fs::write(&path, damaged).unwrap();
            let error = Kept::read(file.clone()).err().unwrap().to_string();
            assert!(error.contains("revoked.json"), "{error}");
            assert!(error.contains("restore it from a backup"), "{error}");
            assert!(file.enter(&[entry("ann", 1e10)]).is_err());
            assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
        }
    }
}

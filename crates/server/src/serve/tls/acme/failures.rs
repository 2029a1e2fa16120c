//! How many orders of a certificate have failed, kept on the disk, so that a restart does not ask again at once.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use talaria_config::folders;
use talaria_config::settings::AcmeSettings;
use tokio::task::spawn_blocking;

use super::schedule::Backoff;
use super::store::Store;
use crate::serve::tls::files::open_lock;

/// How long a new start waits at most because of an order that failed before it.
const RESTART: Duration = Duration::from_secs(15 * 60);

/// The failures of one name at its authorities. They lie in the file that is locked during an order.
#[derive(Debug, Clone)]
pub(super) struct Failures {
    path: PathBuf,
    /// The authorities that are asked: others may be asked at once.
    authorities: String,
}

impl Failures {
    /// Those of a name.
    pub(super) fn new(name: &str, settings: &AcmeSettings, store: &Store) -> Self {
        let authorities = settings.authorities.iter();
        let urls: Vec<_> = authorities.map(|each| each.directory.as_str()).collect();
        Self {
            path: store.lock_path(name),
            authorities: urls.join(" "),
        }
    }

    /// The back-off that an earlier run of the program left behind, how long to wait still because of it, and why.
    pub(super) async fn resume(&self, now: SystemTime) -> (Backoff, Duration, String) {
        let kept = self.clone();
        let read = spawn_blocking(move || kept.read()).await;
        let (failures, last) = read.ok().flatten().unwrap_or((0, now));
        let (backoff, wait) = Backoff::after(failures);
        let since = now.duration_since(last).unwrap_or_default();
        let wait = wait.min(RESTART).saturating_sub(since);
        let why = format!(
            "the last order failed {} s ago; the next attempt follows in {} s, or at the next start if {} is removed",
            since.as_secs(),
            wait.as_secs(),
            self.path.display()
        );
        (backoff, wait, why)
    }

    /// Keeps how many there are.
    pub(super) async fn note(&self, failures: u32) {
        let kept = self.clone();
        let written = spawn_blocking(move || kept.write(failures)).await;
        if let Ok(Err(error)) = written {
            tracing::debug!("{} cannot be written: {error}", self.path.display());
        }
    }

    /// How many there are in a row, and when the last one was; `None` if there is none.
    fn read(&self) -> Option<(u32, SystemTime)> {
        let text = folders::read_own(&self.path, folders::KEY_BYTES).ok()?;
        let text = String::from_utf8(text).ok()?;
        let (failures, authorities) = text.trim_end().split_once(' ')?;
        let failures = failures.parse().ok()?;
        let last = fs::metadata(&self.path).ok()?.modified().ok()?;
        (authorities == self.authorities).then_some((failures, last))
    }

    fn write(&self, failures: u32) -> io::Result<()> {
        let mut file: File = open_lock(&self.path)?;
        file.set_len(0)?;
        match failures {
            0 => Ok(()),
            _ => writeln!(file, "{failures} {}", self.authorities),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::clock;

    /// A restart waits as long as the program would have waited, a quarter of an hour at most, unless others are asked.
    #[tokio::test]
    async fn a_restart_goes_on_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let of = |authorities: &str| Failures {
            path: folder.path().join("a.lock"),
            authorities: authorities.to_owned(),
        };
        let wait = async |authorities: &str| of(authorities).resume(clock::now()).await.1;
        assert_eq!(wait("x y").await, Duration::ZERO);
        of("x y").note(12).await;
        assert!((RESTART / 2..=RESTART).contains(&wait("x y").await));
        of("x y").note(1).await;
        let first = wait("x y").await;
        assert!(!first.is_zero() && first <= Duration::from_secs(60));
        assert_eq!(wait("x").await, Duration::ZERO);
        let later = clock::now() + Duration::from_secs(3600);
        assert_eq!(of("x y").resume(later).await.1, Duration::ZERO);
        of("x y").note(0).await;
        assert_eq!(wait("x y").await, Duration::ZERO);
    }
}

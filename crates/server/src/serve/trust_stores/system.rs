//! The system's store of trusted certificates.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use talaria_config::{Error, folders};

use super::command;
use super::root::Root;
use super::visit::{Outcome, Visit};

/// The folders of roots, and the commands that make the system read them.
const STORES: [(&str, &[&str]); 5] = [
    // Debian, Ubuntu, Alpine.
    (
        "/usr/local/share/ca-certificates",
        &["update-ca-certificates"],
    ),
    // Fedora, RHEL.
    (
        "/etc/pki/ca-trust/source/anchors",
        &["update-ca-trust", "extract"],
    ),
    // Arch.
    (
        "/etc/ca-certificates/trust-source/anchors",
        &["trust", "extract-compat"],
    ),
    // openSUSE.
    ("/usr/share/pki/trust/anchors", &["update-ca-certificates"]),
    ("/etc/pki/trust/anchors", &["update-ca-certificates"]),
];
const READERS: &str =
    "curl, wget, git, PHP, Python's ssl, Ruby, Go, .NET and all that ask the system";
/// How long the system's command may take.
const LIMIT: Duration = Duration::from_secs(60);

/// How often, and with which pause, a hub asks for its turn: as long as another's command may take.
const ATTEMPTS: u32 = 1200;
const PAUSE: Duration = Duration::from_millis(50);

/// The system's store.
#[derive(Debug)]
pub(crate) struct System {
    folder: PathBuf,
    update: &'static [&'static str],
}

impl System {
    /// Finds it.
    ///
    /// # Errors
    /// This system has none that is known.
    pub(crate) fn find() -> Result<Self, Error> {
        let known = STORES.iter().find(|(folder, _)| Path::new(folder).is_dir());
        let (folder, update) = known.ok_or_else(|| {
            Error::new("this system's store of trusted certificates is not known")
                .remedy("install `ca-certificates`, or the output of `talaria trust --print` by the system's own tool")
        })?;
        Ok(Self {
            folder: PathBuf::from(folder),
            update,
        })
    }

    /// Whether it holds this root.
    pub(crate) fn holds(&self, root: &Root) -> bool {
        let held = folders::read_own(&self.place(root), folders::KEY_BYTES);
        held.is_ok_and(|held| held == root.pem.as_bytes())
    }

    /// The roots of local authorities that it holds.
    pub(crate) fn roots(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let ours =
            entries.filter(|entry| entry.file_name().to_str().is_some_and(Root::is_file_name));
        let mut roots: Vec<PathBuf> = ours.map(|entry| entry.path()).collect();
        roots.sort();
        roots
    }

    /// Puts a root into it.
    pub(super) async fn install(&self, root: &Root) -> Visit {
        self.visit(root, self.add(root).await)
    }

    /// Takes a root out of it.
    pub(super) async fn remove(&self, root: &Root) -> Visit {
        self.visit(root, self.take_out(root).await)
    }

    fn visit(&self, root: &Root, outcome: Result<Outcome, Error>) -> Visit {
        Visit {
            store: format!("the system's store ({})", self.place(root).display()),
            readers: READERS,
            outcome,
        }
    }

    async fn add(&self, root: &Root) -> Result<Outcome, Error> {
        let place = self.place(root);
        let has_moved = self.rename_older();
        if self.holds(root) {
            if has_moved {
                self.update().await?;
            }
            return Ok(Outcome::Kept);
        }
        root.write(&place).map_err(|error| {
            let shown = place.display();
            Error::new(format!("{shown} cannot be written"))
                .caused_by(error)
                .remedy(format!(
                    "run as root: cp {} {shown} && {}",
                    root.path.display(),
                    self.update.join(" ")
                ))
        })?;
        // A root that does not count must not look as if it did.
        self.update()
            .await
            .inspect_err(|_| _ = fs::remove_file(&place))?;
        Ok(Outcome::Added)
    }

    async fn take_out(&self, root: &Root) -> Result<Outcome, Error> {
        let place = self.place(root);
        self.rename_older();
        let failed = |error: io::Error| {
            Error::new(format!("{} cannot be removed", place.display()))
                .caused_by(error)
                .remedy(format!(
                    "run as root: rm {} && {}",
                    place.display(),
                    self.update.join(" ")
                ))
        };
        match fs::remove_file(&place) {
            Ok(()) => self.update().await.map(|()| Outcome::Removed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Outcome::Absent),
            Err(error) => Err(failed(error)),
        }
    }

    /// Gives the one file that earlier versions wrote for every hub the name of its root; says whether it did.
    fn rename_older(&self) -> bool {
        let older = self.folder.join(Root::older_file_name());
        let Ok(text) = folders::read_own(&older, folders::KEY_BYTES) else {
            return false;
        };
        let root = Root::parse(&older, &text);
        root.is_ok_and(|root| {
            let place = self.place(&root);
            root.write(&place)
                .and_then(|()| fs::remove_file(&older))
                .is_ok()
        })
    }

    /// Waits until no other hub runs the command; the turn ends with the file. `None` where that cannot be told.
    async fn turn(&self) -> Option<File> {
        let folder = File::open(&self.folder).ok()?;
        for _ in 0..ATTEMPTS {
            match folder.try_lock() {
                Ok(()) => return Some(folder),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
                Err(TryLockError::Error(_)) => return None,
            }
        }
        None
    }

    fn place(&self, root: &Root) -> PathBuf {
        self.folder.join(root.file_name())
    }

    /// Runs the system's command. Two at once would leave a store from which other authorities are missing, so
    /// hubs that start together take turns.
    async fn update(&self) -> Result<(), Error> {
        let _turn = self.turn().await;
        let [program, arguments @ ..] = self.update else {
            return Ok(());
        };
        let failed = |why: String| {
            Error::new(format!("{} failed: {why}", self.update.join(" ")))
                .remedy("run it by hand as root")
        };
        let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        let finished = command::run(program, &arguments, "", LIMIT)
            .await
            .map_err(|error| failed(error.to_string()))?;
        match finished.success {
            true => Ok(()),
            false => Err(failed(finished.stderr.trim().to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::root::tests::made;
    use super::*;

    fn store(folder: &Path) -> System {
        System {
            folder: folder.to_owned(),
            update: &["true"],
        }
    }

    fn root() -> Root {
        Root::parse(Path::new("root.crt"), made().as_bytes()).unwrap()
    }

    /// Two hubs have a file each, also when one of them wrote it under the older name; each takes out its own.
    #[tokio::test]
    async fn two_hubs_keep_their_roots() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let (first, second) = (root(), root());
        let older = folder.path().join(Root::older_file_name());
        fs::write(&older, &first.pem).unwrap();
        let outcome = |visit: Visit| visit.outcome.unwrap();
        assert_eq!(outcome(store.install(&second).await), Outcome::Added);
        assert!(!older.exists());
        assert!(store.holds(&first) && store.holds(&second));
        assert_eq!(store.roots().len(), 2);
        assert_eq!(outcome(store.install(&first).await), Outcome::Kept);
        assert_eq!(outcome(store.remove(&first).await), Outcome::Removed);
        assert_eq!(outcome(store.remove(&first).await), Outcome::Absent);
        assert!(!store.holds(&first) && store.holds(&second));
    }

    /// Hubs that start at once run the system's command one after the other.
    #[tokio::test]
    async fn the_command_runs_once_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let running = folder.path().join("running").display().to_string();
        // It fails if it runs already.
        let command = "mkdir \"$0\" || exit 1; sleep 0.1; rmdir \"$0\"";
        let update: Vec<&str> = vec!["sh", "-c", command, running.leak()];
        let update: &[&str] = update.leak();
        let store = || System {
            folder: folder.path().to_owned(),
            update,
        };
        let (first, second, third) = (store(), store(), store());
        let roots = [root(), root(), root()];
        let visits = tokio::join!(
            first.install(&roots[0]),
            second.install(&roots[1]),
            third.install(&roots[2])
        );
        for visit in [visits.0, visits.1, visits.2] {
            assert_eq!(visit.outcome.unwrap(), Outcome::Added);
        }
    }

    /// Without the system's command the root does not look as if it counted.
    #[tokio::test]
    async fn a_root_that_does_not_count_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = store(folder.path());
        store.update = &["false"];
        let root = root();
        let error = store.install(&root).await.outcome.unwrap_err().to_string();
        assert!(error.contains("false failed"), "{error}");
        assert!(!store.holds(&root) && store.roots().is_empty());
    }
}

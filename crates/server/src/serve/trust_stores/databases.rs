//! The databases of certificates that browsers read on Linux (NSS), changed by `certutil`.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::time::Duration;

use talaria_config::Error;

use super::browsers::{Folders, Place, Reach};
use super::command::{self, Finished};
use super::root::Root;
use super::visit::{Outcome, Visit};

const PROGRAM: &str = "certutil";
const INSTALL: &str = "install it (Debian, Ubuntu: libnss3-tools; Fedora, Alpine: nss-tools; Arch: nss), and run `talaria trust` again";
/// How long `certutil` may take for one database.
const LIMIT: Duration = Duration::from_secs(20);

/// The databases of a user.
#[derive(Debug)]
pub(super) struct Databases {
    existing: Vec<Place>,
    missing: Vec<Place>,
    other_owner: Option<u32>,
}

impl Databases {
    /// Finds those that exist and, if they are to be created, those that do not.
    pub(super) fn find(folders: &Folders, reach: Reach) -> Self {
        Self {
            existing: folders.existing(),
            missing: match reach {
                Reach::Existing => Vec::new(),
                Reach::Created => folders.missing(),
            },
            other_owner: folders.other_owner(),
        }
    }

    /// Puts a root into each.
    pub(super) async fn install(&self, root: &Root) -> Vec<Visit> {
        let places: Vec<&Place> = self.missing.iter().chain(&self.existing).collect();
        if places.is_empty() {
            return Vec::new();
        }
        if let Some(hindered) = self.hindrance("trust").await {
            return vec![hindered];
        }
        let mut visits = Vec::new();
        for place in places {
            visits.push(visit(place, add(place, root).await));
        }
        visits
    }

    /// Takes a root out of each.
    pub(super) async fn remove(&self, root: &Root) -> Vec<Visit> {
        if self.existing.is_empty() {
            return Vec::new();
        }
        if let Some(hindered) = self.hindrance("untrust").await {
            return vec![hindered];
        }
        let mut visits = Vec::new();
        for place in &self.existing {
            visits.push(visit(place, take_out(place, root).await));
        }
        visits
    }

    /// Why none of them can be changed. A missing program is a fault only where there is something to change.
    async fn hindrance(&self, verb: &str) -> Option<Visit> {
        let outcome = match self.other_owner {
            Some(owner) => Ok(Outcome::LeftAlone(format!(
                "the home folder belongs to the user {owner}; run `talaria {verb}` as that user"
            ))),
            None if !is_missing().await => return None,
            None if self.existing.is_empty() => Ok(Outcome::LeftAlone(format!(
                "`{PROGRAM}` is not installed; {INSTALL}"
            ))),
            None => Err(Error::new(format!("`{PROGRAM}` is not installed")).remedy(INSTALL)),
        };
        Some(Visit {
            store: "the browsers of this user".to_owned(),
            readers: "Chromium and Firefox",
            outcome,
        })
    }
}

fn visit(place: &Place, outcome: Result<Outcome, Error>) -> Visit {
    Visit {
        store: place.folder.display().to_string(),
        readers: place.readers,
        outcome,
    }
}

/// Whether the program that changes databases is missing.
async fn is_missing() -> bool {
    let started = command::run(PROGRAM, &["-H".to_owned()], "", LIMIT).await;
    started.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

async fn add(place: &Place, root: &Root) -> Result<Outcome, Error> {
    if !place.exists() {
        create(place).await?;
    }
    let nickname = root.nickname();
    if holds(place, root).await? {
        return Ok(Outcome::Kept);
    }
    // `C`: it certifies servers, and nothing else.
    let arguments = ["-A", "-a", "-t", "C,,", "-n", &nickname];
    let finished = certutil(place, &arguments, &root.pem).await?;
    succeeded(place, &finished, "put the root into it")?;
    Ok(Outcome::Added)
}

async fn take_out(place: &Place, root: &Root) -> Result<Outcome, Error> {
    let nickname = root.nickname();
    if !holds(place, root).await? {
        return Ok(Outcome::Absent);
    }
    let finished = certutil(place, &["-D", "-n", &nickname], "").await?;
    succeeded(place, &finished, "take the root out of it")?;
    Ok(Outcome::Removed)
}

/// Whether a database has an entry of this root.
async fn holds(place: &Place, root: &Root) -> Result<bool, Error> {
    let finished = certutil(place, &["-L", "-n", &root.nickname()], "").await?;
    Ok(finished.success)
}

/// Makes a database without a password, as the browsers do.
async fn create(place: &Place) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&place.folder)
        .map_err(|error| {
            Error::new(format!("{} cannot be made", place.folder.display())).caused_by(error)
        })?;
    let finished = certutil(place, &["-N", "--empty-password"], "").await?;
    succeeded(place, &finished, "make the database")
}

async fn certutil(place: &Place, arguments: &[&str], input: &str) -> Result<Finished, Error> {
    let folder = place.folder.display();
    let mut all: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
    all.extend(["-d".to_owned(), format!("sql:{folder}")]);
    command::run(PROGRAM, &all, input, LIMIT)
        .await
        .map_err(|error| Error::new(format!("{folder}: {PROGRAM} failed")).caused_by(error))
}

fn succeeded(place: &Place, finished: &Finished, what: &str) -> Result<(), Error> {
    if finished.success {
        return Ok(());
    }
    let why = finished.stderr.trim().replace('\n', " ");
    Err(Error::new(format!(
        "{}: {PROGRAM} could not {what}: {why}",
        place.folder.display()
    ))
    .remedy("close the browser and try again; a database with a password takes a root in the browser's settings only"))
}

#[cfg(test)]
mod tests {
    use super::super::browsers::tests::folders;
    use super::super::root::tests::made;
    use super::*;
    use std::path::Path;

    fn outcomes(visits: Vec<Visit>) -> Vec<Outcome> {
        visits
            .into_iter()
            .map(|visit| visit.outcome.unwrap())
            .collect()
    }

    /// A database is made where none is, and two roots come and go independently. Without `certutil` the visit says
    /// so.
    #[tokio::test]
    async fn roots_come_and_go() {
        let home = tempfile::tempdir().unwrap();
        let folders = folders(home.path());
        let root = || Root::parse(Path::new("root.crt"), made().as_bytes()).unwrap();
        let (first, second) = (root(), root());
        let find = |reach| Databases::find(&folders, reach);
        assert_eq!(find(Reach::Existing).install(&first).await.len(), 0);
        let visits = outcomes(find(Reach::Created).install(&first).await);
        if is_missing().await {
            assert!(
                matches!(visits.as_slice(), [Outcome::LeftAlone(_)]),
                "{visits:?}"
            );
            return;
        }
        assert_eq!(visits, [Outcome::Added]);
        assert_eq!(
            outcomes(find(Reach::Created).install(&first).await),
            [Outcome::Kept]
        );
        assert_eq!(
            outcomes(find(Reach::Existing).remove(&second).await),
            [Outcome::Absent]
        );
        assert_eq!(
            outcomes(find(Reach::Existing).install(&second).await),
            [Outcome::Added]
        );
        assert_eq!(
            outcomes(find(Reach::Existing).remove(&first).await),
            [Outcome::Removed]
        );
        assert_eq!(
            outcomes(find(Reach::Existing).install(&second).await),
            [Outcome::Kept]
        );
    }
}

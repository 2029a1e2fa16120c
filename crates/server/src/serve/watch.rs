//! Reloads the configuration when one of its files changes (`run --watch`).

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;

use crate::serve::control::{Control, Reloaded};
use crate::serve::log::in_one_line;

/// How often to look at the files.
const EVERY: Duration = Duration::from_secs(1);

/// What a file is known by: the time of its last change, its length, its number.
type Mark = Option<(i64, i64, u64, u64)>;

/// Watches the file that the program was started with and those that it imports, until it is cancelled. A
/// configuration that is wrong leaves the old one in force, and is read again at the next change.
pub(crate) async fn watch(control: Control, file: PathBuf) {
    let mut files = watched(&control, &file, &[]);
    // Nothing was seen yet: what changed between the start and the first look is read again too.
    let mut seen = Vec::new();
    let mut last_error = None;
    loop {
        sleep(EVERY).await;
        let now = marks(files.clone()).await;
        if now == seen {
            continue;
        }
        let mut of_wrong = Vec::new();
        match control.load_again(false).await {
            Ok(reloaded) => {
                last_error = None;
                if reloaded == Reloaded::InForce {
                    tracing::info!(name: "config_reloaded", file = %file.display(), "the changed configuration is in force");
                }
            }
            Err(error) => {
                let error = Some(in_one_line(&error));
                if !seen.is_empty() || error != last_error {
                    tracing::error!(
                        name: "config_rejected",
                        error,
                        "the changed configuration is wrong; the old one stays"
                    );
                }
                last_error = error;
                of_wrong = control.imports().await;
            }
        }
        let after = watched(&control, &file, &of_wrong);
        // What changed while it was read is read again. Files that were not watched then are read once more, because
        // nothing tells whether they have changed since.
        seen = match files == after {
            true => now,
            false => Vec::new(),
        };
        files = after;
    }
}

/// The file, those that the configuration in force imports, and those that the one imports that is wrong.
fn watched(control: &Control, file: &Path, of_wrong: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = vec![file.to_owned()];
    let source = control.source();
    let in_force = source.iter().flat_map(|source| &source.imported);
    for imported in in_force.chain(of_wrong) {
        files.push(imported.clone());
        // A file that comes may match the path of an import.
        files.extend(
            imported
                .parent()
                .map(|folder| match folder.as_os_str().is_empty() {
                    true => PathBuf::from("."),
                    false => folder.to_owned(),
                }),
        );
    }
    files.sort_unstable();
    files.dedup();
    files
}

async fn marks(files: Vec<PathBuf>) -> Vec<Mark> {
    let looked = tokio::task::spawn_blocking(move || files.iter().map(|file| mark(file)).collect());
    looked.await.unwrap_or_default()
}

fn mark(file: &Path) -> Mark {
    let found = fs::metadata(file).ok()?;
    Some((found.mtime(), found.mtime_nsec(), found.len(), found.ino()))
}

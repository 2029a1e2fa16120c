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
    let mut files = watched(&control, &file);
    // What changed between the start and the first look is read again too.
    let mut seen = Vec::new();
    loop {
        sleep(EVERY).await;
        let now = marks(files.clone()).await;
        if now == seen {
            continue;
        }
        match control.load_again(false).await {
            Ok(Reloaded::InForce) => {
                tracing::info!(file = %file.display(), "the changed configuration is in force");
            }
            Ok(Reloaded::Unchanged) => {}
            Err(error) => {
                let error = in_one_line(&error);
                tracing::error!(
                    error,
                    "the changed configuration is wrong; the old one stays"
                );
            }
        }
        let (before, after) = (files, watched(&control, &file));
        // What changed while it was read is read again.
        seen = if before == after {
            now
        } else {
            marks(after.clone()).await
        };
        files = after;
    }
}

fn watched(control: &Control, file: &Path) -> Vec<PathBuf> {
    let mut files = vec![file.to_owned()];
    if let Some(source) = control.source() {
        for imported in &source.imported {
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

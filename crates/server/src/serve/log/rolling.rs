//! Moves a log file away once it is long, and removes the oldest of those that were.

use std::fs::{metadata, read_dir, remove_file, rename};
use std::path::{Path, PathBuf};

use talaria_config::settings::RollSettings;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};

use crate::serve::clock;

/// How many characters the time of a name has: `2026-11-29T22-46-05.123`.
const TIME: usize = 23;

/// Moves a file away, to `<name>-<time>.<ending>` as the existing server calls it, and returns whether that can be
/// done. If not, the log says so, and the file grows.
pub(super) fn roll(path: &Path, settings: &RollSettings) -> bool {
    let Some((folder, start, end)) = parts(path) else {
        return false;
    };
    let moved = folder.join(format!("{start}{}{end}", time()));
    // Within a millisecond it may have been moved already.
    if moved.exists() {
        return true;
    }
    if let Err(error) = rename(path, &moved) {
        tracing::warn!(
            "the log {} is long and cannot be moved away, so it grows: {error}; make its folder writable, or write `roll_disabled` and let logrotate move it",
            path.display()
        );
        return false;
    }
    for old in surplus(&folder, &start, &end, settings) {
        if let Err(error) = remove_file(&old) {
            tracing::warn!("the old log {} cannot be removed: {error}", old.display());
        }
    }
    true
}

/// The folder of a file, and what stands before and behind the time in the names of those that were moved away.
fn parts(path: &Path) -> Option<(PathBuf, String, String)> {
    let folder = path.parent()?;
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    let name = path.file_stem()?.to_str()?;
    let end = match path.extension() {
        Some(ending) => format!(".{}", ending.to_str()?),
        None => String::new(),
    };
    Some((folder.to_owned(), format!("{name}-"), end))
}

fn time() -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text.chars()
        .take(TIME)
        .map(|c| if c == ':' { '-' } else { c })
        .collect()
}

/// The files that were moved away and are too many or too old, those that the existing server has compressed too.
fn surplus(folder: &Path, start: &str, end: &str, settings: &RollSettings) -> Vec<PathBuf> {
    let Ok(entries) = read_dir(folder) else {
        return Vec::new();
    };
    let time_of = |name: &str| {
        let name = name.strip_suffix(".gz").unwrap_or(name);
        let time = name.strip_prefix(start)?.strip_suffix(end)?;
        is_time(time).then(|| time.to_owned())
    };
    let mut moved: Vec<(String, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((time_of(entry.file_name().to_str()?)?, entry.path()))
        })
        .collect();
    moved.sort_by(|one, other| other.0.cmp(&one.0));
    let now = clock::now();
    let is_old = |path: &Path| {
        let modified = metadata(path).and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|time| now.duration_since(time).ok());
        age.is_some_and(|age| age > settings.keep_for)
    };
    let paths = moved.into_iter().map(|(_, path)| path).enumerate();
    paths
        .filter(|(place, path)| *place >= settings.keep || is_old(path))
        .map(|(_, path)| path)
        .collect()
}

fn is_time(text: &str) -> bool {
    const FORM: &str = "0000-00-00T00-00-00.000";
    text.len() == TIME
        && text
            .bytes()
            .zip(FORM.bytes())
            .all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                form => byte == form,
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_time() {
        assert!(is_time(&time()), "{}", time());
        for other in [
            "",
            "other",
            "2026-11-29T22-46-05.12",
            "2026-11-29T22:46:05.123",
        ] {
            assert!(!is_time(other), "{other}");
        }
        let parts = parts(Path::new("access")).unwrap();
        assert_eq!(parts, (".".into(), "access-".to_owned(), String::new()));
    }
}

//! Moves a log file away once it is long, and removes the oldest of those that were.

use std::fs::{File, OpenOptions, metadata, read_dir, remove_file, rename, set_permissions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use talaria_config::settings::RollSettings;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};

use crate::serve::clock;

/// How many characters the time of a name has: `2026-11-29T22-46-05.123`.
const TIME: usize = 23;

/// The ending of a file that is being compressed.
const PART: &str = "gz.part";

/// Whether a thread compresses already; there is one at most, for the files of all logs.
static IS_COMPRESSING: AtomicBool = AtomicBool::new(false);

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
            name: "log_not_rolled",
            "the log {} is long and cannot be moved away, so it grows: {error}; make its folder writable, or write `roll_disabled` and let logrotate move it",
            path.display()
        );
        return false;
    }
    for old in surplus(&folder, &start, &end, settings) {
        if let Err(error) = remove_file(&old) {
            tracing::warn!(name: "log_not_removed", "the old log {} cannot be removed: {error}", old.display());
        }
    }
    if settings.compress {
        compress_later(folder, start, end);
    }
    true
}

/// Compresses, on a separate thread, the files that were moved away, also those that an earlier thread has left.
fn compress_later(folder: PathBuf, start: String, end: String) {
    if IS_COMPRESSING.swap(true, Ordering::AcqRel) {
        return;
    }
    let compress = move || {
        for (_, path) in moved(&folder, &start, &end) {
            if path.extension().is_some_and(|ending| ending == "gz") {
                continue;
            }
            if let Err(error) = compress(&path) {
                tracing::warn!(
                    name: "log_not_compressed",
                    "the old log {} cannot be compressed, and stays as it is: {error}",
                    path.display()
                );
                break;
            }
        }
        IS_COMPRESSING.store(false, Ordering::Release);
    };
    let thread = std::thread::Builder::new().name("talaria-log-gzip".to_owned());
    if thread.spawn(compress).is_err() {
        IS_COMPRESSING.store(false, Ordering::Release);
    }
}

/// Replaces a file by its compressed form, whose name ends in `.gz`. A crash leaves the file.
fn compress(path: &Path) -> io::Result<()> {
    let with_ending = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(".");
        name.push(ending);
        PathBuf::from(name)
    };
    let (part, whole) = (with_ending(PART), with_ending("gz"));
    let mut source = File::open(path)?;
    let mut options = OpenOptions::new();
    let target = options
        .write(true)
        .create(true)
        .truncate(true)
        .open(&part)?;
    set_permissions(&part, source.metadata()?.permissions())?;
    let mut gzip = GzEncoder::new(BufWriter::new(target), Compression::default());
    io::copy(&mut source, &mut gzip)?;
    gzip.finish()?.flush()?;
    rename(&part, &whole)?;
    remove_file(path)
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

/// The files that were moved away, the latest first, compressed ones too; each with its time.
fn moved(folder: &Path, start: &str, end: &str) -> Vec<(String, PathBuf)> {
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
    moved
}

/// The files that were moved away and are too many or too old.
fn surplus(folder: &Path, start: &str, end: &str, settings: &RollSettings) -> Vec<PathBuf> {
    let now = clock::now();
    let is_old = |path: &Path| {
        let modified = metadata(path).and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|time| now.duration_since(time).ok());
        age.is_some_and(|age| age > settings.keep_for)
    };
    let moved = moved(folder, start, end);
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

    /// A file that was moved away is compressed, and holds the same.
    #[test]
    fn old_files_are_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a-2026-11-29T22-46-05.123.log");
        let text = "one line\n".repeat(10_000);
        std::fs::write(&path, &text).unwrap();
        compress(&path).unwrap();
        let names: Vec<_> = read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(names, ["a-2026-11-29T22-46-05.123.log.gz"]);
        let file = File::open(folder.path().join(&names[0])).unwrap();
        assert!(file.metadata().unwrap().len() < 1000);
        let mut read = String::new();
        let mut gzip = flate2::read::GzDecoder::new(file);
        io::Read::read_to_string(&mut gzip, &mut read).unwrap();
        assert_eq!(read, text);
        assert_eq!(moved(folder.path(), "a-", ".log").len(), 1);
    }

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

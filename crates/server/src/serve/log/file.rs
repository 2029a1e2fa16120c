//! Files to which lines are added: `log { output file <path> }`.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rustix::fs::OFlags;
use talaria_config::Error;
use talaria_config::settings::{LogFileSettings, RollSettings};

use super::queue::Queue;
use super::rolling::roll;

/// The files that are open, so that several sites may write to one, and so that the end of the process can wait for
/// the last lines.
static FILES: Mutex<Vec<Opened>> = Mutex::new(Vec::new());

struct Opened {
    path: PathBuf,
    file: Weak<LogFile>,
    queue: Arc<Queue>,
    roll: Roll,
}

/// When the file is moved away, which a reload may change.
type Roll = Arc<Mutex<Option<RollSettings>>>;

/// A file to which lines are added. Nothing waits for it; where the disk is too slow, lines are counted instead.
#[derive(Debug)]
pub(crate) struct LogFile(Arc<Queue>);

impl LogFile {
    /// Opens a file, which is made if it is not there. If it is moved away, it is made again.
    ///
    /// # Errors
    /// It cannot be opened, or the system refuses a thread.
    pub(crate) fn open(settings: &LogFileSettings) -> Result<Arc<Self>, Error> {
        let path = settings.path.as_path();
        let wrong = |error| {
            Error::new(format!("the log {} cannot be opened", path.display()))
                .caused_by(error)
                .remedy("make its folder writable, or write `output stderr`")
        };
        let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        // The queue of a file that is used no more is closed, and no other writes to it.
        files.retain(|opened| {
            opened.file.strong_count() > 0 || Arc::strong_count(&opened.queue) > 1
        });
        let known = files.iter().filter(|opened| opened.path == path);
        let open_already =
            |opened: &Opened| Some((opened.file.upgrade()?, Arc::clone(&opened.roll)));
        if let Some((known, roll)) = known.filter_map(open_already).next() {
            *roll.lock().unwrap_or_else(PoisonError::into_inner) = settings.roll;
            return Ok(known);
        }
        let (file, kept) = (open(path).map_err(wrong)?, path.to_owned());
        let roll: Roll = Arc::new(Mutex::new(settings.roll));
        let followed = Arc::clone(&roll);
        let mut may_roll = true;
        let renew = move |file: &mut File| {
            let roll = *followed.lock().unwrap_or_else(PoisonError::into_inner);
            renew(file, &kept, roll, &mut may_roll);
        };
        let queue = Queue::start_with(file, renew, notice).map_err(wrong)?;
        let file = Arc::new(Self(Arc::clone(&queue)));
        files.push(Opened {
            path: path.to_owned(),
            file: Arc::downgrade(&file),
            queue,
            roll,
        });
        Ok(file)
    }

    /// Adds a line, newline included.
    pub(crate) fn push(&self, line: &[u8]) {
        self.0.push(line);
    }
}

impl Drop for LogFile {
    /// Its thread writes what waits, and ends.
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Waits until the lines of all files are written, at most this long for each.
pub(super) fn finish(limit: Duration) {
    let files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    for opened in files.iter() {
        opened.queue.finish(limit);
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    // A pipe without a reader must not block.
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
}

/// The line that says how many lines were dropped.
fn notice(dropped: u64) -> String {
    format!(
        "{{\"level\":\"warn\",\"msg\":\"log lines were dropped: the disk is not fast enough\",\"dropped\":{dropped}}}\n"
    )
}

/// Opens a file again that is not at its path any more, or is long enough to be moved away. If that fails, the lines
/// go where they went; a file that cannot be moved away is not tried again, because each line would.
fn renew(file: &mut File, path: &Path, settings: Option<RollSettings>, may_roll: &mut bool) {
    let identity = |metadata: &Metadata| (metadata.dev(), metadata.ino());
    let at_path = metadata(path).ok().as_ref().map(identity);
    let opened = file.metadata().ok();
    if at_path.is_some() && at_path == opened.as_ref().map(identity) {
        let length = opened.filter(Metadata::is_file).map(|file| file.len());
        let is_long = |roll: &RollSettings| length.is_some_and(|length| length >= roll.size);
        let Some(settings) = settings.filter(|roll| *may_roll && is_long(roll)) else {
            return;
        };
        *may_roll = roll(path, &settings);
        if !*may_roll {
            return;
        }
    }
    if let Ok(opened) = open(path) {
        *file = opened;
        *may_roll = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits for the lines of a file.
    fn read(path: &Path, lines: usize) -> String {
        for _ in 0..1000 {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            if text.lines().count() >= lines {
                return text;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{} is not written", path.display());
    }

    /// Lines are added, also by two sites, and a file that was moved away is made again.
    #[test]
    fn lines_are_added_where_the_path_leads() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/access.log");
        let settings = |path: &Path| LogFileSettings {
            path: path.to_owned(),
            roll: None,
        };
        let first = LogFile::open(&settings(&path)).unwrap();
        let second = LogFile::open(&settings(&path)).unwrap();
        first.push(b"one\n");
        second.push(b"two\n");
        assert_eq!(read(&path, 2), "one\ntwo\n");
        let moved = folder.path().join("logs/access.log.1");
        std::fs::rename(&path, &moved).unwrap();
        first.push(b"three\n");
        assert_eq!(read(&path, 1), "three\n");
        drop((first, second));
        let again = LogFile::open(&settings(&path)).unwrap();
        again.push(b"four\n");
        drop(again);
        assert_eq!(read(&path, 2), "three\nfour\n");
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
        let error = LogFile::open(&settings(folder.path()))
            .unwrap_err()
            .to_string();
        assert!(error.contains("cannot be opened"), "{error}");
    }
    /// A file that is long is moved away, also after a reload only, and the oldest of those goes. Other files stay.
    #[test]
    fn a_long_file_is_moved_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut settings = LogFileSettings {
            path: path.clone(),
            roll: None,
        };
        let other = folder.path().join("access-other.log");
        std::fs::write(&other, "").unwrap();
        let moved = || {
            let entries = std::fs::read_dir(folder.path()).unwrap();
            let paths = entries.map(|entry| entry.unwrap().path());
            let mut moved: Vec<_> = paths.filter(|one| *one != path && *one != other).collect();
            moved.sort();
            moved
        };
        let file = LogFile::open(&settings).unwrap();
        file.push(b"zero\n");
        read(&path, 1);
        settings.roll = Some(RollSettings {
            size: 1,
            keep: 2,
            ..RollSettings::default()
        });
        let file = (LogFile::open(&settings).unwrap(), file).0;
        for line in ["one\n", "two\n", "three\n"] {
            // Their names have milliseconds.
            std::thread::sleep(Duration::from_millis(2));
            file.push(line.as_bytes());
            for _ in 0..1000 {
                if std::fs::read_to_string(&path).is_ok_and(|text| text == line) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            assert_eq!(std::fs::read_to_string(&path).unwrap(), line);
        }
        let texts: Vec<_> = moved()
            .iter()
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect();
        assert_eq!(texts, ["one\n", "two\n"]);
        assert!(other.exists());
    }
}

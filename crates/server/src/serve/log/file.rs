//! Files to which lines are added: `log { output file <path> }`.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::OFlags;
use talaria_config::Error;
use talaria_config::settings::{LogFileSettings, RollSettings};

use super::queue::Queue;
use super::rolling::roll;
use super::shared::Shared;

/// Opens a file, which is made if it is not there. If it is moved away, it is made again.
///
/// # Errors
/// It cannot be opened, or the system refuses a thread.
pub(super) fn start(
    settings: &LogFileSettings,
    shared: Shared,
    notice: impl Fn(u64) -> String + Send + 'static,
) -> Result<Arc<Queue>, Error> {
    let wrong = |error| {
        Error::new(format!(
            "the log {} cannot be opened",
            settings.path.display()
        ))
        .caused_by(error)
        .remedy("make its folder writable, or write `output stderr`")
    };
    let (path, mode) = (settings.path.clone(), settings.mode);
    let file = open(&path, mode).map_err(wrong)?;
    let mut may_roll = true;
    let renew = move |file: &mut File| {
        renew(file, &path, mode, shared.roll(), &mut may_roll);
    };
    Queue::start(file, renew, notice).map_err(wrong)
}

fn open(path: &Path, mode: u32) -> io::Result<File> {
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
        .mode(mode)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
}

/// Opens a file again that is not at its path any more, or is long enough to be moved away. If that fails, the lines
/// go where they went; a file that cannot be moved away is not tried again, because each line would.
fn renew(
    file: &mut File,
    path: &Path,
    mode: u32,
    settings: Option<RollSettings>,
    may_roll: &mut bool,
) {
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
    if let Ok(opened) = open(path, mode) {
        *file = opened;
        *may_roll = true;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use talaria_config::settings::{LogForm, LogNotation, LogOutput};

    use super::*;
    use crate::serve::log::output::{self, Sink};
    use crate::serve::log::style::Style;

    fn sink(settings: &LogFileSettings) -> Result<Arc<Sink>, Error> {
        let style = Style {
            form: LogForm::Json,
            notation: LogNotation::default(),
            colors: false,
        };
        let sink = output::open(&LogOutput::File(settings.clone()), &style)?;
        Ok(sink.expect("a file"))
    }

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
            mode: 0o640,
            roll: None,
        };
        let first = sink(&settings(&path)).unwrap();
        let second = sink(&settings(&path)).unwrap();
        first.push(b"one\n");
        second.push(b"two\n");
        assert_eq!(read(&path, 2), "one\ntwo\n");
        let mode = std::fs::metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o777 & !0o640, 0, "{mode:o}");
        let moved = folder.path().join("logs/access.log.1");
        std::fs::rename(&path, &moved).unwrap();
        first.push(b"three\n");
        assert_eq!(read(&path, 1), "three\n");
        drop((first, second));
        let again = sink(&settings(&path)).unwrap();
        again.push(b"four\n");
        drop(again);
        assert_eq!(read(&path, 2), "three\nfour\n");
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
        let error = sink(&settings(folder.path())).unwrap_err().to_string();
        assert!(error.contains("cannot be opened"), "{error}");
    }
    /// A file that is long is moved away, also after a reload only, and the oldest of those goes. Other files stay.
    #[test]
    fn a_long_file_is_moved_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("access.log");
        let mut settings = LogFileSettings {
            path: path.clone(),
            mode: LogFileSettings::MODE,
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
        let file = sink(&settings).unwrap();
        file.push(b"zero\n");
        read(&path, 1);
        settings.roll = Some(RollSettings {
            size: 1,
            keep: 2,
            compress: false,
            ..RollSettings::default()
        });
        let file = (sink(&settings).unwrap(), file).0;
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

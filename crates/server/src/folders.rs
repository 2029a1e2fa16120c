//! Where the files of this machine's user lie, and how files that hold keys are read.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// What a file with one key or certificate chain may have, in bytes.
pub const KEY_BYTES: u64 = 256 * 1024;

/// `$XDG_DATA_HOME`, else `$HOME/.local/share`; an empty variable counts as none (B-070).
pub fn data_home<V: Into<OsString>>(variable: impl Fn(&str) -> Option<V>) -> Option<PathBuf> {
    let set = |name: &str| {
        let value: OsString = variable(name)?.into();
        (!value.is_empty()).then(|| PathBuf::from(value))
    };
    set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")))
}

/// What to tell where there is none.
pub const NO_DATA_HOME: &str = "no data directory: set XDG_DATA_HOME or HOME";

/// Reads a file that the configuration names, which may be a link, as secrets of containers are.
///
/// # Errors
/// It cannot be read, is a folder, pipe or device, or has more than `max` bytes.
pub fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    read_opened(path, OFlags::empty(), max)
}

/// Reads a file of a folder of ours, which is not a link: whoever may write there must not have the
/// hub read, or write, elsewhere.
///
/// # Errors
/// As [`read`], and it is a link.
pub fn read_own(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    read_opened(path, OFlags::NOFOLLOW, max).map_err(|error| {
        if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
            io::Error::other("it is a symbolic link, which is not followed here")
        } else {
            error
        }
    })
}

fn read_opened(path: &Path, flags: OFlags, max: u64) -> io::Result<Vec<u8>> {
    // A pipe without a writer would have this wait for ever.
    let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other(
            "it is a folder, a pipe or a device, not a file",
        ));
    }
    read_at_most(file, max)
}

/// Reads to the end.
///
/// # Errors
/// There are more than `max` bytes.
pub fn read_at_most(source: impl Read, max: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    source
        .take(max.saturating_add(1))
        .read_to_end(&mut content)?;
    if content.len() as u64 > max {
        return Err(io::Error::other(format!("it has more than {max} bytes")));
    }
    Ok(content)
}

/// What was read, as text.
///
/// # Errors
/// It is not UTF-8.
pub fn text(content: Vec<u8>) -> io::Result<String> {
    String::from_utf8(content).map_err(|_| io::Error::other("it is not UTF-8 text"))
}

/// Creates a file of a folder of ours in place of one that may be there; through no link.
///
/// # Errors
/// Of the file system.
pub fn create_own(path: &Path, mode: u32) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode).open(path)
}

/// What is wrong with the permissions of a key's file, and the remedy.
pub fn exposed_key(path: &Path) -> Option<String> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    let who = match mode & 0o007 {
        0 => return None,
        bits if bits & 0o002 != 0 => "may replace",
        _ => "may read",
    };
    Some(format!(
        "{0}: every user of this machine {who} this key; run: chmod o= '{0}'",
        path.display()
    ))
}

/// What is wrong with the permissions of a folder that holds the hub's data, and the remedy.
pub fn exposed_folder(path: &Path) -> Option<String> {
    const STICKY: u32 = 0o1000;
    let path = if path == Path::new("") {
        Path::new(".")
    } else {
        path
    };
    let mode = fs::metadata(path).ok()?.permissions().mode();
    (mode & 0o002 != 0 && mode & STICKY == 0).then(|| {
        format!(
            "{0}: every user of this machine may replace what lies in this folder of the hub's data; run: chmod o-w '{0}'",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is named as a file, the start neither waits nor fills its memory.
    #[test]
    fn only_files_of_a_bounded_size_are_read() {
        let folder = std::env::temp_dir().join(format!("talaria-read-{}", std::process::id()));
        _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let path = |name: &str| folder.join(name);
        fs::write(path("key"), "0123456789").unwrap();
        assert_eq!(read(&path("key"), 10).unwrap(), b"0123456789");
        assert!(
            read(&path("key"), 9)
                .unwrap_err()
                .to_string()
                .contains("9 bytes")
        );
        let pipe = std::process::Command::new("mkfifo")
            .arg(path("pipe"))
            .status();
        assert!(pipe.unwrap().success());
        std::os::unix::fs::symlink(path("key"), path("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path("zero")).unwrap();
        for name in ["pipe", "zero", "."] {
            let error = read(&path(name), 10).unwrap_err().to_string();
            assert!(error.contains("not a file"), "{name}: {error}");
        }
        assert_eq!(read(&path("link"), 10).unwrap(), b"0123456789");
        let error = read_own(&path("link"), 10).unwrap_err().to_string();
        assert!(error.contains("symbolic link"), "{error}");
        drop(create_own(&path("link"), 0o600).unwrap());
        assert_eq!(read_own(&path("link"), 10).unwrap(), b"");
        assert_eq!(read(&path("key"), 10).unwrap(), b"0123456789");
        for (mode, says) in [
            (0o600, None),
            (0o640, None),
            (0o644, Some("may read")),
            (0o606, Some("may replace")),
        ] {
            fs::set_permissions(path("key"), fs::Permissions::from_mode(mode)).unwrap();
            let said = exposed_key(&path("key"));
            assert_eq!(said.is_some(), says.is_some(), "{mode:o}");
            assert!(
                said.is_none_or(|said| said.contains(says.unwrap()) && said.contains("chmod o="))
            );
        }
        for (mode, exposed) in [
            (0o700, false),
            (0o755, false),
            (0o777, true),
            (0o1777, false),
            (0o703, true),
        ] {
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
            let said = exposed_folder(&folder);
            assert_eq!(said.is_some(), exposed, "{mode:o}");
            assert!(said.is_none_or(|said| said.contains("chmod o-w")));
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_data_home_follows_the_variables() {
        let home = |xdg: Option<&'static str>, home: Option<&'static str>| {
            data_home(|name| if name == "HOME" { home } else { xdg })
        };
        assert_eq!(home(Some("/d"), Some("/h")), Some("/d".into()));
        assert_eq!(home(Some(""), Some("/h")), Some("/h/.local/share".into()));
        assert_eq!(home(None, Some("")), None);
    }
}

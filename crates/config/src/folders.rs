//! Where the files of this machine's user lie, and how files that hold keys are read.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// The most bytes that a file with a key or a certificate chain may have.
pub const KEY_BYTES: u64 = 256 * 1024;

/// `$XDG_DATA_HOME`, else `$HOME/.local/share`; an empty variable counts as unset (B-070).
pub fn data_home<V: Into<OsString>>(variable: impl Fn(&str) -> Option<V>) -> Option<PathBuf> {
    home("XDG_DATA_HOME", ".local/share", variable)
}

/// `$XDG_CONFIG_HOME`, else `$HOME/.config`; an empty variable counts as unset (B-071).
pub fn config_home<V: Into<OsString>>(variable: impl Fn(&str) -> Option<V>) -> Option<PathBuf> {
    home("XDG_CONFIG_HOME", ".config", variable)
}

fn home<V: Into<OsString>>(
    name: &str,
    below: &str,
    variable: impl Fn(&str) -> Option<V>,
) -> Option<PathBuf> {
    let set = |name: &str| {
        let value: OsString = variable(name)?.into();
        (!value.is_empty()).then(|| PathBuf::from(value))
    };
    set(name).or_else(|| Some(set("HOME")?.join(below)))
}

/// The message for a user without a data directory.
pub const NO_DATA_HOME: &str = "no data directory: set XDG_DATA_HOME or HOME";

/// Reads a file that the configuration names. It may be a link, as secrets of containers are.
///
/// # Errors
/// It cannot be read, is a folder, pipe or device, or has more than `max` bytes.
pub fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    read_opened(path, OFlags::empty(), max)
}

/// Reads a file in a folder of the hub, and refuses a link: another user who may write there must not make
/// the hub read elsewhere.
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
    // Opening a pipe without a writer would wait for ever.
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

/// Reads a source to its end.
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

/// The bytes of a file as text.
///
/// # Errors
/// It is not UTF-8.
pub fn text(content: Vec<u8>) -> io::Result<String> {
    String::from_utf8(content).map_err(|_| io::Error::other("it is not UTF-8 text"))
}

/// Creates a file in a folder of the hub, in place of one that may be there, and follows no link.
///
/// # Errors
/// The file system refuses it.
pub fn create_own(path: &Path, mode: u32) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode).open(path)
}

/// What is wrong with the permissions of a key's file, and the remedy. A secret of a container is never
/// reported: the container has no other users, and a read-only mount takes no `chmod`.
pub fn exposed_key(path: &Path) -> Option<String> {
    if is_of_container(path) {
        return None;
    }
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

/// Whether a file is a secret of a container, which has no other users and takes no `chmod`.
pub(crate) fn is_of_container(path: &Path) -> bool {
    const FOLDERS: [&str; 2] = ["/run/secrets", "/var/run/secrets"];
    // The file behind a link is what others may read.
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    FOLDERS.iter().any(|folder| real.starts_with(folder))
        || rustix::fs::statvfs(&real)
            .is_ok_and(|found| found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}

/// What is wrong with the permissions of the folders in which the hub's data lies, and the remedy. All
/// folders of a path up to the root are checked, as written and behind links: a user who may write to one of
/// them may put another folder in the place of the next.
pub fn exposed_folders(data: &[&Path]) -> Vec<String> {
    const STICKY: u32 = 0o1000;
    let mut seen = BTreeSet::new();
    let mut exposed = Vec::new();
    for path in data {
        let written = std::path::absolute(path).ok();
        // A file that does not exist yet will lie in the nearest folder that does.
        let real = written
            .iter()
            .flat_map(|path| path.ancestors())
            .find_map(|path| fs::canonicalize(path).ok());
        let paths = [written, real].into_iter().flatten();
        for folder in paths.flat_map(|path| ancestors(&path)) {
            let Ok(metadata) = fs::metadata(&folder) else {
                continue;
            };
            let mode = metadata.permissions().mode();
            // In a folder with the sticky bit, such as /tmp, users replace only what is theirs.
            if metadata.is_dir()
                && mode & 0o002 != 0
                && mode & STICKY == 0
                && seen.insert((metadata.dev(), metadata.ino()))
            {
                exposed.push(format!(
                    "{0}: every user of this machine may replace what lies in this folder, and the hub's data lies there; run: chmod o-w '{0}'",
                    folder.display()
                ));
            }
        }
    }
    exposed
}

fn ancestors(path: &Path) -> Vec<PathBuf> {
    path.ancestors().map(Path::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the configuration names as a file, reading it neither waits nor fills the memory.
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
        fs::remove_dir_all(&folder).unwrap();
    }

    /// A user who may write to a folder may replace what is in it, and so all that lies below.
    #[test]
    fn folders_that_others_may_write_are_told() {
        let top = std::env::temp_dir().join(format!("talaria-folders-{}", std::process::id()));
        _ = fs::remove_dir_all(&top);
        let caddy = top.join("share/caddy");
        fs::create_dir_all(&caddy).unwrap();
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let history = caddy.join("mercure.db");
        let (link, share) = (top.join("link"), top.join("share"));
        let linked = top.join("other/caddy/mercure.db");
        fs::create_dir_all(top.join("other")).unwrap();
        std::os::unix::fs::symlink(&caddy, top.join("other/caddy")).unwrap();
        std::os::unix::fs::symlink(&share, &link).unwrap();
        for (modes, exposed) in [
            ([0o700, 0o700, 0o700], &[][..]),
            ([0o755, 0o755, 0o755], &[]),
            ([0o755, 0o755, 0o777], &[&caddy]),
            ([0o755, 0o755, 0o703], &[&caddy]),
            ([0o755, 0o777, 0o700], &[&share]),
            ([0o777, 0o755, 0o700], &[&top]),
            ([0o777, 0o777, 0o777], &[&caddy, &share, &top]),
            ([0o1777, 0o1777, 0o1777], &[]),
            ([0o755, 0o1777, 0o700], &[]),
        ] {
            for (path, mode) in [&top, &share, &caddy].into_iter().zip(modes) {
                set(path, mode);
            }
            // The file may exist or not, be named once or twice, and lie behind links.
            for paths in [
                &[history.as_path()][..],
                &[&caddy],
                &[&caddy, &history],
                &[&caddy.join("x/../mercure.db")],
            ] {
                let said = exposed_folders(paths);
                assert_eq!(said.len(), exposed.len(), "{modes:?} {said:?}");
                for (said, folder) in said.iter().zip(exposed) {
                    assert!(
                        said.starts_with(&format!("{}: ", folder.display())),
                        "{said}"
                    );
                    assert!(said.contains("chmod o-w"), "{said}");
                }
            }
            for path in [
                link.join("caddy"),
                link.join("caddy/new"),
                linked.parent().unwrap().to_owned(),
            ] {
                let said = exposed_folders(&[&path]);
                assert_eq!(said.len(), exposed.len(), "{path:?} {modes:?} {said:?}");
            }
        }
        fs::remove_dir_all(&top).unwrap();
    }

    /// No warning is given about the secrets that a container mounts, as far as this machine has such mounts.
    #[test]
    fn secrets_of_containers_are_not_warned_of() {
        for (path, is_there) in [
            ("/run/secrets/mercure_key", true),
            ("/var/run/secrets/key/none", true),
            ("/run/secrets.old/key", false),
            ("/run/nothing", false),
        ] {
            assert_eq!(is_of_container(Path::new(path)), is_there, "{path}");
        }
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        for mount in mounts.lines() {
            let words: Vec<_> = mount.split(' ').collect();
            let is_read_only = words[3].split(',').any(|option| option == "ro");
            if is_read_only && fs::metadata(words[1]).is_ok_and(|found| found.is_file()) {
                assert_eq!(exposed_key(Path::new(words[1])), None, "{mount}");
            }
        }
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

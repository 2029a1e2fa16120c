//! The last configuration that was loaded while the program ran, kept for `run --resume` (B-071).

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use talaria_config::folders::{self, config_home};
use talaria_config::{Error, File};

/// The name of the file, beside that of the existing server, whose form is another one.
const NAME: &str = "talaria-autosave.json";
/// The most bytes of it: a configuration of a mebibyte, each byte escaped.
const MOST_BYTES: u64 = 8 << 20;

/// The path of the file; `None` if the environment names no home.
pub(crate) fn path() -> Option<PathBuf> {
    let home = config_home(|name| std::env::var_os(name))?;
    Some(home.join("caddy").join(NAME))
}

/// Keeps a configuration in place of the one before, atomically and for this user alone.
///
/// # Errors
/// The file system refuses it.
pub(crate) fn write(path: &Path, file: &File) -> Result<(), Error> {
    let kept = json!({ "name": file.name, "text": file.text });
    write_whole(path, &format!("{kept}\n")).map_err(|error| {
        Error::new(path.display().to_string())
            .caused_by(error)
            .remedy("make its folder writable, or write `persist_config off`")
    })
}

fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(folder)?;
    }
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let written = folders::create_own(&draft, 0o600).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let moved = written.and_then(|()| fs::rename(&draft, path));
    if moved.is_err() {
        // It is of no use, and the error that counts is the one before.
        _ = fs::remove_file(&draft);
    }
    moved
}

/// Removes what was kept, if there is something.
///
/// # Errors
/// The file system refuses it.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::new(path.display().to_string())
                .caused_by(error)
                .remedy("remove it, or leave --resume out"))
        }
        _ => Ok(()),
    }
}

/// The configuration that was kept; `None` if there is none.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read(path: &Path) -> Result<Option<File>, Error> {
    let wrong = |cause: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(path.display().to_string())
            .caused_by(cause)
            .remedy("remove it, or leave --resume out")
    };
    let text = match folders::read_own(path, MOST_BYTES).and_then(folders::text) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(error.into())),
    };
    let kept: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| wrong(error.into()))?;
    let member = |name: &str| kept.get(name).and_then(serde_json::Value::as_str);
    match (member("name"), member("text")) {
        (Some(name), Some(text)) => Ok(Some(File {
            name: name.to_owned(),
            text: text.to_owned(),
        })),
        _ => Err(wrong("it holds no configuration".into())),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// What was kept is read again; only its user can read it.
    #[test]
    fn a_configuration_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("caddy/kept.json");
        assert!(read(&path).unwrap().is_none());
        for text in ["a \"b\"\n", "c"] {
            let file = File {
                name: "/etc/Caddyfile".to_owned(),
                text: text.to_owned(),
            };
            write(&path, &file).unwrap();
            let kept = read(&path).unwrap().unwrap();
            assert_eq!((kept.name, kept.text), (file.name, file.text));
        }
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        remove(&path).unwrap();
        assert!(read(&path).unwrap().is_none());
        remove(&path).unwrap();
        fs::write(&path, "{").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("--resume"));
    }
}

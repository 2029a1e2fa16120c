//! The key of the development hub, which is made once.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use talaria_config::settings::Secret;
use talaria_config::{Error, folders};

/// The key in `directory`, made if there is none, and its file.
///
/// # Errors
///
/// It cannot be read or made, or others may read it.
pub(super) fn key(directory: &Path) -> Result<(Secret, PathBuf), Error> {
    let path = directory.join("dev.key");
    let shown = path.display();
    let failed = |error: io::Error| {
        Error::new(shown.to_string())
            .caused_by(error)
            .remedy("set XDG_DATA_HOME to a writable directory")
    };
    match folders::read_own(&path, folders::KEY_BYTES).and_then(folders::text) {
        Ok(text) => {
            let mode = fs::metadata(&path).map_err(failed)?.permissions().mode();
            if mode & 0o077 != 0 {
                return Err(Error::new(format!("{shown}: others may read this key"))
                    .remedy(format!("run: chmod 600 '{shown}'")));
            }
            let text = text.trim();
            if text.len() < 32 {
                return Err(
                    Error::new(format!("{shown}: this is not a key of 32 bytes or more"))
                        .remedy("remove the file"),
                );
            }
            return Ok((Secret::new(text.to_owned()), path));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let mut random = [0; 32];
    getrandom::fill(&mut random)
        .map_err(|error| Error::new(format!("no random numbers: {error}")))?;
    let text = BASE64_URL_SAFE_NO_PAD.encode(random);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(failed)?;
    // The key is written under another name and linked, so that a hub that starts at the same moment
    // never reads half a key nor replaces ours.
    let draft = directory.join(format!("dev.key.{}", std::process::id()));
    let written = folders::create_own(&draft, 0o600)
        .and_then(|mut file| writeln!(file, "{text}"))
        .and_then(|()| fs::hard_link(&draft, &path));
    let _ = fs::remove_file(&draft);
    match written {
        Ok(()) => Ok((Secret::new(text), path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => key(directory),
        Err(error) => Err(failed(error)),
    }
}

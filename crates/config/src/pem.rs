//! Files with certificates and keys that an option names.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::folders::{self, KEY_BYTES};
use crate::shown::show;
use crate::source::Place;

/// The path of a file that holds this in PEM. It is read again when the store is opened.
///
/// # Errors
///
/// It cannot be read, or holds something else; the error is at `place`.
pub(crate) fn file(place: &Place, path: &str, label: &str) -> Result<PathBuf, Error> {
    let shown = show(path);
    let content = folders::read(Path::new(path), KEY_BYTES)
        .and_then(folders::text)
        .map_err(|error| {
            Error::at(place, format!("the file {shown} cannot be read"))
                .caused_by(error)
                .remedy("check the path and its permissions")
        })?;
    let mut lines = content.lines();
    match lines.any(|line| line.starts_with("-----BEGIN ") && line.contains(label)) {
        true => Ok(PathBuf::from(path)),
        false => Err(
            Error::at(place, format!("the file {shown} holds no {label} in PEM"))
                .remedy("name a file with a line -----BEGIN …-----"),
        ),
    }
}

//! Arguments that may name a file or standard input.

use std::fs::File;

use talaria_config::{Error, folders};

/// The text that the argument of `option` means: itself, a file (`@path`) or standard input (`@-`), without one
/// line end (B-033).
///
/// # Errors
///
/// The file or the input is not readable text.
pub(super) fn text(option: &str, argument: &str) -> Result<String, Error> {
    let Some(path) = argument.strip_prefix('@') else {
        return Ok(argument.to_owned());
    };
    let read = match path {
        "-" => folders::read_at_most(std::io::stdin(), folders::KEY_BYTES),
        // The path may be a pipe that a shell made.
        path => File::open(path).and_then(|file| folders::read_at_most(file, folders::KEY_BYTES)),
    };
    let text = read.and_then(folders::text).map_err(|error| {
        Error::new(format!("{option} {argument}"))
            .caused_by(error)
            .remedy("give `@` and the path of a readable text file")
    })?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

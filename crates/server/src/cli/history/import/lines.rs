//! The lines of an export.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use talaria_config::Error;
use talaria_protocol::Update;

use crate::cli::history::ndjson;
use crate::serve::progress::Progress;

/// An update, and when it was committed in milliseconds since 1970, if the line says so.
pub(super) type Line = (Update, Option<u64>);

/// Whether a file is standard input.
pub(super) fn is_standard_input(path: &Path) -> bool {
    path == Path::new("-")
}

/// Reads a file to its end before any of it is appended, so that a wrong line does not leave half of the file in the
/// log. Standard input can be read only once.
///
/// # Errors
/// The file cannot be read, or a line is not an update.
pub(super) fn check(path: &Path) -> Result<(), Error> {
    if is_standard_input(path) {
        return Ok(());
    }
    let file = BufReader::new(Counted::open(path, "checking")?);
    for (line, number) in file.lines().zip(1_u64..) {
        let line = line.map_err(|error| unreadable(path, error))?;
        if !line.trim().is_empty() {
            ndjson::decode(&line).map_err(|problem| {
                Error::new(format!("{}:{number}", path.display())).caused_by(problem)
            })?;
        }
    }
    Ok(())
}

/// The updates of a file; an error names the line.
///
/// # Errors
/// The file cannot be opened.
pub(super) fn read(
    path: &Path,
) -> Result<impl Iterator<Item = Result<Line, String>> + Send + 'static, Error> {
    let input: Box<dyn BufRead + Send> = if is_standard_input(path) {
        Box::new(BufReader::new(io::stdin()))
    } else {
        Box::new(BufReader::new(Counted::open(path, "importing")?))
    };
    let name = path.display().to_string();
    let lines = input
        .lines()
        .zip(1_u64..)
        .filter_map(move |(line, number)| {
            let at = |problem: String| format!("{name}:{number}: {problem}");
            match line {
                Ok(line) if line.trim().is_empty() => None,
                Ok(line) => Some(ndjson::decode(&line).map_err(|problem| at(problem.to_string()))),
                Err(error) => Some(Err(at(error.to_string()))),
            }
        });
    Ok(lines)
}

/// A file whose reads move a bar.
struct Counted {
    file: File,
    progress: Arc<Progress>,
}

impl Counted {
    fn open(path: &Path, what: &'static str) -> Result<Self, Error> {
        let file = File::open(path).map_err(|error| unreadable(path, error))?;
        // A pipe has no length, and then the bar has none.
        let bytes = file.metadata().map_or(0, |about| about.len());
        let progress = Progress::of_bytes(what, bytes, true);
        Ok(Self { file, progress })
    }
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.progress.advance(read as u64);
        Ok(read)
    }
}

fn unreadable(path: &Path, error: io::Error) -> Error {
    Error::new(path.display().to_string())
        .caused_by(error)
        .remedy("name a readable file, or `-` for standard input")
}

//! The database of the existing hub, as the source of an import.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use talaria_boltdb::{DEFAULT_BUCKET, Source};
use talaria_config::Error;

/// Whether a file is a BoltDB: its first meta page has the magic number.
pub(super) fn is_one(path: &Path) -> bool {
    let mut start = [0; 20];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start[16..] == 0xED0C_DAED_u32.to_le_bytes()
}

/// Opens a bucket of a database.
///
/// # Errors
/// The database cannot be read, or has no such bucket.
pub(super) fn open(path: &Path, bucket: Option<&str>) -> Result<Option<Source>, Error> {
    let bucket = bucket.unwrap_or(DEFAULT_BUCKET);
    let source = Source::open(path, bucket).map_err(Error::from_cause)?;
    if source.as_ref().is_some_and(|source| !source.has_bucket()) {
        let problem = format!("{}: there is no bucket {bucket:?}", path.display());
        return Err(Error::new(problem).remedy("name it with --bucket-name"));
    }
    Ok(source)
}

/// Says what of a database could not be imported.
pub(super) fn left_out(source: Option<&Source>) -> String {
    let (dropped, unreadable) = source.map_or((0, 0), |source| {
        let summary = source.summary();
        (summary.dropped_fields, summary.skipped)
    });
    format!(", fields dropped: {dropped}, entries unreadable: {unreadable}")
}

//! What an opening finds in the directory: lock, files, manifest and headers.

use std::collections::BTreeMap;
use std::io;
use std::thread;
use std::time::Duration;

use crate::Position;
use crate::history::disk::Disk;
use crate::history::error::OpenError;
use crate::history::format::{HeaderFault, SEGMENT_HEADER, SegmentHeader};
use crate::history::journal;
use crate::history::manifest::{Manifest, Read};
use crate::history::names::{self, Name};

/// How often to try to lock the directory, and how long to wait after each attempt.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// The files of a log, as found.
pub(in crate::history) struct Found {
    /// The first positions of the segments, by number.
    pub(in crate::history) segments: BTreeMap<u64, Position>,
    /// Indexes, by number.
    pub(in crate::history) indexes: BTreeMap<u64, Position>,
    pub(in crate::history) closed: BTreeMap<u64, Position>,
    /// The numbers of the first and the last segment of each tier.
    pub(in crate::history) tiers: Vec<(u64, u64)>,
    pub(in crate::history) leftovers: Vec<String>,
}

/// Makes an error of the file system one that names the file and the action.
pub(in crate::history) fn failed(
    disk: &dyn Disk,
    name: &str,
    action: &'static str,
) -> impl FnOnce(io::Error) -> OpenError {
    let path = disk.path(name);
    move |source| OpenError::Io {
        path,
        action,
        source,
    }
}

/// Locks the directory. Waits up to five seconds for another process.
pub(in crate::history) fn lock(disk: &dyn Disk) -> Result<Box<dyn Send + Sync>, OpenError> {
    for _ in 0..LOCK_TRIES {
        let locked = disk.lock().map_err(failed(disk, "lock", "locking it"))?;
        if let Some(lock) = locked {
            return Ok(lock);
        }
        thread::sleep(LOCK_PAUSE);
    }
    Err(OpenError::Locked {
        path: disk.path("lock"),
    })
}

/// Lists the files of the log.
pub(in crate::history) fn find(disk: &dyn Disk) -> Result<Found, OpenError> {
    let (mut segments, mut indexes) = (Vec::new(), Vec::new());
    let (mut closed, mut tiers, mut leftovers) = (BTreeMap::new(), Vec::new(), Vec::new());
    let listed = disk.list(&mut |name| match names::parse(name) {
        Some(Name::Segment(number, first)) => segments.push((number, first)),
        Some(Name::Index(number, first)) => indexes.push((number, first)),
        Some(Name::Closed(number, first)) => drop(closed.insert(number, first)),
        Some(Name::Tier(first, last)) => tiers.push((first, last)),
        None if is_leftover(name) => leftovers.push(name.to_owned()),
        // Files of other programs are left alone.
        None => {}
    });
    listed.map_err(failed(disk, "", "listing it"))?;
    segments.sort_unstable();
    let twice = segments.windows(2).find(|pair| pair[0].0 == pair[1].0);
    if let Some(&[_, (number, first)]) = twice {
        return Err(OpenError::Damaged {
            path: disk.path(&names::segment(number, first)),
            offset: 0,
            what: "two segments have this number".to_owned(),
        });
    }
    Ok(Found {
        segments: segments.into_iter().collect(),
        indexes: indexes.into_iter().collect(),
        closed,
        tiers,
        leftovers,
    })
}

/// Whether a file is an unfinished one of the log.
fn is_leftover(name: &str) -> bool {
    let stem = name.strip_suffix(names::NEW);
    stem.is_some_and(|stem| {
        stem == "manifest" || stem == journal::NAME || names::parse(stem).is_some()
    })
}

/// Reads the manifest, or rebuilds it from the headers of the segments.
pub(in crate::history) fn read_manifest(
    disk: &dyn Disk,
    found: &Found,
) -> Result<Manifest, OpenError> {
    let read = Manifest::read(disk).map_err(failed(disk, "manifest", "reading it"))?;
    let path = || disk.path("manifest");
    match read {
        Read::Manifest(_) if found.segments.is_empty() => Err(OpenError::Missing {
            path: disk.path(&names::segment(1, Position(1))),
            what: "there is a manifest but no segment".to_owned(),
        }),
        Read::Manifest(manifest) => Ok(manifest),
        Read::Version(version) => Err(OpenError::Version {
            path: path(),
            version,
        }),
        Read::Unreadable if found.segments.is_empty() => Err(OpenError::Damaged {
            path: path(),
            offset: 0,
            what: "it is not readable, and there is no segment to rebuild it from".to_owned(),
        }),
        Read::Missing if found.segments.is_empty() => fresh_manifest(disk),
        Read::Missing | Read::Unreadable => rebuild_manifest(disk, found),
    }
}

fn fresh_manifest(disk: &dyn Disk) -> Result<Manifest, OpenError> {
    let mut key = [0; 16];
    getrandom::fill(&mut key)
        .map_err(io::Error::other)
        .map_err(failed(disk, "manifest", "choosing a key"))?;
    Ok(Manifest {
        key,
        runs: Vec::new(),
        gaps: Vec::new(),
    })
}

fn rebuild_manifest(disk: &dyn Disk, found: &Found) -> Result<Manifest, OpenError> {
    let mut manifest: Option<Manifest> = None;
    let mut fault = None;
    for (&number, &first) in &found.segments {
        match read_header(disk, number, first) {
            Ok(header) => {
                let manifest = manifest.get_or_insert_with(|| Manifest {
                    key: header.key,
                    runs: Vec::new(),
                    gaps: Vec::new(),
                });
                if manifest.runs.iter().all(|run| run.tag != header.run.tag) {
                    manifest.runs.push(header.run);
                }
            }
            Err(error @ OpenError::Damaged { .. }) => fault = Some(error),
            Err(error) => return Err(error),
        }
    }
    tracing::warn!(
        name: "manifest_rebuilt",
        manifest = disk.path("manifest"),
        "the manifest is missing or damaged and is rebuilt from the segments"
    );
    manifest.ok_or_else(|| {
        fault.unwrap_or_else(|| OpenError::Missing {
            path: disk.path("manifest"),
            what: "there is no segment to rebuild it from".to_owned(),
        })
    })
}

/// Reads and checks the header of a segment.
pub(in crate::history) fn read_header(
    disk: &dyn Disk,
    number: u64,
    first: Position,
) -> Result<SegmentHeader, OpenError> {
    let name = names::segment(number, first);
    let file = disk
        .open(&name)
        .map_err(failed(disk, &name, "opening it"))?;
    let mut bytes = vec![0; SEGMENT_HEADER];
    let read = file.read_at(&mut bytes, 0);
    let read = read.map_err(failed(disk, &name, "reading it"))?;
    match SegmentHeader::decode(&bytes[..read]) {
        Ok(header) if header.number == number && header.first == first => Ok(header),
        Err(HeaderFault::Version(version)) => Err(OpenError::Version {
            path: disk.path(&name),
            version,
        }),
        Ok(_) | Err(HeaderFault::Unreadable) => Err(OpenError::Damaged {
            path: disk.path(&name),
            offset: 0,
            what: "the header of the segment is not readable or belongs to another file".to_owned(),
        }),
    }
}

/// The error of a log that lacks the segment with a number.
pub(super) fn missing(disk: &dyn Disk, number: u64, before: Position) -> OpenError {
    OpenError::Missing {
        path: disk.path(&format!("{number:010}-*.segment")),
        what: format!(
            "no segment holds the updates before position {before}, and they were not deleted"
        ),
    }
}

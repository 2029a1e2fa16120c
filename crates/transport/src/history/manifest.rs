//! The manifest: the facts of a whole log. It is small, replaced as a whole, and can be rebuilt from
//! the segments.

use std::fmt::Write as _;
use std::io;

use super::disk::Disk;
use super::format::{FIRST_VERSION, VERSION};
use super::run::Run;
use crate::{Position, RunTag};

const NAME: &str = "manifest";
const NEW: &str = "manifest.new";
const TITLE: &str = "talaria history ";

/// Positions whose updates a repair has given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) first: Position,
    pub(super) last: Position,
}

/// Key, runs and gaps of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    /// The key of the event ids.
    pub(super) key: [u8; 16],
    /// Every run, the oldest first; runs are never removed.
    pub(super) runs: Vec<Run>,
    /// Every gap, in order.
    pub(super) gaps: Vec<Gap>,
}

/// The result of reading a manifest.
pub(super) enum Read {
    Manifest(Manifest),
    Missing,
    Unreadable,
    Version(u32),
}

impl Manifest {
    pub(super) fn read(disk: &dyn Disk) -> io::Result<Read> {
        let file = match disk.open(NAME) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::Missing),
            Err(error) => return Err(error),
        };
        let length = usize::try_from(file.len()?).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length];
        let read = file.read_at(&mut bytes, 0)?;
        bytes.truncate(read);
        Ok(Self::decode(&bytes))
    }

    /// Replaces the manifest on the disk by this one, durably.
    pub(super) fn write(&self, disk: &dyn Disk) -> io::Result<()> {
        let write = || {
            let file = disk.create(NEW)?;
            file.write_at(self.encode().as_bytes(), 0)?;
            file.sync_data()?;
            disk.rename(NEW, NAME)?;
            disk.sync()
        };
        // The unfinished file takes room that a full disk does not have.
        write().inspect_err(|_| drop(disk.remove(NEW)))
    }

    /// The run with a tag, and its last position unless it is the newest run.
    pub(super) fn run(&self, tag: RunTag) -> Option<(Run, Option<Position>)> {
        let index = self.runs.iter().position(|run| run.tag == tag)?;
        let next = self.runs.get(index + 1);
        Some((self.runs[index], next.map(|next| next.first.back(1))))
    }

    /// The run that gave out a position.
    pub(super) fn run_of(&self, position: Position) -> Option<Run> {
        let next = self.runs.partition_point(|run| run.first <= position);
        Some(self.runs[next.checked_sub(1)?])
    }

    /// Adds a run, unless it is known.
    pub(super) fn learn(&mut self, run: Run) {
        if !self.runs.iter().any(|known| known.tag == run.tag) {
            let place = self.runs.partition_point(|known| known.first <= run.first);
            self.runs.insert(place, run);
        }
    }

    fn encode(&self) -> String {
        let mut text = format!("{TITLE}{}\nkey ", VERSION);
        // Writing to a string cannot fail.
        for byte in self.key {
            _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
        for Run { tag, first } in &self.runs {
            _ = writeln!(text, "run {:016x} {first}", tag.to_u64());
        }
        for Gap { first, last } in &self.gaps {
            _ = writeln!(text, "gap {first} {last}");
        }
        let checksum = crc32c::crc32c(text.as_bytes());
        _ = writeln!(text, "crc {checksum:08x}");
        text
    }

    fn decode(bytes: &[u8]) -> Read {
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Read::Unreadable;
        };
        let version = text
            .strip_prefix(TITLE)
            .and_then(|text| text.split_once('\n'));
        if let Some(version) = version.and_then(|(version, _)| version.parse().ok())
            && !(FIRST_VERSION..=VERSION).contains(&version)
        {
            return Read::Version(version);
        }
        Self::decode_lines(text).map_or(Read::Unreadable, Read::Manifest)
    }

    fn decode_lines(text: &str) -> Option<Self> {
        let body = text.strip_suffix('\n')?;
        let crc_at = body.rfind('\n')? + 1;
        let checksum = body[crc_at..].strip_prefix("crc ")?;
        if checksum != format!("{:08x}", crc32c::crc32c(&text.as_bytes()[..crc_at])) {
            return None;
        }
        let mut lines = text[..crc_at].lines().skip(1);
        let key = decode_key(lines.next()?.strip_prefix("key ")?)?;
        let (mut runs, mut gaps) = (Vec::new(), Vec::new());
        for line in lines {
            let mut words = line.split(' ');
            let (kind, one, two) = (words.next()?, words.next()?, words.next()?);
            let second = Position(two.parse().ok()?);
            match kind {
                "run" => runs.push(Run {
                    tag: RunTag::from_u64(u64::from_str_radix(one, 16).ok()?),
                    first: second,
                }),
                "gap" => gaps.push(Gap {
                    first: Position(one.parse().ok()?),
                    last: second,
                }),
                _ => return None,
            }
        }
        Some(Self { key, runs, gaps })
    }
}

fn decode_key(hex: &str) -> Option<[u8; 16]> {
    let mut key = [0; 16];
    if hex.len() != 2 * key.len() || !hex.is_ascii() {
        return None;
    }
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(key)
}

//! The meta pages, which say where the tree of buckets begins.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::bytes::{HEADER_BYTES, u32_at, u64_at};

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
const META_BYTES: usize = 64;
const CHECKED_BYTES: usize = 56;
/// The binary logarithms of the page sizes that bbolt tries when the first meta page is incomplete: 1 KiB
/// to 16 MiB.
const PAGE_SIZES: std::ops::RangeInclusive<u32> = 10..=24;

/// The contents of a meta page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meta {
    /// The bytes of a page.
    pub(crate) page_size: u64,
    /// The page at which the tree of buckets begins.
    pub(crate) root: u64,
    /// The first page that is not in use.
    pub(crate) end: u64,
    transaction: u64,
}

impl Meta {
    /// The newer valid one of the two meta pages; `None` if neither is valid.
    pub(crate) fn newest(file: &File) -> io::Result<Option<Self>> {
        let first = Self::read(file, 0)?;
        let second = match first {
            Some(meta) => Self::read(file, meta.page_size)?,
            None => Self::probe(file)?,
        };
        let both = first.into_iter().chain(second);
        Ok(both.max_by_key(|meta| meta.transaction))
    }

    /// Searches for the second meta page, whose offset is unknown without the first.
    fn probe(file: &File) -> io::Result<Option<Self>> {
        for bits in PAGE_SIZES {
            let offset = 1 << bits;
            if let Some(meta) = Self::read(file, offset)?
                && meta.page_size == offset
            {
                return Ok(Some(meta));
            }
        }
        Ok(None)
    }

    fn read(file: &File, offset: u64) -> io::Result<Option<Self>> {
        let mut bytes = [0; META_BYTES];
        match file.read_exact_at(&mut bytes, offset + HEADER_BYTES) {
            Ok(()) => Ok(Self::parse(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(bytes: &[u8; META_BYTES]) -> Option<Self> {
        let page_size = u32_at(bytes, 8);
        let valid = u32_at(bytes, 0) == MAGIC
            && u32_at(bytes, 4) == VERSION
            && u64_at(bytes, CHECKED_BYTES) == fnv_1a(&bytes[..CHECKED_BYTES])
            && page_size.is_power_of_two()
            && PAGE_SIZES.contains(&page_size.ilog2());
        valid.then(|| Self {
            page_size: page_size.into(),
            root: u64_at(bytes, 16),
            end: u64_at(bytes, 40),
            transaction: u64_at(bytes, 48),
        })
    }
}

/// The checksum of a meta page: FNV-1a of 64 bits.
fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

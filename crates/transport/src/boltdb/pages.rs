//! The pages of a BoltDB file: meta pages, and B+ trees of branch and leaf pages.
//!
//! All numbers are little endian. A page begins with its number (8 bytes), flags (2), count of
//! elements (2) and count of overflow pages (4).

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use super::BoltError;

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
const PAGE_HEADER: usize = 16;
const ELEMENT: usize = 16;
/// Bytes of a meta page's content before its checksum.
const META: usize = 56;
const FLAG_BRANCH: u16 = 1;
const FLAG_LEAF: u16 = 2;
/// An element of a leaf whose value is a bucket.
const BUCKET: u32 = 1;
const BUCKET_HEADER: usize = 16;
/// A tree of more levels has a loop.
const LEVELS: usize = 64;
const PAGE_SIZES: std::ops::RangeInclusive<u32> = 9..=16;

/// A database file.
pub(super) struct Pages {
    file: File,
    path: String,
    page_size: u64,
    /// The page of the root bucket.
    root: u64,
    /// Pages from here on do not exist.
    end: u64,
}

/// Where the tree of a bucket begins.
pub(super) enum Root {
    Page(u64),
    /// The only page of a small bucket stands in the value that names it.
    Inline(Vec<u8>),
}

struct Meta {
    page_size: u64,
    root: u64,
    end: u64,
    transaction: u64,
}

impl Pages {
    pub(super) fn open(file: File, path: String) -> Result<Self, BoltError> {
        let first = meta(&file, 0);
        let sizes = PAGE_SIZES.map(|bits| 1_u64 << bits);
        let second = match &first {
            Some(first) => meta(&file, first.page_size),
            // Then the page size is only known from the second one.
            None => sizes
                .filter_map(|size| meta(&file, size).filter(|meta| meta.page_size == size))
                .next(),
        };
        let newest = [first, second]
            .into_iter()
            .flatten()
            .max_by_key(|meta| meta.transaction);
        let Some(meta) = newest else {
            return Err(BoltError::Foreign {
                path,
                what: "neither of its meta pages is one",
            });
        };
        Ok(Self {
            file,
            path,
            page_size: meta.page_size,
            root: meta.root,
            end: meta.end,
        })
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The tree of a bucket of the root bucket; `None` if there is no such bucket.
    pub(super) fn bucket(self: &Arc<Self>, name: &[u8]) -> Result<Option<Root>, BoltError> {
        let mut walk = Walk::new(Arc::clone(self), Root::Page(self.root), 0);
        walk.buckets = true;
        for entry in walk {
            let (key, value) = entry?;
            if key == name {
                let damaged = || self.damaged(self.root, "the bucket's header is cut off");
                let page = read_u64(&value, 0).ok_or_else(damaged)?;
                let inline = value.get(BUCKET_HEADER..).ok_or_else(damaged)?;
                return Ok(Some(match page {
                    0 => Root::Inline(inline.to_vec()),
                    page => Root::Page(page),
                }));
            }
        }
        Ok(None)
    }

    fn damaged(&self, page: u64, what: &'static str) -> BoltError {
        BoltError::Damaged {
            path: self.path.clone(),
            page,
            what,
        }
    }

    /// A page with those that overflow from it.
    fn read(&self, number: u64) -> Result<Vec<u8>, BoltError> {
        if number < 2 || number >= self.end {
            return Err(self.damaged(number, "there is no such page"));
        }
        let mut header = [0; PAGE_HEADER];
        self.fill(&mut header, number)?;
        if read_u64(&header, 0) != Some(number) {
            return Err(self.damaged(number, "it says that it is another page"));
        }
        let overflow = u64::from(read_u32(&header, 12).unwrap_or_default());
        if number + overflow >= self.end {
            return Err(self.damaged(number, "it overflows the file"));
        }
        // At most what the file has: `end` was checked against its length.
        let mut page = vec![0; ((overflow + 1) * self.page_size) as usize];
        self.fill(&mut page, number)?;
        Ok(page)
    }

    fn fill(&self, buffer: &mut [u8], page: u64) -> Result<(), BoltError> {
        let read = self.file.read_exact_at(buffer, page * self.page_size);
        read.map_err(|source| match source.kind() {
            std::io::ErrorKind::UnexpectedEof => self.damaged(page, "the file ends before it does"),
            _ => BoltError::Io {
                path: self.path.clone(),
                source,
            },
        })
    }
}

/// Reads a meta page; `None` if it is not whole.
fn meta(file: &File, at: u64) -> Option<Meta> {
    let mut page = [0; PAGE_HEADER + META + 8];
    file.read_exact_at(&mut page, at).ok()?;
    let content = &page[PAGE_HEADER..];
    let whole = read_u32(content, 0) == Some(MAGIC)
        && read_u32(content, 4) == Some(VERSION)
        && read_u64(content, META) == Some(fnv_1a(&content[..META]));
    let page_size = u64::from(read_u32(content, 8)?);
    let length = file.metadata().ok()?.len();
    let possible = page_size.is_power_of_two() && PAGE_SIZES.contains(&page_size.trailing_zeros());
    if !whole || !possible {
        return None;
    }
    Some(Meta {
        page_size,
        root: read_u64(content, 16)?,
        end: read_u64(content, 40)?.min(length / page_size),
        transaction: read_u64(content, 48)?,
    })
}

fn fnv_1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

/// Goes through a tree in the order of its keys.
pub(super) struct Walk {
    pages: Arc<Pages>,
    stack: Vec<Level>,
    /// Subtrees whose keys all begin with this number or a lesser one are passed over.
    after: u64,
    /// Whether buckets are wanted, or else values.
    buckets: bool,
    /// Pages that may still be visited: a tree has each one once.
    left: u64,
    failed: Option<BoltError>,
}

struct Level {
    number: u64,
    page: Vec<u8>,
    next: usize,
}

type Pair = (Vec<u8>, Vec<u8>);

impl Walk {
    pub(super) fn new(pages: Arc<Pages>, root: Root, after: u64) -> Self {
        let mut walk = Self {
            left: pages.end,
            pages,
            stack: Vec::new(),
            after,
            buckets: false,
            failed: None,
        };
        match root {
            Root::Page(number) => walk.failed = walk.descend(number).err(),
            Root::Inline(page) => walk.stack.push(Level {
                number: 0,
                page,
                next: 0,
            }),
        }
        walk
    }

    fn descend(&mut self, number: u64) -> Result<(), BoltError> {
        if self.stack.len() >= LEVELS || self.left == 0 {
            return Err(self.pages.damaged(number, "its tree has a loop"));
        }
        self.left -= 1;
        let page = self.pages.read(number)?;
        self.stack.push(Level {
            number,
            page,
            next: 0,
        });
        Ok(())
    }

    fn step(&mut self) -> Result<Option<Pair>, BoltError> {
        while let Some(level) = self.stack.last_mut() {
            let (number, index) = (level.number, level.next);
            let flags = read_u16(&level.page, 8).unwrap_or_default();
            let count = usize::from(read_u16(&level.page, 10).unwrap_or_default());
            if index >= count {
                self.stack.pop();
                continue;
            }
            level.next += 1;
            let cut_off = || self.pages.damaged(number, "an element is cut off");
            match flags & (FLAG_BRANCH | FLAG_LEAF) {
                FLAG_LEAF => {
                    let element = PAGE_HEADER + index * ELEMENT;
                    let flags = read_u32(&level.page, element).ok_or_else(cut_off)?;
                    let pair = leaf_pair(&level.page, element).ok_or_else(cut_off)?;
                    if (flags & BUCKET != 0) == self.buckets {
                        return Ok(Some(pair));
                    }
                }
                FLAG_BRANCH => {
                    let element = PAGE_HEADER + index * ELEMENT;
                    let child = read_u64(&level.page, element + 8).ok_or_else(cut_off)?;
                    let next = (index + 1 < count)
                        .then(|| branch_sequence(&level.page, element + ELEMENT))
                        .flatten();
                    if self.buckets || next.is_none_or(|next| next > self.after) {
                        self.descend(child)?;
                    }
                }
                _ => return Err(self.pages.damaged(number, "it is neither branch nor leaf")),
            }
        }
        Ok(None)
    }
}

fn leaf_pair(page: &[u8], element: usize) -> Option<Pair> {
    let position = read_u32(page, element + 4)? as usize;
    let key_length = read_u32(page, element + 8)? as usize;
    let value_length = read_u32(page, element + 12)? as usize;
    let key_at = element.checked_add(position)?;
    let value_at = key_at.checked_add(key_length)?;
    let key = page.get(key_at..value_at)?;
    let value = page.get(value_at..value_at.checked_add(value_length)?)?;
    Some((key.to_vec(), value.to_vec()))
}

/// The sequence number with which the key of a branch element begins.
fn branch_sequence(page: &[u8], element: usize) -> Option<u64> {
    let position = read_u32(page, element)? as usize;
    let length = read_u32(page, element + 4)? as usize;
    let at = element.checked_add(position)?;
    let key = page.get(at..at.checked_add(length)?)?;
    Some(u64::from_be_bytes(*key.first_chunk()?))
}

impl Iterator for Walk {
    type Item = Result<Pair, BoltError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            self.stack.clear();
            return Some(Err(error));
        }
        let stepped = self.step();
        if stepped.is_err() {
            self.stack.clear();
        }
        stepped.transpose()
    }
}

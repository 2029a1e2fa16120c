//! Pages and their elements.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::bytes::{HEADER_BYTES, u16_at, u32_at, u64_at};
use crate::error::BoltError;
use crate::meta::Meta;

const ELEMENT_BYTES: u64 = 16;
const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
/// The longest key that bbolt accepts, in bytes.
const MAX_KEY_BYTES: u64 = 32_768;
/// The bytes at the start of a page that stay in memory, so that most elements need no further read.
const WINDOW_BYTES: u64 = 64 << 10;

/// The pages of an open file.
#[derive(Debug)]
pub(crate) struct Pages {
    file: File,
    path: PathBuf,
    page_size: u64,
    /// The number of pages in use that are in the file.
    count: u64,
}

/// A branch or leaf page, or the leaf page of an inline bucket.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) is_leaf: bool,
    pub(crate) count: u64,
    /// Its offset in the file.
    pub(crate) offset: u64,
    bytes: u64,
    window: Vec<u8>,
}

/// A key of a branch page and the page below it.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) key: Vec<u8>,
    pub(crate) page: u64,
}

/// A key of a leaf page and the place of its value.
#[derive(Debug)]
pub(crate) struct Leaf {
    pub(crate) key: Vec<u8>,
    pub(crate) is_bucket: bool,
    /// The offset of the value in the file.
    pub(crate) value_offset: u64,
    pub(crate) value_bytes: u64,
}

impl Node {
    /// Bytes of the page that are in memory.
    fn held(&self, at: u64, bytes: u64) -> Option<&[u8]> {
        let start = usize::try_from(at).ok()?;
        let end = usize::try_from(at + bytes).ok()?;
        self.window.get(start..end)
    }
}

impl Pages {
    /// The pages of a file, and the page at which the tree of buckets begins.
    pub(crate) fn open(file: File, path: &Path, length: u64) -> Result<(Self, u64), BoltError> {
        let meta = Meta::newest(&file)
            .map_err(|source| BoltError::unreadable(path, "reading its meta pages", source))?
            .ok_or_else(|| {
                BoltError::not_a_database(path, "has no valid BoltDB meta page of version 2")
            })?;
        let pages = Self {
            file,
            path: path.to_owned(),
            page_size: meta.page_size,
            count: meta.end.min(length / meta.page_size),
        };
        Ok((pages, meta.root))
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A page of a tree.
    pub(crate) fn node(&self, page: u64) -> Result<Node, BoltError> {
        let offset = page.saturating_mul(self.page_size);
        if !(2..self.count).contains(&page) {
            let what = format!("there is no page {page}; the file has {}", self.count);
            return Err(self.damaged(offset, what));
        }
        let header: [u8; HEADER_BYTES as usize] = self.array(offset)?;
        let following = u64::from(u32_at(&header, 12));
        if u64_at(&header, 0) != page {
            let what = format!("page {page} has the number of page {}", u64_at(&header, 0));
            return Err(self.damaged(offset, what));
        }
        if following >= self.count - page {
            let what = format!("page {page} continues over {following} pages, beyond the end");
            return Err(self.damaged(offset, what));
        }
        self.node_at(offset, (following + 1) * self.page_size, &header)
    }

    /// The leaf page of an inline bucket, which stands in a value.
    pub(crate) fn inline_node(&self, offset: u64, bytes: u64) -> Result<Node, BoltError> {
        if bytes < HEADER_BYTES {
            return Err(self.damaged(offset, "an inline bucket is cut off"));
        }
        let header = self.array(offset)?;
        let node = self.node_at(offset, bytes, &header)?;
        if node.is_leaf {
            Ok(node)
        } else {
            Err(self.damaged(offset, "an inline bucket is not a leaf page"))
        }
    }

    fn node_at(
        &self,
        offset: u64,
        bytes: u64,
        header: &[u8; HEADER_BYTES as usize],
    ) -> Result<Node, BoltError> {
        let flags = u16_at(header, 8);
        let count = u64::from(u16_at(header, 10));
        if flags != BRANCH && flags != LEAF {
            let what = format!("a page of kind {flags:#x} is neither branch nor leaf");
            return Err(self.damaged(offset, what));
        }
        if HEADER_BYTES + count * ELEMENT_BYTES > bytes {
            let what = format!("{count} elements do not fit into their page");
            return Err(self.damaged(offset, what));
        }
        let mut window = vec![0; bytes.min(self.page_size).min(WINDOW_BYTES) as usize];
        self.fill(&mut window, offset)?;
        Ok(Node {
            is_leaf: flags == LEAF,
            count,
            offset,
            bytes,
            window,
        })
    }

    /// An element of a branch page, by its number.
    pub(crate) fn branch(&self, node: &Node, index: u64) -> Result<Branch, BoltError> {
        let at = HEADER_BYTES + index * ELEMENT_BYTES;
        let element = self.element(node, at)?;
        let key_at = at + u64::from(u32_at(&element, 0));
        Ok(Branch {
            key: self.key(node, key_at, u32_at(&element, 4))?,
            page: u64_at(&element, 8),
        })
    }

    /// An element of a leaf page, by its number.
    pub(crate) fn leaf(&self, node: &Node, index: u64) -> Result<Leaf, BoltError> {
        let at = HEADER_BYTES + index * ELEMENT_BYTES;
        let element = self.element(node, at)?;
        let key_at = at + u64::from(u32_at(&element, 4));
        let key = self.key(node, key_at, u32_at(&element, 8))?;
        let value_at = key_at + key.len() as u64;
        let value_bytes = u64::from(u32_at(&element, 12));
        if value_at + value_bytes > node.bytes {
            let what = format!("a value of {value_bytes} bytes reaches beyond its page");
            return Err(self.damaged(node.offset + at, what));
        }
        Ok(Leaf {
            key,
            is_bucket: u32_at(&element, 0) & 1 != 0,
            value_offset: node.offset + value_at,
            value_bytes,
        })
    }

    fn element(&self, node: &Node, at: u64) -> Result<[u8; ELEMENT_BYTES as usize], BoltError> {
        let held = node.held(at, ELEMENT_BYTES);
        match held.and_then(|bytes| bytes.try_into().ok()) {
            Some(element) => Ok(element),
            None => self.array(node.offset + at),
        }
    }

    fn key(&self, node: &Node, at: u64, bytes: u32) -> Result<Vec<u8>, BoltError> {
        let bytes = u64::from(bytes);
        if bytes > MAX_KEY_BYTES || at + bytes > node.bytes {
            let what = format!("a key of {bytes} bytes reaches beyond its page or is too long");
            return Err(self.damaged(node.offset + at, what));
        }
        self.within(node, at, bytes)
    }

    /// The first `bytes` bytes of the value of an element.
    pub(crate) fn value(&self, node: &Node, leaf: &Leaf, bytes: u64) -> Result<Vec<u8>, BoltError> {
        self.within(node, leaf.value_offset - node.offset, bytes)
    }

    fn within(&self, node: &Node, at: u64, bytes: u64) -> Result<Vec<u8>, BoltError> {
        if let Some(held) = node.held(at, bytes) {
            return Ok(held.to_owned());
        }
        let mut buffer = vec![0; bytes as usize];
        self.fill(&mut buffer, node.offset + at)?;
        Ok(buffer)
    }

    fn array<const N: usize>(&self, offset: u64) -> Result<[u8; N], BoltError> {
        let mut buffer = [0; N];
        self.fill(&mut buffer, offset)?;
        Ok(buffer)
    }

    fn fill(&self, buffer: &mut [u8], offset: u64) -> Result<(), BoltError> {
        let read = self.file.read_exact_at(buffer, offset);
        read.map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged(offset, "the file ends here"),
            _ => BoltError::unreadable(&self.path, "reading it", source),
        })
    }

    /// Checks that a key is not less than `least`.
    pub(crate) fn check_order(
        &self,
        node: &Node,
        least: &[u8],
        key: &[u8],
    ) -> Result<(), BoltError> {
        if key < least {
            return Err(self.damaged(node.offset, "the keys of this page are out of order"));
        }
        Ok(())
    }

    pub(crate) fn damaged(&self, offset: u64, what: impl Into<String>) -> BoltError {
        BoltError::damaged(&self.path, offset, what)
    }
}

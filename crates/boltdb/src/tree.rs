//! Reads a tree of pages in the order of its keys.

use std::sync::Arc;

use crate::bytes::u64_at;
use crate::error::BoltError;
use crate::pages::{Leaf, Node, Pages};

/// The most levels of a tree. A branch page has at least two pages below it, so no real tree is that deep;
/// the bound limits the memory that a damaged file can take.
const MAX_LEVELS: usize = 32;
/// The bytes at the start of a bucket's value: its root page and its sequence counter.
const BUCKET_BYTES: u64 = 16;
/// A longer value is treated as unreadable: the existing hub accepts 10 MiB unless configured otherwise.
const MAX_VALUE_BYTES: u64 = 256 << 20;

/// Where a tree begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Root {
    /// At a page.
    Page(u64),
    /// Within a value of another tree.
    Inline { offset: u64, bytes: u64 },
}

/// A key and its value.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) key: Vec<u8>,
    /// `None` if a hub cannot have written it: it is a bucket, or far too long.
    pub(crate) value: Option<Vec<u8>>,
}

/// Finds a bucket of the database by its name; returns its root and its sequence counter.
pub(crate) fn find_bucket(
    pages: &Arc<Pages>,
    root: Root,
    name: &[u8],
) -> Result<Option<(Root, u64)>, BoltError> {
    let mut cursor = Cursor::new(Arc::clone(pages), root, name);
    let Some((leaf, node)) = cursor.next_leaf()? else {
        return Ok(None);
    };
    if leaf.key != name || !leaf.is_bucket {
        return Ok(None);
    }
    let offset = leaf.value_offset;
    if leaf.value_bytes < BUCKET_BYTES {
        return Err(pages.damaged(offset, "a bucket's header is cut off"));
    }
    let header = pages.value(node, &leaf, BUCKET_BYTES)?;
    let root = match u64_at(&header, 0) {
        0 => Root::Inline {
            offset: offset + BUCKET_BYTES,
            bytes: leaf.value_bytes - BUCKET_BYTES,
        },
        page => Root::Page(page),
    };
    Ok(Some((root, u64_at(&header, 8))))
}

/// A place in a tree, which moves from key to key.
#[derive(Debug)]
pub(crate) struct Cursor {
    pages: Arc<Pages>,
    /// The pages from the root down, each with the index of its next element.
    levels: Vec<(Node, u64)>,
    /// The root, until the first key was sought.
    start: Option<Root>,
    /// The least key that may follow. In a damaged tree a lesser key would be read twice.
    least: Vec<u8>,
}

impl Cursor {
    /// A cursor at the first key that is not less than `from`.
    pub(crate) fn new(pages: Arc<Pages>, root: Root, from: &[u8]) -> Self {
        Self {
            pages,
            levels: Vec::new(),
            start: Some(root),
            least: from.to_owned(),
        }
    }

    /// The next key and value.
    pub(crate) fn next(&mut self) -> Result<Option<Item>, BoltError> {
        let pages = Arc::clone(&self.pages);
        let Some((leaf, node)) = self.next_leaf()? else {
            return Ok(None);
        };
        let is_value = !leaf.is_bucket && leaf.value_bytes <= MAX_VALUE_BYTES;
        let value = is_value.then(|| pages.value(node, &leaf, leaf.value_bytes));
        let value = value.transpose()?;
        Ok(Some(Item {
            key: leaf.key,
            value,
        }))
    }

    fn next_leaf(&mut self) -> Result<Option<(Leaf, &Node)>, BoltError> {
        if let Some(root) = self.start.take() {
            self.seek(root)?;
        }
        while let Some((node, next)) = self.levels.last_mut() {
            if *next == node.count {
                self.levels.pop();
                continue;
            }
            let index = *next;
            *next += 1;
            if node.is_leaf {
                let leaf = self.pages.leaf(node, index)?;
                self.pages.check_order(node, &self.least, &leaf.key)?;
                // The next greater key is this one and a zero byte.
                self.least.clone_from(&leaf.key);
                self.least.push(0);
                return Ok(self.levels.last().map(|(node, _)| (leaf, node)));
            }
            let branch = self.pages.branch(node, index)?;
            self.pages.check_order(node, &self.least, &branch.key)?;
            self.least = branch.key;
            self.enter(Root::Page(branch.page))?;
        }
        Ok(None)
    }

    /// Descends to the first key at or above the lower bound.
    fn seek(&mut self, root: Root) -> Result<(), BoltError> {
        let mut below = Some(root);
        let mut before = Vec::new();
        while let Some(root) = below.take() {
            self.enter(root)?;
            let Some((node, next)) = self.levels.last_mut() else {
                break;
            };
            while *next < node.count {
                let (key, page) = if node.is_leaf {
                    (self.pages.leaf(node, *next)?.key, None)
                } else {
                    let branch = self.pages.branch(node, *next)?;
                    (branch.key, Some(branch.page))
                };
                let passes = match page {
                    None => key < self.least,
                    // The first page below also has the keys that are smaller than its own.
                    Some(_) => key <= self.least || *next == 0,
                };
                if !passes {
                    break;
                }
                self.pages.check_order(node, &before, &key)?;
                below = page.map(Root::Page);
                before = key;
                *next += 1;
            }
        }
        Ok(())
    }

    fn enter(&mut self, root: Root) -> Result<(), BoltError> {
        let node = match root {
            Root::Page(page) => self.pages.node(page)?,
            Root::Inline { offset, bytes } => self.pages.inline_node(offset, bytes)?,
        };
        if self.levels.len() == MAX_LEVELS {
            return Err(self.pages.damaged(node.offset, "a page is below itself"));
        }
        // bbolt removes a page with its last element, unless it is the root. Every page that is entered
        // yields a key, and keys increase, so reading always ends.
        if node.count == 0 && !(node.is_leaf && self.levels.is_empty()) {
            return Err(self.pages.damaged(node.offset, "a page is empty"));
        }
        self.levels.push((node, 0));
        Ok(())
    }
}

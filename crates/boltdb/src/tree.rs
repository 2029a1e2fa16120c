//! Walks a tree of pages in the order of its keys.

use std::sync::Arc;

use crate::bytes::u64_at;
use crate::error::BoltError;
use crate::pages::{Leaf, Node, Pages};

/// Levels of a tree. Each page of a branch has two or more below it, so this is out of reach; it
/// bounds the memory that a damaged file can cost.
const MAX_LEVELS: usize = 32;
/// What a bucket's value begins with: its root page and its sequence counter.
const BUCKET_BYTES: u64 = 16;
/// A longer value is taken for unreadable: the existing hub takes 10 MiB unless told otherwise.
const MAX_VALUE_BYTES: u64 = 256 << 20;

/// Where a tree begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Root {
    /// At a page of its own.
    Page(u64),
    /// Within a value of another tree.
    Inline { offset: u64, bytes: u64 },
}

/// A key and its value.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) key: Vec<u8>,
    /// `None` for what is no value that a hub wrote: a bucket, or far too long.
    pub(crate) value: Option<Vec<u8>>,
}

/// A bucket at the top of the database, by its name, and its sequence counter.
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

/// Walks a tree from the first key that is not less than a given one.
#[derive(Debug)]
pub(crate) struct Cursor {
    pages: Arc<Pages>,
    /// The pages from the root down, each with the number of its next element.
    levels: Vec<(Node, u64)>,
    /// Where to begin, until the first key was sought.
    start: Option<Root>,
    /// The least key that may follow: in a damaged tree another one would be read twice.
    least: Vec<u8>,
}

impl Cursor {
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

    /// Goes down to the first key that is not less than the least.
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
                    // The first page below is the one for smaller keys too.
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
        // bbolt removes a page with its last element, unless it is the root. As keys only grow and
        // every way down leads to one, reading ends.
        if node.count == 0 && !(node.is_leaf && self.levels.is_empty()) {
            return Err(self.pages.damaged(node.offset, "a page is empty"));
        }
        self.levels.push((node, 0));
        Ok(())
    }
}

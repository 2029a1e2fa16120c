//! BoltDB files for tests: those of real hubs, and a small writer of others.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use talaria_protocol::Update;

/// Databases of real hubs; `fixtures/README.md` describes them.
pub const FIXTURES: [&str; 3] = [
    "hub-0.24.2-mixed",
    "hub-0.24.2-pruned",
    "hub-1.0.0-alpha.3-mixed",
];

pub const BRANCH: u16 = 1;
pub const LEAF: u16 = 2;
/// Flag of an element whose value is a bucket.
pub const BUCKET: u32 = 1;

/// The bytes of a fixture.
pub fn fixture(name: &str) -> Vec<u8> {
    fs::read(fixtures().join(format!("{name}.db"))).unwrap()
}

/// The updates that a fixture must yield, in order.
pub fn expected(name: &str) -> Vec<Update> {
    let text = fs::read(fixtures().join(format!("{name}.json"))).unwrap();
    let updates: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    updates
        .iter()
        .map(|update| Update {
            topics: update["topics"]
                .as_array()
                .unwrap()
                .iter()
                .map(text)
                .collect(),
            data: text(&update["data"]),
            id: Some(text(&update["id"])),
            event_type: Some(text(&update["type"])).filter(|name| !name.is_empty()),
            retry: update["retry"].as_u64().filter(|retry| *retry != 0),
            private: update["private"].as_bool().unwrap(),
            by_hub: false,
            trace: None,
        })
        .collect()
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// An update as the existing hub stores it (B-520).
pub fn stored(sequence: u64, update: &Update) -> Pair {
    let id = update.id.as_deref().unwrap_or_default();
    let mut key = sequence.to_be_bytes().to_vec();
    key.extend_from_slice(id.as_bytes());
    let value = json!({
        "Data": update.data,
        "ID": id,
        "Type": update.event_type.as_deref().unwrap_or_default(),
        "Retry": update.retry.unwrap_or_default(),
        "Topics": update.topics,
        "Private": update.private,
        "Debug": false,
    });
    (key, value.to_string().into_bytes())
}

/// A small update with its number in all parts.
pub fn numbered(number: u64) -> Update {
    Update {
        topics: vec![format!("https://example.com/{number}")],
        data: format!("number {number}"),
        id: Some(format!("urn:example:{number}")),
        ..Update::default()
    }
}

/// An element of a page: flags, key, and value or page below.
pub enum Element {
    Leaf(u32, Vec<u8>, Vec<u8>),
    Branch(Vec<u8>, u64),
}

/// Writes pages as bbolt does, one after the other.
pub struct Writer {
    page_size: usize,
    bytes: Vec<u8>,
}

impl Writer {
    pub fn new(page_size: usize) -> Self {
        Self {
            page_size,
            bytes: vec![0; 2 * page_size],
        }
    }

    /// The number of the next page.
    pub fn next(&self) -> u64 {
        (self.bytes.len() / self.page_size) as u64
    }

    /// Writes a page, with the following ones over which it continues.
    pub fn page(&mut self, flags: u16, elements: &[Element]) -> u64 {
        let id = self.next();
        let mut page = page(id, flags, elements);
        let pages = page.len().div_ceil(self.page_size);
        page.resize(pages * self.page_size, 0);
        page[12..16].copy_from_slice(&(pages as u32 - 1).to_le_bytes());
        self.bytes.extend(page);
        id
    }

    /// Writes a tree with `per_leaf` pairs in a leaf and `fan_out` pages below a branch.
    pub fn tree(&mut self, pairs: &[Pair], per_leaf: usize, fan_out: usize) -> u64 {
        let leaf = |(key, value): &Pair| Element::Leaf(0, key.clone(), value.clone());
        let mut level: Vec<(Vec<u8>, u64)> = pairs
            .chunks(per_leaf)
            .map(|pairs| {
                let elements: Vec<_> = pairs.iter().map(leaf).collect();
                (pairs[0].0.clone(), self.page(LEAF, &elements))
            })
            .collect();
        if level.is_empty() {
            return self.page(LEAF, &[]);
        }
        while level.len() > 1 {
            let branch = |(key, page): &(Vec<u8>, u64)| Element::Branch(key.clone(), *page);
            level = level
                .chunks(fan_out)
                .map(|below| {
                    let elements: Vec<_> = below.iter().map(branch).collect();
                    (below[0].0.clone(), self.page(BRANCH, &elements))
                })
                .collect();
        }
        level[0].1
    }

    /// Ends the file: the top of the database with buckets, and the meta pages.
    pub fn finish(mut self, buckets: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let element = |(name, value): &(&str, Vec<u8>)| {
            Element::Leaf(BUCKET, name.as_bytes().to_vec(), value.clone())
        };
        let elements: Vec<_> = buckets.iter().map(element).collect();
        let root = self.page(LEAF, &elements);
        self.end(root)
    }

    /// Ends the file with the page at which the tree of buckets begins.
    pub fn end(mut self, root: u64) -> Vec<u8> {
        for transaction in [6, 7] {
            let meta = self.meta(root, transaction);
            let at = (transaction as usize % 2) * self.page_size;
            self.bytes[at..at + meta.len()].copy_from_slice(&meta);
        }
        self.bytes
    }

    fn meta(&self, root: u64, transaction: u64) -> Vec<u8> {
        let mut page = Vec::new();
        page.extend((transaction % 2).to_le_bytes());
        page.extend(4_u64.to_le_bytes());
        page.extend(0xED0C_DAED_u32.to_le_bytes());
        page.extend(2_u32.to_le_bytes());
        page.extend((self.page_size as u32).to_le_bytes());
        page.extend(0_u32.to_le_bytes());
        for field in [root, 0, u64::MAX, self.next(), transaction] {
            page.extend(field.to_le_bytes());
        }
        let sum = page[16..]
            .iter()
            .fold(0xCBF2_9CE4_8422_2325_u64, |sum, byte| {
                (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
            });
        page.extend(sum.to_le_bytes());
        page
    }
}

/// The value of a bucket that begins at a page.
pub fn bucket(root: u64) -> Vec<u8> {
    [root.to_le_bytes(), 0_u64.to_le_bytes()].concat()
}

/// The value of an inline bucket.
pub fn inline_bucket(pairs: &[Pair]) -> Vec<u8> {
    let leaf = |(key, value): &Pair| Element::Leaf(0, key.clone(), value.clone());
    let elements: Vec<_> = pairs.iter().map(leaf).collect();
    [bucket(0), page(0, LEAF, &elements)].concat()
}

/// A database whose one bucket `updates` has these pairs.
pub fn database(pairs: &[Pair]) -> Vec<u8> {
    let mut writer = Writer::new(4096);
    let root = writer.tree(pairs, 4, 4);
    writer.finish(&[("updates", bucket(root))])
}

fn page(id: u64, flags: u16, elements: &[Element]) -> Vec<u8> {
    let mut page = id.to_le_bytes().to_vec();
    page.extend(flags.to_le_bytes());
    page.extend(
        u16::try_from(elements.len())
            .expect("few elements")
            .to_le_bytes(),
    );
    page.extend(0_u32.to_le_bytes());
    let mut tail = Vec::new();
    for (index, element) in elements.iter().enumerate() {
        let position = (16 * (elements.len() - index) + tail.len()) as u32;
        match element {
            Element::Leaf(flags, key, value) => {
                for field in [*flags, position, key.len() as u32, value.len() as u32] {
                    page.extend(field.to_le_bytes());
                }
                tail.extend_from_slice(key);
                tail.extend_from_slice(value);
            }
            Element::Branch(key, below) => {
                page.extend(position.to_le_bytes());
                page.extend((key.len() as u32).to_le_bytes());
                page.extend(below.to_le_bytes());
                tail.extend_from_slice(key);
            }
        }
    }
    page.extend(tail);
    page
}

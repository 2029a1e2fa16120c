//! Damaged databases: an error that names the place, never a panic, never an endless read.

use std::fs;

use proptest::prelude::*;

use crate::folder::Folder;
use crate::reader::{open, read_bytes, refusal};
use crate::writer::{self as bolt, BRANCH, Element, FIXTURES, LEAF, Writer};

/// A database whose bucket begins at a page that `build` writes.
fn built(build: impl FnOnce(&mut Writer) -> u64) -> Vec<u8> {
    let mut writer = Writer::new(4096);
    let root = build(&mut writer);
    writer.finish(&[("updates", bolt::bucket(root))])
}

/// A name, the bytes of a damaged database, and a part of the error.
type Case = (&'static str, Vec<u8>, &'static str);

fn key(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

/// The elements of a branch page with these pages below it.
fn branch(below: &[u64]) -> Vec<Element> {
    let numbered = below.iter().zip(1..);
    numbered
        .map(|(page, at)| Element::Branch(key(at), *page))
        .collect()
}

fn leaf(at: u64) -> Element {
    Element::Leaf(0, key(at), b"{}".to_vec())
}

/// Trees that lead to a wrong page, or to no end.
fn wrong_ways() -> Vec<Case> {
    vec![
        ("inline, without a page", built(|_| 0), "cut off"),
        ("beyond the end", built(|_| 1 << 40), "there is no page"),
        (
            "beyond every offset",
            built(|_| u64::MAX),
            "there is no page",
        ),
        (
            "itself",
            built(|file| file.page(BRANCH, &branch(&[file.next()]))),
            "below itself",
        ),
        (
            "itself, later",
            built(|file| {
                let first = file.page(LEAF, &[leaf(1)]);
                file.page(BRANCH, &branch(&[first, file.next()]))
            }),
            "out of order",
        ),
        (
            "exponentially many paths",
            built(|file| {
                let mut below = file.page(LEAF, &[leaf(1)]);
                for _ in 0..30 {
                    below = file.page(BRANCH, &branch(&[below; 100]));
                }
                below
            }),
            "out of order",
        ),
        (
            "a long way down",
            built(|file| {
                let mut below = file.page(LEAF, &[]);
                for _ in 0..100 {
                    below = file.page(BRANCH, &branch(&[below]));
                }
                below
            }),
            "below itself",
        ),
    ]
}

/// Trees with a wrong page.
fn wrong_pages() -> Vec<Case> {
    vec![
        (
            "no branch",
            built(|file| file.page(BRANCH, &[])),
            "a page is empty",
        ),
        (
            "an empty leaf",
            built(|file| {
                let below = [file.page(LEAF, &[leaf(1)]), file.page(LEAF, &[])];
                file.page(BRANCH, &branch(&below))
            }),
            "a page is empty",
        ),
        (
            "a free list",
            built(|file| file.page(0x10, &[])),
            "neither branch nor leaf",
        ),
        (
            "order",
            built(|file| file.page(LEAF, &[leaf(2), leaf(1)])),
            "out of order",
        ),
        (
            "twice",
            built(|file| file.page(LEAF, &[leaf(2), leaf(2)])),
            "out of order",
        ),
    ]
}

#[test]
fn damaged_trees_are_refused_with_the_offset_and_end() {
    for (name, bytes, what) in wrong_ways().into_iter().chain(wrong_pages()) {
        let message = refusal(read_bytes(&bytes));
        assert!(message.contains(what), "{name}: {message}");
        assert!(message.contains("at offset"), "{name}: {message}");
        assert!(
            message.contains("put a copy of it in its place"),
            "{name}: {message}"
        );
    }
}

#[test]
fn what_precedes_damage_is_handed_out_before_the_error_and_nothing_after() {
    let mut bytes = bolt::fixture(FIXTURES[0]);
    // The kind of page 6, which holds what follows the first 25.
    bytes[6 * 4096 + 8] = 0x80;
    let folder = Folder::new();
    let path = folder.file("mercure.db", &bytes);
    let source = open(&path).unwrap().expect("a database");
    let mut entries = source.entries(0);
    for sequence in 1..=25 {
        assert_eq!(entries.next().unwrap().unwrap().sequence, sequence);
    }
    let error = entries.next().unwrap().expect_err("damage");
    assert!(error.to_string().contains("at offset 24576"), "{error}");
    assert!(entries.next().is_none());
}

#[test]
fn a_cut_file_yields_what_is_there_or_says_where_it_ends() {
    let whole = bolt::fixture(FIXTURES[0]);
    let all = read_bytes(&whole).unwrap();
    for pages in 1..32 {
        for bytes in [pages * 4096 - 1, pages * 4096, pages * 4096 + 1] {
            match read_bytes(&whole[..bytes]) {
                Ok(read) => assert_eq!(read, all, "{bytes} bytes"),
                Err(error) => assert!(error.to_string().contains("mercure.db"), "{error}"),
            }
        }
    }
    // All pages of the newest transaction lie before page 18.
    assert!(read_bytes(&whole[..18 * 4096]).is_ok());
    assert!(refusal(read_bytes(&whole[..13 * 4096])).contains("there is no page"));
}

/// Bytes of a page that are likely to be structure, or any.
fn place() -> impl Strategy<Value = usize> {
    (
        0..32_usize,
        prop_oneof![0..32_usize, 0..256_usize, 0..4096_usize],
    )
        .prop_map(|(page, at)| page * 4096 + at)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Never a panic and never endless, whatever is damaged.
    #[test]
    fn damage_is_an_error_or_read_around(
        fixture in 0..FIXTURES.len(),
        flips in proptest::collection::vec((place(), any::<u8>()), 1..12),
        cut in prop_oneof![3 => Just(usize::MAX), 1 => 0..131_072_usize],
        after in prop_oneof![Just(0), 0..60_u64, any::<u64>()],
    ) {
        let mut bytes = bolt::fixture(FIXTURES[fixture]);
        for (at, byte) in flips {
            bytes[at] = byte;
        }
        bytes.truncate(cut);
        let folder = Folder::new();
        let path = folder.file("mercure.db", &bytes);
        let Ok(Some(source)) = open(&path) else {
            return Ok(());
        };
        let mut last = after;
        for entry in source.entries(after) {
            let Ok(entry) = entry else {
                break;
            };
            prop_assert!(entry.sequence > after && entry.sequence >= last);
            last = entry.sequence;
        }
        prop_assert_eq!(fs::read(&path).expect("the file"), bytes);
    }
}

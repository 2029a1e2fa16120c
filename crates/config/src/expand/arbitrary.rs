//! Whatever snippets import each other: no panic, and an end.

use std::path::Path;

use proptest::prelude::*;

use super::{Reader, expand};
use crate::lexer::tests::text;
use crate::tree::{Line, parse};

/// One line or block of a snippet, which may import others.
fn any_line() -> impl Strategy<Value = String> {
    let word = r#"(\{args\[([0-2]|[0-2]?:[0-2]?)\]\}|\{args\.[0-2]\}|[xy]|"\{args\[:\]\}"){1,2}"#;
    let words = proptest::collection::vec(word, 1..4).prop_map(|words| words.join(" "));
    (words, "[abc]", 0..4).prop_map(|(words, name, shape)| match shape {
        0 => words,
        1 => format!("import {name} {words}"),
        2 => format!("import {name} {words} {{\n {words}\n x {{\n import {name}\n }}\n}}"),
        _ => format!("{words} {{\n {{block}}\n {{blocks.x}}\n}}\n{{block}}"),
    })
}

fn any_lines() -> impl Strategy<Value = String> {
    proptest::collection::vec(any_line(), 0..5).prop_map(|lines| lines.join("\n"))
}

fn has_import(lines: &[Line]) -> bool {
    let inner = |line: &Line| line.block.as_ref().is_some_and(|block| has_import(block));
    lines
        .iter()
        .any(|line| line.name.is("import") || inner(line))
}

proptest! {
    /// Snippets that import each other end in lines without imports, or in a message.
    #[test]
    fn expanding_never_panics(a in any_lines(), b in any_lines(), c in any_lines(), top in any_lines()) {
        let source = format!("(a) {{\n{a}\n}}\n(b) {{\n{b}\n}}\n(c) {{\n{c}\n}}\n{top}\nimport a x y");
        let mut reader = Reader {
            environment: &|_| None,
            unset: &mut Vec::new(),
            notices: &mut Vec::new(),
            read: &mut Vec::new(),
        };
        let document = parse(&text(&source)).unwrap();
        match expand(document, &mut reader, Path::new("/nowhere")) {
            Ok(document) => prop_assert!(!has_import(&document.lines)),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}

//! The names of events: the program and the table of `docs/logs.md` have the same.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read the sources fails"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The crates that log.
const CRATES: [&str; 6] = ["hub", "server", "transport", "redis", "postgres", "boltdb"];
/// Events of these levels have names; the others are for those who look into the program.
const MACROS: [&str; 3] = ["tracing::error!(", "tracing::warn!(", "tracing::info!("];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, files),
            false if path.extension().is_some_and(|ending| ending == "rs") => files.push(path),
            false => {}
        }
    }
}

/// The text in quotes behind `before`, where `text` begins with that.
fn quoted<'t>(text: &'t str, before: &str) -> Option<&'t str> {
    let rest = text.trim_start().strip_prefix(before)?.trim_start();
    rest.strip_prefix('"')?.split('"').next()
}

/// The names in a source, and the places of events without one.
fn names(path: &Path, nameless: &mut Vec<String>) -> BTreeSet<String> {
    let text = std::fs::read_to_string(path).unwrap();
    // What tests log has no name.
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let mut names = BTreeSet::new();
    for call in MACROS {
        for (at, _) in text.match_indices(call) {
            match quoted(&text[at + call.len()..], "name:") {
                Some(name) => _ = names.insert(name.to_owned()),
                None => {
                    let line = 1 + text[..at].matches('\n').count();
                    nameless.push(format!("{}:{line}", path.display()));
                }
            }
        }
    }
    // Records that are not made of events.
    let records = text.match_indices("event:");
    names.extend(records.filter_map(|(at, _)| Some(quoted(&text[at..], "event:")?.to_owned())));
    names.remove("");
    names
}

/// Each event has a name, and each name a row. If this fails, add `name: "what_has_happened",` as the first argument of
/// the event, or the row.
#[test]
fn events_and_their_table_agree() {
    let mut files = Vec::new();
    for name in CRATES {
        sources(&root().join("crates").join(name).join("src"), &mut files);
    }
    files.retain(|path| {
        let is_of_tests = |part: &str| ["tests", "tests.rs", "laws", "laws.rs"].contains(&part);
        !path
            .iter()
            .any(|part| part.to_str().is_some_and(is_of_tests))
    });
    let mut nameless = Vec::new();
    let in_code: BTreeSet<String> = files
        .iter()
        .flat_map(|path| names(path, &mut nameless))
        .collect();
    assert_eq!(nameless, [""; 0], "these events have no `name: \"…\"`");
    for name in &in_code {
        let is_plain = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        assert!(is_plain, "{name}");
    }
    let page = std::fs::read_to_string(root().join("docs/logs.md")).unwrap();
    let (_, table) = page.split_once("\n## Events\n").unwrap();
    let rows = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let in_table: BTreeSet<String> = rows.map(str::to_owned).collect();
    assert!(in_table.len() > 100, "{in_table:?}");
    let missing: Vec<_> = in_code.difference(&in_table).collect();
    let gone: Vec<_> = in_table.difference(&in_code).collect();
    assert!(
        missing.is_empty(),
        "docs/logs.md has no row for {missing:?}"
    );
    assert!(gone.is_empty(), "the program has no events {gone:?}");
}

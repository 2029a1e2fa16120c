//! Blocks of other languages: their syntax, and where they are taken from.

use std::path::Path;
use std::process::Command;

use crate::blocks::{Block, blocks};
use crate::shell::find;

/// What is wrong with the blocks of a page.
pub fn faults(root: &Path, name: &str, text: &str) -> Vec<String> {
    let found = blocks(text).unwrap_or_default();
    let wrong = found.iter().filter_map(|block| {
        let what = fault(block).or_else(|| not_from_its_source(root, block))?;
        Some(format!("{name}:{}: {what}", block.line))
    });
    wrong.collect()
}

fn fault(block: &Block) -> Option<String> {
    let text = block.text();
    match block.language.as_str() {
        "json" => serde_json::from_str::<serde_json::Value>(&text)
            .err()
            .map(|error| error.to_string()),
        "yaml" => yaml_rust2::YamlLoader::load_from_str(&text)
            .err()
            .map(|error| error.to_string()),
        "js" => checked("node", &["--check"], "mjs", &text),
        "php" if text.starts_with("<?php") => checked("php", &["-l"], "php", &text),
        "php" => checked("php", &["-l"], "php", &format!("<?php\n{text}")),
        "python" => {
            let parse = "import ast, sys; ast.parse(open(sys.argv[1]).read())";
            checked("python3", &["-c", parse], "py", &text)
        }
        _ => None,
    }
}

/// What a program says of a text, if it is installed and does not like it.
fn checked(program: &str, arguments: &[&str], ending: &str, text: &str) -> Option<String> {
    let program = find(program)?;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("block").with_extension(ending);
    std::fs::write(&path, text).unwrap();
    let output = Command::new(program)
        .args(arguments)
        .arg(path)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (!output.status.success()).then_some(said)
}

/// A block whose mark names a file is an excerpt of that file.
fn not_from_its_source(root: &Path, block: &Block) -> Option<String> {
    let path = block.source()?;
    let source = std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let is_part = source.contains(&block.text());
    (!is_part).then(|| format!("{path} does not hold this block"))
}

/// Each check finds a fault.
#[test]
fn faults_are_found() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (language, wrong) in [
        ("json", "{"),
        ("yaml", "a: [b"),
        ("js", "const = 1"),
        ("php", "echo 'a"),
        ("python", "def f(:"),
    ] {
        let page = format!("```{language}\n{wrong}\n```\n");
        let is_installed = match language {
            "js" => find("node").is_some(),
            "php" | "python" => find(&language.replace("python", "python3")).is_some(),
            _ => true,
        };
        let found = faults(&root, "page", &page);
        assert_eq!(found.len(), usize::from(is_installed), "{language}");
    }
    let page = "<!-- source: README.md -->\n```rust\nfn missing() {}\n```\n";
    assert_eq!(faults(&root, "page", page).len(), 1);
}

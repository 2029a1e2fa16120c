//! Documents that name tests name tests that exist.

use std::fs;
use std::path::{Path, PathBuf};

const DOCUMENT: &str = include_str!("../../../../docs/conformance.md");

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// `docs/conformance.md`: each `module::test` is a function of a file of that name.
#[test]
fn every_test_of_the_conformance_table_exists() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    sources(&crates, &mut files);
    let named: Vec<_> = DOCUMENT
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| name.contains("::"))
        .collect();
    assert!(named.len() > 150, "{}", named.len());
    for name in named {
        let (module, rest) = name.split_once("::").expect("two parts");
        let function = format!("fn {}(", rest.rsplit("::").next().unwrap_or(rest));
        let exists = files
            .iter()
            .filter(|path| path.file_stem().is_some_and(|stem| stem == module))
            .any(|path| fs::read_to_string(path).is_ok_and(|text| text.contains(&function)));
        assert!(
            exists,
            "docs/conformance.md names {name}, which is not a test"
        );
    }
}

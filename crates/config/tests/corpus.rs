//! The corpus: sites as applications put them around the hub. Each starts, or is refused with exactly the errors
//! that its file `expected` holds. Its file `environment` has the variables that it needs.
//!
//! With `TALARIA_WRITE_EXPECTED` set, what is refused now is written down, to be read by a person.
#![allow(clippy::expect_used, reason = "a failed step must stop the test")]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use talaria_config::{File, Sources, envfile, load};

/// The variables of every site.
const KEYS: [(&str, &str); 2] = [
    (
        "MERCURE_PUBLISHER_JWT_KEY",
        "the key of the publishers, of 32 bytes or more",
    ),
    (
        "MERCURE_SUBSCRIBER_JWT_KEY",
        "the key of the subscribers, of 32 bytes or more",
    ),
];

/// The folders of the corpus, by name.
fn sites() -> Vec<PathBuf> {
    let listed = fs::read_dir("tests/corpus").expect("the corpus");
    let mut sites: Vec<PathBuf> = listed
        .map(|entry| entry.expect("an entry").path())
        .collect();
    sites.sort();
    sites
}

/// What is wrong with a site; nothing if it starts. Paths are those in its folder.
fn errors(site: &Path) -> String {
    let path = site.join("Caddyfile");
    let environment = fs::read_to_string(site.join("environment")).unwrap_or_default();
    let mut variables: HashMap<String, String> = KEYS
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    variables.extend(envfile::parse(&environment).expect("variables"));
    let file = File {
        name: path.display().to_string(),
        text: fs::read_to_string(&path).expect("a file"),
    };
    let sources = Sources {
        file: Some(file),
        variables: &variables,
        address: None,
    };
    match load(&sources) {
        Ok(_) => String::new(),
        Err(error) => format!("{error}\n").replace(&format!("{}/", site.display()), ""),
    }
}

/// Each site starts, or is refused with the errors that are expected, in the order of the file.
#[test]
fn each_site_starts_or_is_refused_as_expected() {
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for site in sites() {
        let name = site
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        let found = errors(&site);
        tried += 1;
        let path = site.join("expected");
        if std::env::var_os("TALARIA_WRITE_EXPECTED").is_some() && !found.is_empty() {
            fs::write(&path, &found).expect("the folder can be written");
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if found != expected {
            wrong.push(format!("{name}: expected\n{expected}\nbut found\n{found}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried >= 40, "{tried} sites");
}

//! The whole configuration: a file and the variables that it names, or the variables alone.

use std::collections::HashMap;

use talaria_config::settings::{Action, Condition, Route};
use talaria_config::{File, Sources, envfile, load};

/// What stands between the file and its variables.
const BETWEEN: &str = "\n%%\n";

/// A configuration gives settings or errors, twice the same ones; its conditions hold for any text or not. The file
/// comes first, and behind a line `%%` its variables; without a file the variables alone configure the hub.
pub fn language(bytes: &[u8]) {
    // A fuzzer must not read the files that a configuration names.
    let text = std::str::from_utf8(bytes).ok();
    let Some(text) = text.filter(|text| !text.contains("{file.") && !text.contains("import /"))
    else {
        return;
    };
    let (file, variables) = text.split_once(BETWEEN).unwrap_or((text, ""));
    let Ok(variables) = envfile::parse(variables) else {
        return;
    };
    let first = outcome(file, &variables);
    assert_eq!(first, outcome(file, &variables));
    assert!(first.is_none_or(|error| !error.is_empty()));
}

/// What is wrong with a configuration; `None` if nothing is.
fn outcome(file: &str, variables: &HashMap<String, String>) -> Option<String> {
    let file = (!file.is_empty()).then(|| File {
        name: "Caddyfile".to_owned(),
        text: file.to_owned(),
    });
    let sources = Sources {
        file,
        variables,
        address: None,
    };
    match load(&sources) {
        Ok(loaded) => {
            for site in &loaded.settings.sites {
                match_all(&site.routes.0);
            }
            None
        }
        Err(error) => Some(error.to_string()),
    }
}

fn match_all(routes: &[Route]) {
    for Route { condition, action } in routes {
        judge(condition);
        match action {
            Action::Group { routes, .. } | Action::Errors { routes, .. } => match_all(routes),
            _ => {}
        }
    }
}

/// Asks each pattern of a condition about texts that are near it, and far from it.
fn judge(condition: &Condition) {
    const TEXTS: [&str; 5] = ["", "/", "/a/b.php", "*", "\u{e9}//..%2f"];
    match condition {
        Condition::Path(patterns) => {
            for pattern in patterns {
                assert!(pattern.length() <= 1 << 20);
                for text in TEXTS {
                    pattern.fits(text);
                }
            }
        }
        Condition::PathRegex(pattern)
        | Condition::FieldRegex { pattern, .. }
        | Condition::TextRegex(_, pattern) => {
            for text in TEXTS {
                let captured = pattern.captures(text);
                assert!(captured.is_none_or(|captured| captured.len() == pattern.groups().count()));
            }
        }
        Condition::Compared { how, .. } => {
            for text in TEXTS {
                assert!(!how.holds(text, "1"));
            }
        }
        Condition::All(all) | Condition::AtLeastOne(all) => all.iter().for_each(judge),
        Condition::Not(one) => judge(one),
        _ => {}
    }
}

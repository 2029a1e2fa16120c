//! How variables are put in, and which places messages give for what they hold.

use super::*;

fn environment(name: &str) -> Option<String> {
    match name {
        "LINES" => Some("one\ntwo".to_owned()),
        "EMPTY" => Some(String::new()),
        "NESTED" => Some("{$LINES}".to_owned()),
        _ => None,
    }
}

fn expand(text: &str) -> Text {
    Text::expand(
        &Source::new(SourceKind::File, "Caddyfile", text, false),
        &environment,
    )
}

/// A variable that is set, even to nothing, takes precedence over the default; one that is not set and has
/// no default gives nothing (B-120, B-121).
#[test]
fn substitutes_once_before_tokenising() {
    assert_eq!(expand("a {$LINES} b").as_str(), "a one\ntwo b");
    assert_eq!(expand("{$EMPTY:x}|{$NONE:x y}|{$NONE}|").as_str(), "|x y||");
    assert_eq!(expand("{$NESTED}").as_str(), "{$LINES}");
    assert_eq!(
        expand("# \"{$EMPTY}\" {$} {$open").as_str(),
        "# \"\" {$} {$open"
    );
}

/// A place in substituted text names the variable and the line within it.
#[test]
fn places_survive_substitution() {
    let text = expand("first\nx {$LINES} {$NONE:dflt}");
    let at = |needle: &str| {
        let start = text.as_str().find(needle).unwrap();
        text.place(start, start + needle.len()).unwrap().to_string()
    };
    assert_eq!(at("first"), "Caddyfile:1:1");
    assert_eq!(at("two"), "LINES, line 2, column 1");
    assert_eq!(at("dflt"), "Caddyfile:2:19");
}

/// No excerpt shows a password within a URL, in the word itself or before it.
#[test]
fn excerpts_hide_passwords() {
    let text = expand("origins https://u:PW@a https://u:PW@b");
    let excerpt = |at, end| text.place(at, end).unwrap().excerpt().unwrap();
    let both = "    origins https://…@a https://…@b\n                        ^^^^^^^^^^^";
    assert_eq!(excerpt(23, 37), both);
    assert!(!excerpt(8, 22).contains("PW"));
}

/// The line of a key is never shown, nor is what follows a misspelt name.
#[test]
fn excerpts_hide_keys() {
    let text = expand("jwt s3cret\nheartbeet s3cret");
    assert!(text.place(4, 10).unwrap().excerpt().is_none());
    let excerpt = text.place(11, 20).unwrap().excerpt().unwrap();
    assert_eq!(excerpt, "    heartbeet …\n    ^^^^^^^^^");
}

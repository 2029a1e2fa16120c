//! Custom groups of URL Patterns against a general regular expression engine (specification, "URL
//! Pattern": evaluation follows the standard, which compiles to regular expressions).
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use proptest::prelude::*;
use proptest::sample::select;
use regex::bytes::RegexBuilder;
use talaria_protocol::matcher::UrlPattern;
use talaria_protocol::{Base, TopicUrl};

fn base() -> Base {
    Base::new("https://hub.example/.well-known/mercure").unwrap()
}

/// Whether a general engine finds that the expression matches all of the path.
fn general(expression: &str, path: &str) -> Option<bool> {
    let regex = RegexBuilder::new(expression).unicode(false).build().ok()?;
    Some(regex.is_match(path.as_bytes()))
}

/// Expressions of all that a linear-time engine knows, from a small alphabet so that they often
/// match.
fn expression() -> impl Strategy<Value = String> {
    let atom = select(vec![
        "a",
        "b",
        "A",
        "1",
        "-",
        "_",
        "/",
        "\\.",
        "",
        ".",
        "\\d",
        "\\D",
        "\\w",
        "\\W",
        "\\s",
        "\\S",
        "[ab]",
        "[^a]",
        "[a-c1]",
        "[^\\d/]",
        "[[:alpha:]]",
        "[a-z&&[^b]]",
        "[a&&b]",
        "\\x61",
        "^",
        "$",
        "\\b",
        "\\B",
        "\\A",
        "\\z",
        "\\b{start}",
        "\\b{end}",
        "\\b{start-half}",
        "\\b{end-half}",
        "(?i)a",
        "(?i:[ab])",
        "(?m:^)",
        "(?m:$)",
        "\\xFF",
        "ab",
        "a|b",
        "a|",
        "|",
    ]);
    let atom = atom.prop_map(|atom| {
        if atom.contains('|') {
            format!("(?:{atom})")
        } else {
            atom.to_owned()
        }
    });
    atom.prop_recursive(5, 24, 4, |inner| {
        let modifiers = select(vec![
            "?", "*", "+", "??", "*?", "+?", "{0}", "{1}", "{2}", "{0,2}", "{1,3}", "{2,}", "{0,}",
            "{2,2}?",
        ]);
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            2 => prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|parts| format!("(?:{})", parts.join("|"))),
            1 => inner.clone().prop_map(|inner| format!("(?<name>{inner})")),
            3 => (inner, modifiers).prop_map(|(inner, modifier)| format!("(?:{inner}){modifier}")),
        ]
    })
}

/// What follows a pattern's literal beginning; nothing that the URL parser changes.
fn path() -> impl Strategy<Value = String> {
    let character = select(vec!["a", "b", "c", "A", "B", "1", "-", "_", "~", "/", "."]);
    prop::collection::vec(character, 0..10)
        .prop_map(|characters| characters.concat())
        .prop_filter("dot segments are removed", |path| {
            !format!("/x{path}")
                .split('/')
                .any(|segment| segment == "." || segment == "..")
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Every answer is that of the general engine, what the literal beginning is included.
    #[test]
    fn decide_as_a_general_engine(
        group in expression(),
        modifier in select(vec!["", "", "?", "+", "*"]),
        (before, behind) in select(vec![("", ""), ("x", ""), ("x", "c"), ("", "-")]),
        paths in prop::collection::vec(path(), 1..16),
    ) {
        let base = base();
        let text = format!("/{{{before}({group}){behind}}}{modifier}");
        let Ok(pattern) = UrlPattern::parse(&text, &base) else {
            let problem = UrlPattern::parse(&text, &base).expect_err("refused").to_string();
            let known = general(&format!("({group})"), "").is_none()
                || ["name", "URL Pattern"].iter().any(|reason| problem.contains(reason));
            prop_assert!(known, "{} {}", text, problem);
            return Ok(());
        };
        let once = format!("{before}(?:{group}){behind}");
        for path in &paths {
            let path = format!("/{path}");
            let url = TopicUrl::parse(&path, &base);
            let Some(url) = url.filter(|url| url.url().path() == path) else {
                continue;
            };
            let expected = general(&format!("^/(?:{once}){modifier}$"), &path);
            let mut spent = 0;
            let matches = pattern.matches_in(&url, &mut spent);
            prop_assert_eq!(Some(matches), expected, "{} {}", &text, &path);
            prop_assert_eq!(matches, pattern.matches(&url));
            let most = pattern.steps(url.url().as_str().len());
            prop_assert!((1..=most).contains(&spent), "{} {}: {} {}", &text, &path, spent, most);
            prop_assert!(
                !matches || url.key().starts_with(pattern.literal_prefix()),
                "{} {} {:?}", &text, &path, pattern.literal_prefix()
            );
        }
    }
}

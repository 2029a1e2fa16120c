//! URL Patterns against an engine that follows the standard by the letter (specification, "URL
//! Pattern").

use proptest::prelude::*;
use talaria_protocol::matcher::UrlPattern;
use talaria_protocol::{Base, TopicUrl};
use urlpattern::{UrlPatternInit, UrlPatternMatchInput, UrlPatternOptions};

fn base() -> Base {
    #[expect(clippy::unwrap_used, reason = "a constant")]
    Base::new("https://hub.example/.well-known/mercure").unwrap()
}

/// Texts of a pattern part or a topic part from a small alphabet, so that they often meet.
fn piece() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "a", "b", "ab", "/", "/", "/a", ".", "1", "12", "-", "%2F", "%25", "é", "..", "/./", "=",
        "&", "B",
    ])
    .prop_map(str::to_owned)
}

fn part() -> impl Strategy<Value = String> {
    let literal = piece();
    let body = prop_oneof![
        4 => Just(":n".to_owned()),
        3 => Just("*".to_owned()),
        1 => Just("(\\d+)".to_owned()),
        1 => Just("(a|b)".to_owned()),
        1 => Just("([^/]+?)".to_owned()),
        1 => Just("(.*)".to_owned()),
        2 => Just(String::new()),
    ];
    let modifier = prop::sample::select(vec!["", "", "", "?", "*", "+"]);
    let group = (
        prop::option::of(piece()),
        body.clone(),
        prop::option::of(piece()),
        modifier.clone(),
    )
        .prop_map(|(prefix, body, suffix, modifier)| {
            let (prefix, suffix) = (prefix.unwrap_or_default(), suffix.unwrap_or_default());
            format!("{{{prefix}{body}{suffix}}}{modifier}")
        });
    let bare = (body, modifier).prop_map(|(body, modifier)| {
        let modifier = if body.is_empty() { "" } else { modifier };
        format!("{body}{modifier}")
    });
    let slashed = bare.clone().prop_map(|bare| format!("/{bare}"));
    prop_oneof![3 => literal, 2 => group, 1 => bare, 2 => slashed]
}

/// A pattern whose names are distinct.
fn pattern_text() -> impl Strategy<Value = String> {
    let origin = prop::sample::select(vec![
        "",
        "",
        "/",
        "https://a.b/",
        "https://:h.b/",
        "http{s}?://a.b/",
        "*://*/",
        "https://a.b:*/",
        "https://{a.}*b/",
        "x:",
        "x:/",
        "https://u@a.b/",
        "(https|x)://a.b/",
        "https://a.b:443/",
    ]);
    let parts = prop::collection::vec(part(), 0..6);
    let rest = prop::sample::select(vec!["", "", "", "?a=:q", "?*", "#*", "#a", "?a#:f"]);
    (origin, parts, rest).prop_map(|(origin, parts, rest)| {
        let parts: Vec<String> = parts
            .iter()
            .enumerate()
            .map(|(at, part)| part.replace(":n", &format!(":n{at}$")))
            .collect();
        format!("{origin}{}{rest}", parts.concat())
    })
}

fn topic_text() -> impl Strategy<Value = String> {
    let origin = prop::sample::select(vec![
        "",
        "",
        "/",
        "https://a.b/",
        "https://a.a.b/",
        "https://b/",
        "http://a.b/",
        "https://a.b:8/",
        "x:",
        "x:/",
        "x://a.b/",
        "https://u@a.b/",
        "https://u:p@a.b/",
    ]);
    let parts = prop::collection::vec(piece(), 0..6);
    let rest = prop::sample::select(vec!["", "", "", "?a=b", "?a", "#a", "?a#b"]);
    (origin, parts, rest)
        .prop_map(|(origin, parts, rest)| format!("{origin}{}{rest}", parts.concat()))
}

/// The crate's own engine under the rules of the specification.
fn reference(text: &str, base: &Base) -> Result<urlpattern::UrlPattern, urlpattern::Error> {
    let base = Some(base.url().clone());
    let mut init = UrlPatternInit::parse_constructor_string::<regex::Regex>(text, base)?;
    if init.protocol.is_some() {
        init.base_url = None;
    }
    urlpattern::UrlPattern::parse(init, UrlPatternOptions::default())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Our matcher decides as an engine that follows the standard by the letter, and what matches
    /// has the pattern's prefix (specification, "URL Pattern").
    #[test]
    fn decides_as_the_standards_engine(
        text in pattern_text(),
        topics in prop::collection::vec(topic_text(), 1..24),
    ) {
        let base = base();
        let ours = UrlPattern::parse(&text, &base);
        let theirs = reference(&text, &base);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{}: {:?} {:?}", text, ours, theirs);
        if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
            for topic in &topics {
                let Some(url) = TopicUrl::parse(topic, &base) else { continue };
                let expected = theirs
                    .test(UrlPatternMatchInput::Url(url.url().clone()))
                    .unwrap();
                prop_assert_eq!(ours.matches(&url), expected, "{} {}", &text, topic);
                if expected {
                    prop_assert!(
                        url.key().starts_with(ours.literal_prefix()),
                        "{} {:?} {:?}", &text, url.key(), ours.literal_prefix()
                    );
                }
            }
        }
    }

    /// Any text is accepted or refused without a panic.
    #[test]
    fn no_text_makes_the_compiler_panic(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                ":", "/", "//", "[", "]", "(", ")", "{", "}", "?", "*", "+", "\\", "#", "@", "a",
                "1", ".", "://", "https", "file:", "é", "%", "^", "$", "|", "-", " ", ":80", "(?:",
                "\u{10FFFF}", "::1", "xn--", "_", "..", "&",
            ]),
            0..14,
        ),
        topic in topic_text(),
    ) {
        let base = base();
        if let (Ok(pattern), Some(url)) =
            (UrlPattern::parse(&parts.concat(), &base), TopicUrl::parse(&topic, &base))
            && pattern.matches(&url)
        {
            prop_assert!(url.key().starts_with(pattern.literal_prefix()));
        }
    }
}

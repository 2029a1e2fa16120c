//! URL Patterns (specification, "URL Pattern"; B-430, B-461, B-1042).

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use talaria_protocol::matcher::UrlPattern;
use talaria_protocol::{Base, Topic, TopicUrl};

fn base() -> Base {
    Base::new("https://hub.example/.well-known/mercure").unwrap()
}

#[track_caller]
fn pattern(text: &str) -> UrlPattern {
    UrlPattern::parse(text, &base()).unwrap_or_else(|problem| panic!("{text}: {problem}"))
}

fn matches(text: &str, topic: &str) -> bool {
    let base = base();
    let topic = Topic::new(topic, &base);
    topic.url().is_some_and(|url| pattern(text).matches(url))
}

#[track_caller]
fn check(text: &str, selected: &[&str], others: &[&str]) {
    for topic in selected {
        assert!(matches(text, topic), "{text} does not match {topic}");
    }
    for topic in others {
        assert!(!matches(text, topic), "{text} matches {topic}");
    }
}

/// A name stops at the delimiter of its component, a wildcard does not (specification, "URL
/// Pattern").
#[test]
fn names_and_wildcards_have_the_standards_reach() {
    check(
        "https://example.com/books/:id",
        &[
            "https://example.com/books/1",
            "https://example.com:443/books/a.b%2Fc",
            "HTTPS://EXAMPLE.COM/books/1",
            "https://example.com/books/1?page=2#top",
        ],
        &[
            "https://example.com/books/",
            "https://example.com/books/1/2",
            "https://example.com/Books/1",
            "https://example.com:8443/books/1",
            "http://example.com/books/1",
            "/books/1",
        ],
    );
    check(
        "https://:sub.example.com/*",
        &["https://eu.example.com/", "https://eu.example.com/a/b"],
        &["https://a.b.example.com/", "https://example.com/"],
    );
    check(
        "https://example.com/*/end",
        &["https://example.com//end", "https://example.com/a/b/end"],
        &["https://example.com/end", "https://example.com/a/ends"],
    );
    check(
        "https://example.com/books?page=:page",
        &["https://example.com/books?page=2"],
        &[
            "https://example.com/books",
            "https://example.com/books?page=",
        ],
    );
}

/// Modifiers and groups of the standard (specification, "URL Pattern").
#[test]
fn groups_take_the_standards_modifiers() {
    check("/a{/b}?", &["/a", "/a/b"], &["/a/", "/a/b/b"]);
    check("/a{/b}*", &["/a", "/a/b/b"], &["/a/", "/a/b/"]);
    check("/a{/b}+", &["/a/b", "/a/b/b"], &["/a", "/a/bb"]);
    check("/a/:b?", &["/a", "/a/x"], &["/a/", "/a/x/y"]);
    check("/a/:b+", &["/a/x", "/a/x/y"], &["/a", "/a/", "/a//y"]);
    check("/a/:b*", &["/a", "/a/x", "/a/x/y"], &["/a/", "/a/x/"]);
    check("/a{-:b-}+", &["/a-x-", "/a-x--y-"], &["/a", "/a-", "/a--"]);
    check("/a/(\\d+)?", &["/a", "/a/42"], &["/a/", "/a/x", "/a/4/2"]);
    check(
        "/:k(a|bc)/x",
        &["/a/x", "/bc/x"],
        &["/ab/x", "/c/x", "/A/x"],
    );
    check("/{\\:}literal", &["/:literal"], &["/literal"]);
}

/// Relative patterns and topics have one base; an absolute pattern whose path is opaque does not
/// depend on it (specification, "URL Pattern").
#[test]
fn relative_patterns_meet_relative_topics() {
    check(
        "/.well-known/mercure/subscriptions/:type/:topic/:subscriber",
        &[
            "/.well-known/mercure/subscriptions/exact/a/b",
            "https://hub.example/.well-known/mercure/subscriptions/exact/a/b",
        ],
        &["https://other.example/.well-known/mercure/subscriptions/exact/a/b"],
    );
    check(
        "books/:id",
        &["books/1", "/.well-known/books/1"],
        &["/books/1"],
    );
    check("urn\\:isbn\\:*", &["urn:isbn:1", "urn:isbn:"], &["urn:x:1"]);

    let synthetic = Base::synthetic();
    let relative = UrlPattern::parse("/books/:id", &synthetic).unwrap();
    let matches = |topic| relative.matches(&TopicUrl::parse(topic, &synthetic).unwrap());
    assert!(matches("/books/1"));
    assert!(!matches("https://hub.example/books/1"));
}

/// A topic that is not a URL matches no pattern, not even `*`-like ones (specification, "URL
/// Pattern").
#[test]
fn a_topic_that_is_not_a_url_matches_nothing() {
    for text in ["*", "*://*/*", "/:a", "*:*"] {
        for topic in ["https://[", "http://a:99999999/", "https://exa mple.com/"] {
            assert!(!matches(text, topic), "{text} {topic}");
        }
    }
}

/// The pattern of a presence channel matches the request path and the event's relative topic, and
/// an encoded `%` is not decoded again (B-1042).
#[test]
fn a_presence_channel_matches_its_events_and_requests() {
    for (topic, encoded) in [
        (
            "https://example.com/books/{id}",
            "https%3A%2F%2Fexample.com%2Fbooks%2F%7Bid%7D",
        ),
        ("a%2Fb", "a%252Fb"),
        ("chat room é", "chat%20room%20%C3%A9"),
        ("a?b#c", "a%3Fb%23c"),
    ] {
        let root = "/.well-known/mercure/subscriptions";
        let text = format!("{root}/:match_type/{encoded}{{/:subscriber}}?");
        let event = format!("{root}/exact/{encoded}/urn%3Auuid%3A1");
        let twice = event.replace("%25", "%");
        let path = format!("{root}/urlpattern/{encoded}");
        let absolute = format!("https://hub.example{event}");
        check(
            &text,
            &[&event, &path, &absolute],
            &[&format!("{path}/a/b"), &format!("{path}x")],
        );
        assert_eq!(matches(&text, &twice), !encoded.contains("%25"), "{topic}");
    }
}

/// The hub refuses costly custom groups, and everything that a linear-time engine cannot run, with
/// a reason (specification, "Privacy Considerations").
#[test]
fn hostile_and_invalid_patterns_are_refused_with_a_reason() {
    for (text, reason) in [
        (
            "/((?:\\w{1,90}){1,20})",
            "the pathname's custom group is too costly",
        ),
        ("/((?:(?:a{50}){50}){50})", "too costly"),
        ("((?:\\w{1,90}){1,20})://a/", "the protocol's custom group"),
        (
            "https://((?:\\w{1,90}){1,20})/",
            "the hostname's custom group",
        ),
        ("/x?((?:\\w{1,90}){1,20})", "the search's custom group"),
        ("/(a(?=b))", "look-around"),
        ("/((?<x>a)\\1)", "back-reference"),
        ("/(\\p{L})", "ASCII"),
        ("/((?u)\\w)", "flag \"u\""),
        ("/([)", "regular expression"),
        ("/((?<n>a\\b{bad}))", "regular expression"),
        ("/(a{1000}{1000}{1000})", "more than the 2048 states"),
        ("/((?:a|){4000})", "more than the 2048 states"),
        (
            "/((?:(?:a{1,40}){1,20}){1,20})",
            "more than the 2048 states",
        ),
        ("/(\\w{1500}):x(\\w{1500})", "more than the 2048 states"),
        ("/(a{1500})?(b{1500})", "more than the 2048 states"),
        (
            &format!("/({}a{})", "(?:".repeat(90), ")".repeat(90)),
            "levels deep",
        ),
        (&format!("/(a{})", "?".repeat(200)), "levels deep"),
        (&"(".repeat(4096), "more than the 512"),
        (&format!("/{}", "*a".repeat(2047)), "more than the 512"),
        (&format!("/{}", ":a".repeat(2000)), "more than the 512"),
        (&format!("/{}", "{a}".repeat(1000)), "more than the 512"),
        ("/{a", "not a valid URL Pattern"),
        ("/(a", "not a valid URL Pattern"),
        ("/:a/:a", "duplicate name a"),
        ("https://a]/", "closes no"),
        ("https://a]:80/", "closes no"),
        ("https://(a]/", "not well-formed"),
    ] {
        let problem = UrlPattern::parse(text, &base())
            .expect_err(text)
            .to_string();
        assert!(problem.contains(reason), "{text}: {problem}");
    }
}

/// Brackets are data wherever they do not belong to a host.
#[test]
fn brackets_are_legal_beside_the_host() {
    check("/a]:b", &["/a]x"], &["/a]"]);
    check(
        "https://[\\:\\:1]:8080/:a",
        &["https://[::1]:8080/x"],
        &["https://[::2]:8080/x"],
    );
    check(
        "https://example.com?a]",
        &["https://example.com?a]"],
        &["https://example.com"],
    );
    check("file:///a]", &["file:///a]"], &[]);
    check(
        "https://example.com/{a]}?",
        &["https://example.com/a]"],
        &[],
    );
}

/// A legal pattern of up to 4,096 bytes is accepted, with up to 512 names, wildcards and groups and
/// 2,048 states between its literal beginning and end.
#[test]
fn long_legal_patterns_are_accepted() {
    let names: String = (0..50).map(|n| format!("/:n{n}")).collect();
    let customs = "/(\\d+)".repeat(50);
    let values: String = "/7".repeat(50);
    check(&names, &[&values], &["/7"]);
    check(&customs, &[&values], &["/7"]);

    let literal = format!("/{}", "a".repeat(4095));
    check(&literal, &[&literal], &["/a"]);
    let many: String = (0..512).map(|n| format!("/:n{n:03}")).collect();
    check(&many, &[&"/7".repeat(512)], &[&"/7".repeat(511)]);
    let wildcards = format!("/{}", "*a".repeat(512));
    check(
        &wildcards,
        &[&format!("/{}", "ba".repeat(512))],
        &[&format!("/{}", "a".repeat(511))],
    );
    let optional = format!("/{}", "{a*b}?".repeat(256));
    check(&optional, &["/", "/ab", "/axbab"], &["/b", "/abx"]);
    let around = format!("/(\\d){}(\\d)", "a".repeat(2040));
    check(&around, &[&around.replace("(\\d)", "1")], &["/11"]);
    let classes = format!("/({})", "\\w".repeat(2040));
    check(&classes, &[&format!("/{}", "_".repeat(2040))], &["/_"]);
}

/// An ordinary compiled pattern takes at most 4 KiB, all included.
#[test]
fn ordinary_patterns_are_small() {
    let long = format!("https://example.com/{}/:id", "segment/".repeat(100));
    for text in [
        "https://example.com/books/:id",
        "https://*.example.com/:a/:b/:c{/:d}?",
        "/.well-known/mercure/subscriptions/:type/https%3A%2F%2Fexample.com%2Fbooks{/:subscriber}?",
        &(0..50).map(|n| format!("/:n{n}")).collect::<String>(),
        &(0..50).map(|n| format!("/:n{n}?")).collect::<String>(),
        &long,
    ] {
        let size = pattern(text).size_bytes();
        assert!(size <= 4096, "{text}: {size}");
    }
}

/// Interests are found by the literal beginning of their pattern.
#[test]
fn the_literal_prefix_reaches_to_the_first_variable_part() {
    for (text, prefix) in [
        (
            "https://example.com/books/:id",
            "https\0example.com\0\0/books/",
        ),
        (
            "https://example.com:8443/a{b}?c",
            "https\0example.com\08443\0/a",
        ),
        ("https://example.com/a/:b?", "https\0example.com\0\0/a"),
        ("https://example.com/a/b", "https\0example.com\0\0/a/b"),
        (
            "https://example.com/a/(\\d+)/x",
            "https\0example.com\0\0/a/",
        ),
        ("https://example.com/a/b(c?)", "https\0example.com\0\0/a/b"),
        ("/books/*", "https\0hub.example\0\0/books/"),
        ("https://:sub.example.com/a", "https\0"),
        ("http{s}?://example.com/a", "http"),
        ("*://example.com/a", ""),
        ("https://example.com:8*/a", "https\0example.com\08"),
    ] {
        assert_eq!(pattern(text).literal_prefix(), prefix, "{text}");
    }
}

/// Two patterns are the same interest exactly if text and base are the same.
#[test]
fn identity_is_text_and_base() {
    assert_eq!(pattern("/a/:b"), pattern("/a/:b"));
    assert_ne!(pattern("/a/:b"), pattern("/a/:c"));
    let other = UrlPattern::parse("/a/:b", &Base::synthetic()).unwrap();
    assert_ne!(pattern("/a/:b"), other);
    assert_eq!(other.text(), "/a/:b");
}

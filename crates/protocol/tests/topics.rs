//! Topics and the namespace reserved for the hub (specification, "Terminology" and "Publication").
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use talaria_protocol::form::Pair;
use talaria_protocol::{Base, Blame, Generation, Limits, ProtocolError, Topic, TopicUrl, Update};

fn publish_on(hub: &str, topic: &str) -> Result<Update, ProtocolError> {
    let pairs: [Pair<'_>; 1] = [("topic".into(), topic.into())];
    Update::from_form(
        &pairs,
        Generation::V1,
        &Base::new(hub).unwrap(),
        &Limits::default(),
    )
}

fn check(topic: &str, checks: Generation, base: &Base) -> Result<Update, ProtocolError> {
    let pairs: [Pair<'_>; 1] = [("topic".into(), topic.into())];
    Update::from_form(&pairs, checks, base, &Limits::default())
}

fn publish(topic: &str) -> Result<Update, ProtocolError> {
    publish_on("https://hub.example/.well-known/mercure", topic)
}

#[track_caller]
fn refused(topic: &str, reason: &str) {
    let error = publish(topic).expect_err(topic);
    let blame = match reason {
        "reserved" => Blame::Reserved,
        _ => Blame::Malformed,
    };
    assert_eq!(error.blame, blame, "{topic:?}");
    assert_eq!(error.field, "topic");
    assert!(error.problem.contains(reason), "{topic:?}: {error}");
}

/// C0, DEL, C1 and the general category `Cf` are forbidden (specification, "Terminology").
#[test]
fn controls_and_format_characters_are_forbidden() {
    for c in ('\0'..='\u{1f}').chain('\u{7f}'..='\u{9f}') {
        refused(&format!("a{c}b"), "control");
    }
    for c in [
        '\u{ad}',
        '\u{600}',
        '\u{61c}',
        '\u{180e}',
        '\u{200b}',
        '\u{200d}',
        '\u{202e}',
        '\u{2060}',
        '\u{feff}',
        '\u{fff9}',
        '\u{110bd}',
        '\u{e0001}',
        '\u{e007f}',
    ] {
        refused(&format!("a{c}b"), "format");
    }
    for c in [
        ' ', '~', '\u{a0}', 'é', '\u{301}', '\u{2028}', '\u{fffd}', '\u{e000}', '🦀',
    ] {
        assert!(publish(&format!("a{c}b")).is_ok(), "{c:?}");
    }
}

/// An error never repeats the forbidden character raw (specification, "Publication").
#[test]
fn errors_escape_what_they_quote() {
    let error = publish("a\u{202e}b\nc").unwrap_err().to_string();
    assert!(
        error.contains("\\u{202e}") && error.contains("\\u{a}"),
        "{error}"
    );
    assert!(!error.contains(['\u{202e}', '\n']), "{error:?}");
    let lines = publish("/.well-known/mercure/\u{2028}a\u{2029}")
        .unwrap_err()
        .to_string();
    assert!(
        lines.contains("\\u{2028}a\\u{2029}") && !lines.contains(['\u{2028}', '\u{2029}']),
        "{lines}"
    );
    let long = publish(&format!("\u{1}{}", "x".repeat(2000))).unwrap_err();
    assert!(long.to_string().len() < 250, "{long}");
}

/// Topics that address the reserved namespace are refused, whatever their scheme and host (B-385,
/// B-386).
#[test]
fn reserved_topics_are_refused() {
    for topic in [
        "",
        "#fragment",
        "?query",
        "/.well-known/mercure",
        "/.well-known/mercure?x",
        "/.well-known/mercure#x",
        "/.well-known/mercure/",
        "/.well-known/mercure/subscriptions/exact/a/b",
        "https://any.example/.well-known/mercure/x",
        "https://any.example:8443/.well-known/mercure",
        "http://hub.example/.well-known/mercure",
        "//any.example/.well-known/mercure",
        "foo://any.example/.well-known/mercure/x",
        "foo:/.well-known/mercure",
        "mercure",
        "mercure/x",
        "./mercure/x",
        "/.well-known/me%72cure/x",
        "/.well-known/%6Dercure",
        "/.well-known/%6dercure/x",
        "/%2Ewell%2Dknown/mercure",
        "/.well-known/mercure/../mercure/x",
        "/.well-known/x/../mercure",
        "/.well-known/%2e/mercure",
        "/a/%2e%2E/.well-known/mercure",
        "/a/.%2e/.well-known/mercure/x",
        "\\.well-known\\mercure\\x",
        "https:\\\\any.example\\.well-known\\mercure",
        "https://any.example/.well-known\\mercure/x",
        " /.well-known/mercure ",
    ] {
        refused(topic, "reserved");
    }
}

/// The URL parser drops tabs and line ends, which could hide the namespace; they are refused as
/// characters (specification, "Publication").
#[test]
fn characters_that_the_url_parser_drops_hide_nothing() {
    refused("/.well-known/mer\tcure", "control");
    refused("/.well-known/mer\ncure/x", "control");
    refused("\r/.well-known/mercure", "control");
}

/// Neighbours of the reserved namespace are free (B-386).
#[test]
fn neighbours_of_the_namespace_are_free() {
    for topic in [
        "/.well-known/mercureX",
        "/.well-known/mercur",
        "/foo/.well-known/mercure",
        "subscriptions/x",
        "../mercure/x",
        "/.well-known/Mercure",
        "/.well-known/mercure;x/y",
        "/.well-known/mercure%3Bx/y",
        "/x/.well-known/mercure/../y",
        "/.well-known/mercureX/../x",
        "https://example.com/%2E%2E/x/%2Fmercure",
        "/.well-known/%mercure",
        "urn:uuid:5e94c686-2c0b-4f9b-958c-92ccc3bbb4eb",
        "foo:.well-known/mercure",
        "foo:\\.well-known\\mercure",
        "https://example.com/?/.well-known/mercure",
        "any text, with spaces",
        "https://[no-url/.well-known/mercure",
        "**",
    ] {
        let update = publish(topic).unwrap_or_else(|error| panic!("{topic:?}: {error}"));
        assert_eq!(update.topics, [topic], "topics are kept as written");
    }
}

/// The namespace is the path of the hub's URL, also for a hub without a public URL (specification,
/// "Publication"; B-430).
#[test]
fn the_namespace_is_the_hubs_path() {
    assert!(publish_on("https://hub.example/hub", "/hub/x").is_err());
    assert!(publish_on("https://hub.example/hub", "/hubs").is_ok());
    let pairs: [Pair<'_>; 1] = [(
        "topic".into(),
        "https://a.example/.well-known/mercure".into(),
    )];
    assert!(
        Update::from_form(
            &pairs,
            Generation::V1,
            &Base::synthetic(),
            &Limits::default()
        )
        .is_err()
    );
}

/// A topic is refused if its text, as written or decoded, or the URL that it resolves to lies in
/// the hub's namespace: by the specification ("Publication") where it resolves to it, and beyond
/// that because templates of 0.x match the text.
#[test]
fn no_spelling_of_the_namespace_is_a_topic() {
    let hubs = [
        "https://hub.example/.well-known/mercure",
        "https://hub.example/behind/a/path/.well-known/mercure",
        "https://hub.example/%62ehind/.well-known/mercure",
        "https://hub.example/hub",
        "https://hub.example/hub/",
    ];
    let spellings = [
        "{}/subscriptions/a",
        "{}/../x",
        "{}/subscriptions/../..",
        "{}/subscriptions/%2e%2E/%252e.",
        "{}%2Fsubscriptions",
        "{}%252fsubscriptions",
        "{}%5Csubscriptions",
        "{}\\subscriptions\\..\\..",
        "{}//subscriptions",
        "//any.example{}/x/../../../..",
        "https://any.example{}/../..",
        "https://xn--nxasmq6b.example{}/../..",
        "https:{}/x/../../..",
        "foo://any.example{}/../x",
        "/x/..{}/subscriptions/a",
        "/x/%2e%2e{}/subscriptions/a",
        "/x/%252e%252e{}/subscriptions/a",
        "/x%2Fy/..{}/subscriptions/a",
        "/./{}/x",
        " {}/../.. ",
        "{}/x/../..?y#z",
    ];
    for hub in hubs {
        let base = Base::new(hub).unwrap();
        let own = base.url().path().trim_end_matches('/');
        for path in [own, "/.well-known/mercure"] {
            let encoded: String = path.replace('k', "%6B").replace('u', "%2575");
            let dotted = path.replacen('/', "/./", 1);
            for path in [path, &encoded, &dotted] {
                for spelling in spellings {
                    let topic = spelling.replace("{}", path);
                    for checks in [Generation::V0, Generation::V1] {
                        let refused = check(&topic, checks, &base).expect_err(&topic);
                        assert_eq!(refused.blame, Blame::Reserved, "{hub} {topic} {checks:?}");
                    }
                }
            }
        }
    }
}

/// 0.x reserves the texts that hold the hub's path. Its publishers may use other topics, even one
/// that resolves to the hub's URL (B-387).
#[test]
fn topics_of_older_publishers_stay_free() {
    let base = Base::new("https://hub.example/behind/.well-known/mercure").unwrap();
    for topic in [
        "",
        "#general",
        "?x",
        "?a=%2F..",
        "mercure",
        "mercure#1",
        "./mercure",
        "100%",
        "50%25 off",
        "a..b",
        "../x",
        "https://example.com/a/../b",
        "https://example.com/a%2Fb",
        "https://example.com/well-known/mercure",
        "/.well-known/mercur",
        "/.well-known/Mercure/x",
        "/behind/x",
        "https://example.com/books/{id}",
        "*",
    ] {
        let checked = check(topic, Generation::V0, &base);
        assert!(checked.is_ok(), "{topic:?}: {checked:?}");
    }
    for topic in ["a /.well-known/mercure b", "x?y=/.well-known/mercure"] {
        assert!(check(topic, Generation::V0, &base).is_err(), "{topic:?}");
    }
}

/// Hostile nests of encodings are decoded in one pass.
#[test]
fn deep_encodings_are_decoded() {
    let deep = |depth| format!("/.well-known/me%{}72cure/x", "25".repeat(depth));
    for depth in [0, 1, 2, 2000] {
        assert!(publish(&deep(depth)).is_err(), "{depth}");
    }
    assert!(publish(&format!("/{}", "%25".repeat(1300))).is_ok());
}

/// `*` is the wildcard of matchers, so it is not a topic (specification, "Publication").
#[test]
fn the_wildcard_is_not_a_topic() {
    refused("*", "wildcard");
}

/// A hub's URL is absolute, with a host and without a fragment (B-203).
#[test]
fn a_base_is_an_absolute_url() {
    for url in [
        "",
        "/hub",
        "hub.example",
        "mailto:a@b.example",
        "https://a.example/#x",
    ] {
        let error = Base::new(url).expect_err(url).to_string();
        assert!(
            error.contains("https://hub.example/.well-known/mercure"),
            "{error}"
        );
    }
}

/// A topic is resolved against the hub's URL, if it can be (specification, "URL Pattern").
#[test]
fn a_topic_is_resolved_once_against_the_base() {
    let base = Base::new("https://hub.example/.well-known/mercure").unwrap();
    let key = |topic| TopicUrl::parse(topic, &base).map(|url| url.key().to_owned());
    assert_eq!(key("/a?b").unwrap(), "https\0hub.example\0\0/a");
    assert_eq!(
        key("HTTP://EX.example:80/A").unwrap(),
        "http\0ex.example\0\0/A"
    );
    assert_eq!(
        key("https://ex.example:8443").unwrap(),
        "https\0ex.example\08443\0/"
    );
    assert_eq!(key("urn:x:y").unwrap(), "urn\0\0\0x:y");
    assert_eq!(key("https://["), None);
    let topic = Topic::new("a b", &base);
    assert_eq!(topic.text(), "a b");
    assert_eq!(topic.url().unwrap().url().path(), "/.well-known/a%20b");
}

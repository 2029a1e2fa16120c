//! Directives of the `mercure` block, from defaults to what is refused.

use std::time::Duration;

use talaria_hub::{Rule, UnknownCursor};
use talaria_transport::MemoryOptions;

use super::{KEYS, cors_origins, settings, try_load, with};
use crate::Level;
use crate::options::default_path;
use crate::settings::{ConnectionSettings, HistorySettings, TransportSettings};

/// What holds if nothing is written (B-205 to B-220, B-1022).
#[test]
fn defaults() {
    let loaded = with("").unwrap();
    assert_eq!(loaded.notices, []);
    let settings = loaded.settings;
    assert!(!settings.hubs[0].options.anonymous);
    assert_eq!(
        settings.hubs[0].options.cookie_name,
        "__Secure-mercure_access_token"
    );
    assert_eq!(settings.hubs[0].options.resource_identifier, None);
    assert_eq!(
        settings.hubs[0].options.heartbeat,
        Some(Duration::from_secs(40))
    );
    assert_eq!(
        settings.hubs[0].options.write_timeout,
        Some(Duration::from_secs(600))
    );
    assert_eq!(
        settings.program.dispatch_timeout,
        Some(Duration::from_secs(5))
    );
    assert_eq!(settings.program.drain_timeout, Duration::from_secs(3));
    assert_eq!(settings.hubs[0].options.rule, Rule::Classic);
    // Clients of 0.x may send as much (B-475).
    assert_eq!(
        settings.hubs[0].options.max_request_body_size,
        10 * 1024 * 1024
    );
    assert_eq!(settings.hubs[0].options.max_anonymous_body_size, 256 * 1024);
    assert_eq!(settings.program.connections, ConnectionSettings::default());
    let TransportSettings::History(history) = &settings.stores[0] else {
        panic!("{:?} is not a history", settings.stores[0]);
    };
    assert_eq!(history.path, default_path(&|_| None));
    let default = HistorySettings::new(history.path.clone());
    assert_eq!(format!("{history:?}"), format!("{default:?}"));
    assert_eq!(settings.hubs[0].options.unknown_cursor, UnknownCursor::Live);
    assert!(
        cors_origins(&settings).is_empty() && settings.hubs[0].options.publish_origins.is_empty()
    );
    assert_eq!(
        settings.hubs[0].options.limits,
        talaria_protocol::Limits::default()
    );
    let issuers: Vec<_> = settings.hubs[0]
        .options
        .issuers
        .iter()
        .map(|issuer| issuer.identifier.as_str())
        .collect();
    assert_eq!(issuers, ["https://localhost"]);
}

#[test]
fn every_directive_takes_effect() {
    let settings = settings(
        "anonymous\ncookie_name sid\nresource_identifier https://hub.example/.well-known/mercure\n\
         heartbeat 0s\nwrite_timeout 1m30s\ndispatch_timeout 0\ndrain_timeout 0s\nmax_request_body_size 2MiB\n\
         transport memory {\n size 5\n max_bytes 1MiB\n unknown_cursor live\n}\n\
         cors_origins https://a.example https://b.example\npublish_origins https://*.c.example\n\
         matchers_per_request 7\ndetails_per_token 8\ntopics_per_token 9\n",
    );
    assert!(settings.hubs[0].options.anonymous);
    assert_eq!(settings.hubs[0].options.cookie_name, "sid");
    assert_eq!(
        settings.hubs[0].options.base.url().as_str(),
        "https://hub.example/.well-known/mercure"
    );
    assert_eq!(
        (
            settings.hubs[0].options.heartbeat,
            settings.program.dispatch_timeout
        ),
        (None, None)
    );
    assert_eq!(
        settings.hubs[0].options.write_timeout,
        Some(Duration::from_secs(90))
    );
    assert_eq!(settings.program.drain_timeout, Duration::ZERO);
    assert_eq!(
        settings.hubs[0].options.max_request_body_size,
        2 * 1024 * 1024
    );
    let mut memory = MemoryOptions::default();
    memory.size = Some(5);
    memory.max_bytes = 1024 * 1024;
    assert!(
        matches!(&settings.stores[0], TransportSettings::Memory(options) if *options == memory)
    );
    assert_eq!(settings.hubs[0].options.unknown_cursor, UnknownCursor::Live);
    assert!(cors_origins(&settings).allows("https://b.example"));
    assert!(
        settings.hubs[0]
            .options
            .publish_origins
            .allows("https://x.c.example")
    );
    let limits = (
        settings.hubs[0].options.limits.matchers,
        settings.hubs[0].options.limits.details,
        settings.hubs[0].options.limits.granted_topics,
    );
    assert_eq!(limits, (7, 8, 9));
}

/// The last of several lines counts, and lists are replaced (B-124); a size of 0 leaves 10 MiB (B-214).
#[test]
fn repeated_directives_replace() {
    let settings = settings(
        "cors_origins https://a.example\ncors_origins https://b.example\nheartbeat 1s\nheartbeat 2s\n\
         transport memory\ntransport local\nmax_request_body_size 0",
    );
    assert!(!cors_origins(&settings).allows("https://a.example"));
    assert_eq!(
        settings.hubs[0].options.heartbeat,
        Some(Duration::from_secs(2))
    );
    assert!(matches!(
        settings.stores[0],
        TransportSettings::Local { .. }
    ));
    assert_eq!(
        settings.hubs[0].options.max_request_body_size,
        10 * 1024 * 1024
    );
}

/// Arguments of `anonymous` mean what they say, with a warning (B-1030).
#[test]
fn anonymous_forms() {
    for (form, on) in [
        ("0", false),
        ("false", false),
        ("off", false),
        ("1", true),
        ("true", true),
        ("on", true),
    ] {
        let loaded = with(&format!("anonymous {form}")).unwrap();
        assert_eq!(loaded.settings.hubs[0].options.anonymous, on, "{form}");
        assert_eq!(loaded.notices.len(), 1);
        assert_eq!(loaded.notices[0].level, Level::Warning);
    }
    for form in ["anonymous", "anonymous \"\""] {
        let loaded = with(form).unwrap();
        assert!(loaded.settings.hubs[0].options.anonymous && loaded.notices.is_empty());
    }
    assert!(
        with("anonymous maybe")
            .unwrap_err()
            .contains("neither on nor off")
    );
    assert!(
        with("anonymous on off")
            .unwrap_err()
            .contains("nothing more")
    );
}

/// The sizes of caches are checked, and have no effect but a notice (B-217 to B-220).
#[test]
fn cache_directives_have_no_effect() {
    let caches = "topic_matcher_cache -1\ntopic_selector_cache 10 4\nlru_cache 5\nsubscriber_list_cache_size 0";
    let loaded = with(caches).unwrap();
    assert_eq!(
        loaded
            .notices
            .iter()
            .filter(|notice| notice.level == Level::Info)
            .count(),
        4
    );
    for wrong in [
        "topic_matcher_cache x",
        "topic_matcher_cache 1 2",
        "lru_cache",
        "subscriber_list_cache_size -1",
    ] {
        assert!(with(wrong).is_err(), "{wrong}");
    }
}

/// Transports that later issues bring are refused by name, never ignored.
#[test]
fn later_transports_are_refused_by_name() {
    for transport in ["kafka", "pulsar", "nats"] {
        let error = with(&format!("transport {transport}")).unwrap_err();
        assert!(
            error.contains(&format!("the transport `{transport}` is not supported yet")),
            "{error}"
        );
    }
    assert!(
        with("transport memry")
            .unwrap_err()
            .contains("did you mean `memory`?")
    );
    assert!(
        with("transport memory {\n max_byte 1\n}")
            .unwrap_err()
            .contains("did you mean `max_bytes`?")
    );
}

/// A missing or surplus argument is an error with its place (B-230, B-231).
#[test]
fn arguments_are_counted() {
    for (directive, place) in [
        ("\nheartbeat", "line 2, column 1"),
        ("\nheartbeat 1s 2s", "line 2, column 14"),
        ("cookie_name", "line 1, column 1"),
        ("cors_origins", "line 1, column 1"),
        ("transport", "line 1, column 1"),
        ("issuer", "line 1, column 1"),
        ("anonymous {\n}", "line 1, column 1"),
        ("heartbeat {env.X}", "line 1, column 11"),
        ("heartbeat {$X}", "line 1, column 11"),
        (
            "issuer a {\n publisher {\n jwt {$X}\n }\n}",
            "line 3, column 6",
        ),
        ("matchers_per_request 0", "line 1, column 22"),
        ("cors_origins https://a.example/path", "line 1, column 14"),
        ("publish_origins https://*.com", "line 1, column 17"),
        ("resource_identifier nonsense", "line 1, column 21"),
        ("public_urls https://a.example ftp://b", "line 1, column 31"),
        ("publisher_jwks_url", "line 1, column 1"),
        (
            "publisher_jwks_url http://a.example/keys",
            "line 1, column 20",
        ),
        (
            "subscriber_jwks_url file://elsewhere/keys",
            "line 1, column 21",
        ),
        ("subscriber_jwks_url file:///nowhere", "line 1, column 1"),
        (
            "publisher_jwks_url https://a.example/keys HS257",
            "line 1, column 43",
        ),
        (
            "issuer a {\n publisher {\n jwks_discovery\n }\n}",
            "line 3, column 2",
        ),
        (
            "issuer a {\n publisher {\n jwks_uri https://b.example/k\n jwt xxxxxxxx\n }\n}",
            "line 4, column 6",
        ),
    ] {
        let error = with(directive).unwrap_err();
        assert!(
            error.starts_with(&format!("MERCURE_EXTRA_DIRECTIVES, {place}: ")),
            "{error}"
        );
    }
}

/// The rule is the first of the three whose configuration it is.
#[test]
fn the_rule_follows_from_what_is_named() {
    const ISSUER: &str = "issuer https://a.example {\n publisher {\n jwt !a-secret-of-thirty-two-bytes-or-more!\n }\n}";
    const OLDER: &str = "publisher_jwt !a-secret-of-thirty-two-bytes-or-more!";
    const SEVEN: &str = "protocol_version_compatibility 7";
    const EIGHT: &str = "protocol_version_compatibility 8";
    let named: &[(&str, &str)] = &[("MERCURE_TRUSTED_ISSUERS", "https://a.example")];
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], Rule);
    let cases: &[Case<'_>] = &[
        (&[], &[], Rule::Classic),
        (&[], named, Rule::Modern),
        (&[SEVEN], &[], Rule::Classic),
        (&[SEVEN], named, Rule::Compatible),
        (&[EIGHT], &[], Rule::Compatible),
        (&[EIGHT], named, Rule::Compatible),
        (&[ISSUER], &[], Rule::Modern),
        (&[ISSUER, SEVEN], &[], Rule::Compatible),
        (&[ISSUER, EIGHT, OLDER], &[], Rule::Compatible),
    ];
    for (directives, variables, rule) in cases {
        let text = directives.join("\n");
        let extra: &[(&str, &str)] = &[("MERCURE_EXTRA_DIRECTIVES", &text)];
        let loaded = try_load(None, &[KEYS, variables, extra].concat()).unwrap();
        assert_eq!(
            loaded.settings.hubs[0].options.rule, *rule,
            "{text} {variables:?}"
        );
    }
    let file = |lines: &[&str]| {
        let block = format!(
            ":80 {{\n mercure {{\n anonymous\n {}\n }}\n}}",
            lines.join("\n")
        );
        try_load(Some(&block), &[])
    };
    assert_eq!(
        file(&[OLDER]).unwrap().settings.hubs[0].options.rule,
        Rule::Classic
    );
    assert_eq!(
        file(&[OLDER, SEVEN]).unwrap().settings.hubs[0].options.rule,
        Rule::Classic
    );
    let error = file(&[OLDER, ISSUER]).unwrap_err();
    let shown = error.contains("protocol_version_compatibility 8");
    assert!(shown && !error.contains("a-secret"), "{error}");
}

/// Each entry of `cors_origins` that lets pages in without their cookies is named, once.
#[test]
fn origins_without_credentials_are_named() {
    for (list, named) in [
        ("https://app.example.com https://*.example.com *", &[][..]),
        ("https://*", &["https://*"]),
        (
            "https://* https://a.example http://*.com null",
            &["https://*", "http://*.com", "null"],
        ),
        ("null http://*", &["http://*", "null"]),
    ] {
        let extra = format!("transport memory\ncors_origins {list}");
        let loaded = try_load(
            None,
            &[KEYS, &[("MERCURE_EXTRA_DIRECTIVES", &extra)]].concat(),
        );
        let notices = loaded.unwrap().notices;
        let told: Vec<_> = notices
            .iter()
            .filter(|notice| notice.text.starts_with("cors_origins: "))
            .collect();
        assert_eq!(told.len(), usize::from(!named.is_empty()), "{list}");
        for name in named {
            let says = |words: &str| told[0].text.contains(&format!("{name} {words}"));
            assert!(says("reaches beyond") || says("is the origin"), "{list}");
        }
    }
}

//! The configuration as a whole, from the environment and from files.

use std::time::Duration;

use proptest::prelude::*;
use talaria_hub::access::Role;

use talaria_hub::UnknownCursor;

use super::settings::{Settings, TransportSettings};
use super::{Level, Loaded, Sources, load};

const SECRET: &str = "a secret of more than thirty-two bytes";

const KEYS: &[(&str, &str)] = &[
    ("SERVER_NAME", ":80"),
    ("MERCURE_PUBLISHER_JWT_KEY", SECRET),
    ("MERCURE_SUBSCRIBER_JWT_KEY", SECRET),
];

fn try_load(file: Option<&str>, variables: &[(&str, &str)]) -> Result<Loaded, String> {
    let environment = |name: &str| {
        let found = variables
            .iter()
            .rev()
            .find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let file = file.map(|text| super::File {
        name: "Caddyfile".to_owned(),
        text: text.to_owned(),
    });
    load(&Sources {
        file,
        environment: &environment,
        address: None,
    })
    .map_err(|error| error.to_string())
}

/// The environment with both keys and these directives.
fn with(directives: &str) -> Result<Loaded, String> {
    try_load(
        None,
        &[KEYS, &[("MERCURE_EXTRA_DIRECTIVES", directives)]].concat(),
    )
}

fn settings(directives: &str) -> Settings {
    with(directives).unwrap().settings
}

/// B-205 to B-220, B-1022: what holds when nothing is said.
#[test]
fn defaults() {
    let loaded = with("").unwrap();
    assert_eq!(loaded.notices, []);
    let settings = loaded.settings;
    assert!(!settings.anonymous);
    assert_eq!(settings.cookie_name, "__Secure-mercure_access_token");
    assert_eq!(settings.resource_identifier, None);
    assert_eq!(settings.heartbeat, Some(Duration::from_secs(40)));
    assert_eq!(settings.write_timeout, Some(Duration::from_secs(600)));
    assert_eq!(settings.dispatch_timeout, Some(Duration::from_secs(5)));
    assert_eq!(settings.drain_timeout, Duration::from_secs(5));
    assert_eq!(settings.max_request_body_size, 1024 * 1024);
    let memory = TransportSettings::Memory {
        size: None,
        max_bytes: 32 * 1024 * 1024,
        unknown_cursor: UnknownCursor::Replay,
    };
    assert_eq!(settings.transport, memory);
    assert!(settings.cors_origins.is_empty() && settings.publish_origins.is_empty());
    assert_eq!(settings.limits, talaria_protocol::Limits::default());
    let issuers: Vec<_> = settings
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
    assert!(settings.anonymous);
    assert_eq!(settings.cookie_name, "sid");
    assert_eq!(
        settings.base.url().as_str(),
        "https://hub.example/.well-known/mercure"
    );
    assert_eq!(
        (settings.heartbeat, settings.dispatch_timeout),
        (None, None)
    );
    assert_eq!(settings.write_timeout, Some(Duration::from_secs(90)));
    assert_eq!(settings.drain_timeout, Duration::ZERO);
    assert_eq!(settings.max_request_body_size, 2 * 1024 * 1024);
    let memory = TransportSettings::Memory {
        size: Some(5),
        max_bytes: 1024 * 1024,
        unknown_cursor: UnknownCursor::Live,
    };
    assert_eq!(settings.transport, memory);
    assert!(settings.cors_origins.allows("https://b.example"));
    assert!(settings.publish_origins.allows("https://x.c.example"));
    let limits = (
        settings.limits.matchers,
        settings.limits.details,
        settings.limits.granted_topics,
    );
    assert_eq!(limits, (7, 8, 9));
}

/// B-124: the last one wins, lists are replaced; B-214: 0 leaves 10 MiB.
#[test]
fn repeated_directives_replace() {
    let settings = settings(
        "cors_origins https://a.example\ncors_origins https://b.example\nheartbeat 1s\nheartbeat 2s\n\
         transport memory\ntransport local\nmax_request_body_size 0",
    );
    assert!(!settings.cors_origins.allows("https://a.example"));
    assert_eq!(settings.heartbeat, Some(Duration::from_secs(2)));
    assert!(matches!(
        settings.transport,
        TransportSettings::Local { .. }
    ));
    assert_eq!(settings.max_request_body_size, 10 * 1024 * 1024);
}

/// B-1030: arguments of `anonymous` mean what they say, with a warning.
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
        assert_eq!(loaded.settings.anonymous, on, "{form}");
        assert_eq!(loaded.notices.len(), 1);
        assert_eq!(loaded.notices[0].level, Level::Warning);
    }
    for form in ["anonymous", "anonymous \"\""] {
        let loaded = with(form).unwrap();
        assert!(loaded.settings.anonymous && loaded.notices.is_empty());
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

/// B-217 to B-220: checked, and without effect but one notice.
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

/// `MERCURE_CORS_ALLOWED_ORIGINS` acts only where `cors_origins` does not; B-126 variables warn.
#[test]
fn variables_beside_the_directives() {
    let variables = [(
        "MERCURE_CORS_ALLOWED_ORIGINS",
        "https://a.example, https://b.example",
    )];
    let alias = [KEYS, &variables].concat();
    let origins = try_load(None, &alias).unwrap().settings.cors_origins;
    assert!(origins.allows("https://a.example") && origins.allows("https://b.example"));
    let both = [
        &alias[..],
        &[("MERCURE_EXTRA_DIRECTIVES", "cors_origins https://c.example")],
    ]
    .concat();
    assert!(
        !try_load(None, &both)
            .unwrap()
            .settings
            .cors_origins
            .allows("https://a.example")
    );
    let idle = [
        KEYS,
        &[("MERCURE_ALLOW_ANONYMOUS", "1"), ("MERCURE_JWT_KEY", "x")],
    ]
    .concat();
    let notices = try_load(None, &idle).unwrap().notices;
    assert_eq!(notices.len(), 2);
    assert!(
        notices[0]
            .text
            .contains("`anonymous` in MERCURE_EXTRA_DIRECTIVES")
    );
}

/// B-125: read only when no transport is configured, refused by name save `local`.
#[test]
fn transport_url() {
    let local = [KEYS, &[("MERCURE_TRANSPORT_URL", "local://local")]].concat();
    assert!(matches!(
        try_load(None, &local).unwrap().settings.transport,
        TransportSettings::Local { .. }
    ));
    let redis = [KEYS, &[("MERCURE_TRANSPORT_URL", "redis://:pass@host")]].concat();
    let error = try_load(None, &redis).unwrap_err();
    assert!(
        error.contains("`redis` of MERCURE_TRANSPORT_URL is not supported yet"),
        "{error}"
    );
    assert!(!error.contains("pass"));
    let directive = [
        &redis[..],
        &[("MERCURE_EXTRA_DIRECTIVES", "transport memory")],
    ]
    .concat();
    assert!(try_load(None, &directive).is_ok());
}

/// B-106, B-223: the issuer that the variables name, beside blocks.
#[test]
fn issuers_of_variables_and_blocks() {
    let block = "issuer https://b.example {\n authorization_server\n subscriber {\n  jwt {env.B} HS512\n }\n}";
    let long = "x".repeat(64);
    let variables = [
        KEYS,
        &[
            ("MERCURE_TRUSTED_ISSUERS", "https://a.example"),
            ("MERCURE_EXTRA_DIRECTIVES", block),
            ("B", &long),
        ],
    ]
    .concat();
    let issuers = try_load(None, &variables).unwrap().settings.issuers;
    let b = issuers.get("https://b.example").unwrap();
    assert!(issuers.get("https://a.example").is_some() && b.authorization_server);
    assert!(b.key(Role::Publisher).is_none() && b.key(Role::Subscriber).is_some());

    let blocks_alone = "anonymous\nissuer https://c.example {\n publisher {\n jwt {env.B}\n }\n}";
    let variables = [
        ("SERVER_NAME", ":80"),
        ("MERCURE_EXTRA_DIRECTIVES", blocks_alone),
        ("B", &long),
    ];
    assert_eq!(
        try_load(None, &variables)
            .unwrap()
            .settings
            .issuers
            .iter()
            .len(),
        1
    );

    let renamed = block.replace("b.example", "c.example");
    let twice = [
        KEYS,
        &[
            ("MERCURE_EXTRA_DIRECTIVES", &renamed),
            ("B", &long),
            ("MERCURE_TRUSTED_ISSUERS", "https://c.example"),
        ],
    ]
    .concat();
    assert!(
        try_load(None, &twice)
            .unwrap_err()
            .contains("configured twice")
    );
    let two = [KEYS, &[("MERCURE_TRUSTED_ISSUERS", "https://a https://b")]].concat();
    assert!(
        try_load(None, &two)
            .unwrap_err()
            .starts_with("MERCURE_TRUSTED_ISSUERS, line 1, column 11")
    );
    let empty = [KEYS, &[("MERCURE_TRUSTED_ISSUERS", "")]].concat();
    assert!(
        try_load(None, &empty)
            .unwrap_err()
            .contains("set but empty")
    );
}

/// Design §8: with a file it alone counts, but a block without issuer takes the key variables.
#[test]
fn a_file_alone_counts() {
    let extra = [
        KEYS,
        &[
            ("MERCURE_EXTRA_DIRECTIVES", "anonymous"),
            ("SERVER_NAME", ":81"),
        ],
    ]
    .concat();
    let loaded = try_load(Some("http://hub.example:3000 {\n mercure\n}"), &extra)
        .unwrap()
        .settings;
    assert!(!loaded.anonymous);
    assert_eq!(
        (loaded.addresses[0].port, loaded.issuers.iter().len()),
        (3000, 1)
    );
    assert_eq!(
        loaded.base.url().as_str(),
        "http://hub.example:3000/.well-known/mercure"
    );

    let named = "{$SERVER_NAME:localhost}\nmercure {\n {$MERCURE_EXTRA_DIRECTIVES}\n}";
    let loaded = try_load(Some(named), &extra).unwrap().settings;
    assert!(loaded.anonymous);
    assert_eq!(loaded.addresses[0].port, 81);

    let own = ":80\nmercure {\n issuer https://x {\n  publisher {\n   jwt \"another secret, long enough for it\"\n  }\n }\n}";
    assert!(
        try_load(Some(own), KEYS)
            .unwrap_err()
            .contains("no issuer has a subscriber key")
    );
}

/// Directives that later issues bring are refused by name, never ignored.
#[test]
fn later_directives_are_refused_by_name() {
    for directive in crate::options::LATER {
        let error = with(&format!("{directive} x")).unwrap_err();
        let expected = format!("the directive `{directive}` is not supported yet");
        assert!(error.contains(&expected), "{error}");
    }
    for transport in ["bolt", "redis", "postgres", "kafka", "pulsar"] {
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

/// B-230, B-231: a missing or surplus argument is an error with its place.
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
    ] {
        let error = with(directive).unwrap_err();
        assert!(
            error.starts_with(&format!("MERCURE_EXTRA_DIRECTIVES, {place}: ")),
            "{error}"
        );
    }
}

/// No secret in what the program may print for debugging.
#[test]
fn debug_output_holds_no_secret() {
    let loaded = with("anonymous").unwrap();
    assert!(!format!("{loaded:?}").contains(SECRET));
    let draft = super::Draft {
        issuers: vec![super::settings::IssuerSettings {
            identifier: "https://a.example".to_owned(),
            authorization_server: false,
            publisher: Some(super::settings::KeySettings {
                material: super::settings::Secret::new(SECRET.to_owned()),
                algorithm: None,
                place: super::source::Place::variable("KEY"),
            }),
            subscriber: None,
            place: super::source::Place::variable("KEY"),
        }],
        ..super::Draft::default()
    };
    assert!(!format!("{draft:?}").contains(SECRET));
}

/// One text of arbitrary words, braces and quotes.
fn any_text() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "\\PC{0,6}",
        proptest::sample::select(vec![
            " ",
            "\n",
            "{",
            "}",
            "\"",
            "`",
            "#",
            "\\",
            ":80",
            "mercure",
            "issuer",
            "publisher",
            "jwt",
            "anonymous",
            "transport",
            "memory",
            "heartbeat",
            "{$SERVER_NAME}",
            "{env.SERVER_NAME}",
            "cors_origins",
            "40s",
        ])
        .prop_map(str::to_owned),
    ];
    proptest::collection::vec(word, 0..60).prop_map(|words| words.join(" "))
}

proptest! {
    /// Whatever a file or a variable says, loading ends in settings or in one message.
    #[test]
    fn loading_never_panics(text in any_text()) {
        for result in [try_load(Some(&text), KEYS), with(&text)] {
            if let Err(error) = result {
                prop_assert!(!error.is_empty() && !error.contains(SECRET));
            }
        }
    }
}

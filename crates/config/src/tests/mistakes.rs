//! Mistakes that would be accepted silently: what was meant is understood, or said.

use talaria_hub::access::Role;

use super::{KEYS, OTHER, SECRET, cors_origins, file, texts, try_load, with};

/// A file that names one key names all of them, in whatever form; the log says which
/// variables were not read.
#[test]
fn a_file_with_one_key_takes_no_other_from_the_environment() {
    for block in [
        "anonymous\n publisher_jwt \"SECRET\"",
        "anonymous\n protocol_version_compatibility 7\n publisher_jwt \"SECRET\"",
        "anonymous\n protocol_version_compatibility 8\n publisher_jwt \"SECRET\" HS256",
        "anonymous\n publisher_jwks_url https://a.example/keys",
        "anonymous\n issuer https://a.example {\n publisher {\n jwt \"SECRET\"\n }\n }",
        "anonymous\n issuer https://a.example {\n publisher {\n jwks_uri https://a.example/keys\n }\n }",
        "anonymous\n issuer https://a.example {\n publisher {\n jwks_discovery\n }\n }",
        "playground\n publisher_jwt \"SECRET\"",
    ] {
        let issuer = ("MERCURE_TRUSTED_ISSUERS", "https://b.example");
        let loaded = file(block, &[KEYS, &[issuer]].concat()).unwrap();
        let issuers: Vec<_> = loaded.settings.hubs[0].options.issuers.iter().collect();
        assert_eq!(issuers.len(), 1, "{block}");
        assert!(issuers[0].key(Role::Publisher).is_some(), "{block}");
        assert!(issuers[0].key(Role::Subscriber).is_none(), "{block}");
        let said = texts(&loaded).join("\n");
        assert!(
            said.contains("set and not read: MERCURE_PUBLISHER_JWT_KEY, MERCURE_SUBSCRIBER_JWT_KEY, MERCURE_TRUSTED_ISSUERS, SERVER_NAME, because Caddyfile alone counts"),
            "{block}: {said}"
        );
        // Without `anonymous` no client could subscribe, and that is an error.
        if block.starts_with("anonymous") {
            let error = file(&block.replace("anonymous\n", ""), KEYS).unwrap_err();
            assert!(error.contains("no issuer has a subscriber key"), "{error}");
        }
    }
    let subscriber = file("subscriber_jwt \"SECRET\"", KEYS).unwrap_err();
    assert!(
        subscriber.contains("no issuer has a publisher key"),
        "{subscriber}"
    );
}

/// A block that names no key and no issuer takes the variables, and so do the directives
/// that a file may leave to them.
#[test]
fn a_file_without_keys_takes_the_key_variables() {
    let more = [
        ("MERCURE_TRANSPORT_URL", "local://local"),
        ("MERCURE_CORS_ALLOWED_ORIGINS", "https://a.example"),
    ];
    let loaded = file("", &[KEYS, &more].concat()).unwrap();
    assert!(cors_origins(&loaded.settings).allows("https://a.example"));
    let said = texts(&loaded).join("\n");
    assert!(
        said.contains("set and not read: SERVER_NAME, because"),
        "{said}"
    );
    let loaded = file(
        "transport memory\n cors_origins https://b.example",
        &[KEYS, &more].concat(),
    )
    .unwrap();
    let said = texts(&loaded).join("\n");
    assert!(
        said.contains("MERCURE_CORS_ALLOWED_ORIGINS, MERCURE_TRANSPORT_URL, SERVER_NAME, because"),
        "{said}"
    );
    let named = ":80\nmercure {\n publisher_jwt {env.MERCURE_PUBLISHER_JWT_KEY}\n subscriber_jwt {$MERCURE_SUBSCRIBER_JWT_KEY}\n}";
    let quoted = named.replace(
        "{$MERCURE_SUBSCRIBER_JWT_KEY}",
        "\"{$MERCURE_SUBSCRIBER_JWT_KEY}\"",
    );
    let loaded = try_load(Some(&quoted), &KEYS[1..]).unwrap();
    assert_eq!(
        texts(&loaded),
        Vec::<&str>::new(),
        "what the file names is read"
    );
}

/// Without a file, the start also says what a directive or a flag takes precedence over.
#[test]
fn variables_without_a_file_that_were_not_read_are_listed() {
    for (name, value, directive, expected) in [
        (
            "MERCURE_TRANSPORT_URL",
            "local://local",
            "transport memory",
            "a `transport` directive",
        ),
        (
            "MERCURE_CORS_ALLOWED_ORIGINS",
            "*",
            "cors_origins https://a.example",
            "a `cors_origins` directive",
        ),
        (
            "MERCURE_PUBLISHER_JWT_ALG",
            "HS256",
            "publisher_jwt \"SECRET\"",
            "its key is not read",
        ),
        (
            "MERCURE_PUBLISHER_KEY",
            "x",
            "",
            "did you mean MERCURE_PUBLISHER_JWT_KEY?",
        ),
        ("MERCURE_XYZZY", "1", "", "no variable of this hub"),
    ] {
        let directive = directive.replace("SECRET", OTHER);
        let extra = [
            ("MERCURE_EXTRA_DIRECTIVES", directive.as_str()),
            (name, value),
        ];
        let loaded = try_load(None, &[KEYS, &extra].concat()).unwrap();
        let said = texts(&loaded).join("\n");
        assert!(
            said.contains(name) && said.contains(expected),
            "{name}: {said}"
        );
        assert!(!said.contains(SECRET) && !said.contains(OTHER));
    }
    let error = try_load(
        None,
        &[("SERVER_NAME", ":80"), ("MERCURE_PUBLISHER_KEY", SECRET)],
    )
    .unwrap_err();
    assert!(
        error.starts_with("MERCURE_PUBLISHER_JWT_KEY is not set")
            && error.contains("MERCURE_PUBLISHER_KEY is set and not read"),
        "{error}"
    );
    let error = try_load(None, &[("SERVER_NAME", ":80"), ("JWT_KEY", SECRET)]).unwrap_err();
    assert!(
        error.contains("JWT_KEY is a variable of older versions"),
        "{error}"
    );
    let error = try_load(None, &[("MERCURE_PUBLISHER_JWT_KEY", "")]).unwrap_err();
    assert!(
        error.starts_with("MERCURE_PUBLISHER_JWT_KEY is empty"),
        "{error}"
    );
}

/// Directives that are lists, with two items each.
const LISTS: &[(&str, &str, &str)] = &[
    ("cors_origins", "https://a.example", "https://b.example"),
    (
        "publish_origins",
        "https://a.example",
        "https://b.example:8443",
    ),
    ("public_urls", "http://a.example/", "http://b.example"),
    (
        "accepted_audiences",
        "https://a.example/x",
        "https://b.example/y",
    ),
    ("trusted_proxies", "10.0.0.0/8", "192.0.2.1"),
];

/// Every list takes spaces, commas or both.
#[test]
fn lists_are_understood() {
    for (directive, a, b) in LISTS {
        let one = with(&format!("{directive} {a} {b}")).unwrap().settings;
        for written in [
            format!("{a}, {b}"),
            format!("{a},{b}"),
            format!("{a} ,{b},"),
            format!(", {a} ,, {b}"),
            format!("\"{a}\", \"{b}\""),
            format!("\"{a}\",\"{b}\""),
            format!("\"{a}, {b}\""),
            format!("`{a}` `{b}`"),
        ] {
            let other = with(&format!("{directive} {written}"));
            let other = other
                .unwrap_or_else(|error| panic!("{directive} {written}: {error}"))
                .settings;
            assert_eq!(
                format!("{other:?}"),
                format!("{one:?}"),
                "{directive} {written}"
            );
        }
        for empty in [",", "\"\"", "\" , \""] {
            assert!(
                with(&format!("{directive} {empty}")).is_err(),
                "{directive} {empty}"
            );
        }
    }
    let loaded = with("publisher_jwks_url https://a.example/keys RS256, ES256");
    assert!(loaded.is_ok());
}

/// Every list refuses other notations with the right form.
#[test]
fn other_notations_of_lists_are_refused() {
    for (directive, a, b) in LISTS {
        for written in [
            format!("'{a}' '{b}'"),
            format!("'{a}', '{b}'"),
            format!("[\"{a}\", \"{b}\"]"),
            format!("[{a},{b}]"),
            format!("“{a}” “{b}”"),
            format!("‘{a}’, ‘{b}’"),
            format!("{a}\\n{b}"),
            format!("{a}; {b}"),
            format!("<{a}> <{b}>"),
        ] {
            let error = with(&format!("{directive} {written}")).unwrap_err();
            assert!(
                error.contains(&format!("write {directive} {a} {b}")),
                "{directive} {written}: {error}"
            );
        }
    }
}

/// A wrong item of a list, and a directive that is joined with its values, is refused with the right form.
#[test]
fn wrong_items_are_refused_with_the_right_form() {
    for (wrong, right) in [
        ("cors_origins https://a.example/", "write https://a.example"),
        ("cors_origins a.example", "write https://a.example"),
        ("cors_origins *.a.example", "write https://*.a.example"),
        (
            "publish_origins https://a.example/app",
            "write https://a.example",
        ),
        ("cors_origins '*'", "write cors_origins *"),
        ("public_urls https://*.a.example", "wildcard"),
        ("accepted_audiences *", "not an http:// or https:// URL"),
        (
            "publisher_jwks_url https://a.example/keys [RS256]",
            "write publisher_jwks_url https://a.example/keys RS256",
        ),
        (
            "publisher_jwks_url https://a.example/keys,",
            "ends with a comma",
        ),
        (
            "resource_identifier https://a.example/.well-known/mercure,",
            "ends with a comma",
        ),
        ("issuer https://a.example, {\n}", "ends with a comma"),
        (
            "\"cors_origins https://a.example\"",
            "without quotes around the line",
        ),
        ("cors_origins=https://a.example", "joined"),
        ("anonymous\\ncors_origins https://a.example", "joined"),
        ("anonymous;subscriptions", "joined"),
    ] {
        let error = with(wrong).unwrap_err();
        assert!(error.contains(right), "{wrong}: {error}");
    }
    let joined = with(&format!("\"publisher_jwt {SECRET}\"")).unwrap_err();
    assert!(!joined.contains(SECRET), "{joined}");
}

/// The same for variables that are lists, or that hold one value.
#[test]
fn variables_that_are_lists() {
    let name = "MERCURE_CORS_ALLOWED_ORIGINS";
    let load = |name: &str, value: &str| try_load(None, &[KEYS, &[(name, value)]].concat());
    for written in [
        "https://a.example https://b.example",
        " https://a.example,https://b.example, ",
        "https://a.example\nhttps://b.example",
        "\"https://a.example\",\"https://b.example\"",
    ] {
        let origins = cors_origins(&load(name, written).unwrap().settings);
        assert!(origins.allows("https://a.example") && origins.allows("https://b.example"));
    }
    for (name, wrong, right) in [
        (name, "[\"https://a.example\"]", "https://a.example"),
        (name, "'https://a.example'", "https://a.example"),
        (name, "https://a.example/", "write https://a.example"),
        ("SERVER_NAME", "':80'", "write :80"),
        ("SERVER_NAME", "[\":80\", \":81\"]", "write :80 :81"),
        ("SERVER_NAME", "“:80”", "write :80"),
        (
            "MERCURE_TRUSTED_ISSUERS",
            "https://a.example,https://b.example",
            "several values",
        ),
        (
            "MERCURE_TRUSTED_ISSUERS",
            "https://a.example,",
            "write MERCURE_TRUSTED_ISSUERS https://a.example",
        ),
        (
            "MERCURE_TRUSTED_ISSUERS",
            "['https://a.example']",
            "https://a.example",
        ),
        (
            "MERCURE_TRUSTED_ISSUERS",
            "‘https://a.example’",
            "https://a.example",
        ),
    ] {
        let error = load(name, wrong).unwrap_err();
        assert!(error.contains(right), "{name}={wrong}: {error}");
    }
    for fine in [":80, :81", ":80,:81,", "[::1]:80 :81", " :80 "] {
        assert!(load("SERVER_NAME", fine).is_ok(), "{fine}");
    }
}

/// Directives of older versions, and those that contradict others, are answered.
#[test]
fn older_and_contradicting_directives() {
    for (directive, expected) in [
        ("use_forwarded_headers", "write `trusted_proxies <range>…`"),
        ("cors_allowed_origins *", "write `cors_origins <origin>…`"),
        ("allow_anonymous", "write `anonymous`"),
        ("heartbeat_interval 15s", "write `heartbeat <duration>`"),
        ("jwt_key x", "`publisher_jwt <key>`"),
        ("history_size 5", "`transport bolt"),
        ("playground\nanonymous off", "`anonymous` is off"),
    ] {
        let error = with(directive).unwrap_err();
        assert!(error.contains(expected), "{directive}: {error}");
    }
    let both = format!("publisher_jwt \"{OTHER}\"\npublisher_jwks_url https://a.example/keys");
    let loaded = with(&both).unwrap();
    assert!(
        texts(&loaded)
            .iter()
            .any(|text| text.contains("the key set takes precedence"))
    );
    let tls = try_load(Some(":80 {\n tls internal\n mercure\n}"), &KEYS[1..]).unwrap();
    assert!(
        texts(&tls)
            .iter()
            .any(|text| text.contains("`tls` has no effect"))
    );
}

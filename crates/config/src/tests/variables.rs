//! What the environment says, alone, beside directives and beside a file.

use talaria_hub::access::Role;

use super::{KEYS, cors_origins, try_load};

/// `MERCURE_CORS_ALLOWED_ORIGINS` acts only where no `cors_origins` is written; a variable that looks
/// plausible and does nothing has a warning (B-126).
#[test]
fn variables_beside_the_directives() {
    let variables = [(
        "MERCURE_CORS_ALLOWED_ORIGINS",
        "https://a.example, https://b.example",
    )];
    let alias = [KEYS, &variables].concat();
    let origins = cors_origins(&try_load(None, &alias).unwrap().settings);
    assert!(origins.allows("https://a.example") && origins.allows("https://b.example"));
    let both = [
        &alias[..],
        &[("MERCURE_EXTRA_DIRECTIVES", "cors_origins https://c.example")],
    ]
    .concat();
    assert!(!cors_origins(&try_load(None, &both).unwrap().settings).allows("https://a.example"));
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

/// The issuer of the variables stands beside those of blocks (B-106, B-223).
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
    let issuers = try_load(None, &variables).unwrap().settings.hubs[0]
        .options
        .issuers
        .clone();
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
        try_load(None, &variables).unwrap().settings.hubs[0]
            .options
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

/// With a file, no variable counts by itself; but a block without an issuer takes the key variables.
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
    assert!(!loaded.hubs[0].options.anonymous);
    assert_eq!(
        (
            loaded.sites[0].addresses[0].port,
            loaded.hubs[0].options.issuers.iter().len()
        ),
        (3000, 1)
    );
    assert_eq!(
        loaded.hubs[0].options.base.url().as_str(),
        "http://hub.example:3000/.well-known/mercure"
    );

    let named = "{$SERVER_NAME:localhost}\nmercure {\n {$MERCURE_EXTRA_DIRECTIVES}\n}";
    let loaded = try_load(Some(named), &extra).unwrap().settings;
    assert!(loaded.hubs[0].options.anonymous);
    assert_eq!(loaded.sites[0].addresses[0].port, 81);

    let own = ":80\nmercure {\n issuer https://x {\n  publisher {\n   jwt \"another secret, long enough for it\"\n  }\n }\n}";
    assert!(
        try_load(Some(own), KEYS)
            .unwrap_err()
            .contains("no issuer has a subscriber key")
    );
}

/// Each variable of the server that had no configuration file is named in the error of the missing key, with what
/// took its place (B-140 to B-154).
#[test]
fn older_variables_are_named_where_a_key_is_missing() {
    let older = [
        ("JWT_KEY", "MERCURE_PUBLISHER_JWT_KEY"),
        ("PUBLISHER_JWT_KEY", "MERCURE_PUBLISHER_JWT_KEY"),
        ("SUBSCRIBER_JWT_KEY", "MERCURE_SUBSCRIBER_JWT_KEY"),
        ("JWT_ALGORITHM", "MERCURE_PUBLISHER_JWT_ALG"),
        ("ADDR", "SERVER_NAME"),
        ("ACME_HOSTS", "SERVER_NAME"),
        ("ACME_CERT_DIR", "XDG_DATA_HOME"),
        ("ACME_HTTP01_ADDR", "`http_port <port>`"),
        ("CERT_FILE", "`tls <certificate> <key>`"),
        ("CERT_KEY", "`tls <certificate> <key>`"),
        ("KEY_FILE", "`tls <certificate> <key>`"),
        ("CORS_ALLOWED_ORIGINS", "`cors_origins <origin>…`"),
        ("PUBLISH_ALLOWED_ORIGINS", "`publish_origins <origin>…`"),
        ("ALLOW_ANONYMOUS", "`anonymous`"),
        ("DB_PATH", "`transport bolt"),
        ("TRANSPORT_URL", "`transport bolt"),
        ("HISTORY_SIZE", "`transport bolt"),
        ("HEARTBEAT_INTERVAL", "`heartbeat <duration>`"),
        ("WRITE_TIMEOUT", "`write_timeout <duration>`"),
        ("DISPATCH_SUBSCRIPTIONS", "`subscriptions`"),
        ("SUBSCRIPTIONS", "`subscriptions`"),
        ("USE_FORWARDED_HEADERS", "`trusted_proxies"),
        ("UPDATE_BUFFER_SIZE", "remove it"),
        ("DEBUG", "RUST_LOG"),
        ("LOG_FORMAT", "TALARIA_LOG_FORMAT=json"),
        ("DEMO", "talaria dev"),
        ("COMPRESS", "remove it"),
        ("METRICS_LOGIN", "remove it"),
    ];
    let set: Vec<_> = older.iter().map(|(name, _)| (*name, "secret")).collect();
    let error = try_load(None, &set).map(|_| ()).unwrap_err();
    assert!(
        error.starts_with("MERCURE_PUBLISHER_JWT_KEY is not set"),
        "{error}"
    );
    for (name, instead) in older {
        let begins = format!("  {name} is a variable of older versions");
        let mut lines = error.lines().filter(|line| line.starts_with(&begins));
        let line = lines.next().unwrap_or_else(|| panic!("{name}: {error}"));
        assert!(line.contains(instead), "{line}");
    }
    assert!(
        !error.contains("secret\n") && !error.contains(": secret"),
        "{error}"
    );
}

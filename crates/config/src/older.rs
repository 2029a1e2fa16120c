//! Names of older versions, and what took their place (B-111, B-112, B-140 to B-154).

/// A parameter of the server that had no configuration file, in the spelling of its variable.
struct Older {
    name: &'static str,
    /// Whether other programs are unlikely to use a variable of this name.
    is_distinctive: bool,
    /// What to do instead.
    remedy: &'static str,
}

const fn distinctive(name: &'static str, remedy: &'static str) -> Older {
    Older {
        name,
        is_distinctive: true,
        remedy,
    }
}

const fn common(name: &'static str, remedy: &'static str) -> Older {
    Older {
        name,
        is_distinctive: false,
        remedy,
    }
}

const KEYS: &str = "set MERCURE_PUBLISHER_JWT_KEY and MERCURE_SUBSCRIBER_JWT_KEY, or write `publisher_jwt <key>` and `subscriber_jwt <key>`";
const PUBLISHER: &str = "set MERCURE_PUBLISHER_JWT_KEY, or write `publisher_jwt <key>`";
const SUBSCRIBER: &str = "set MERCURE_SUBSCRIBER_JWT_KEY, or write `subscriber_jwt <key>`";
const PROXIES: &str = "write `trusted_proxies <range>…` in MERCURE_EXTRA_DIRECTIVES, the addresses whose X-Forwarded-Proto and X-Forwarded-Host count";
const TRANSPORT: &str =
    "write `transport bolt { … }`, with its `path` and `size`, in MERCURE_EXTRA_DIRECTIVES";
const CERTIFICATE: &str = "write `tls <certificate> <key>` beside the `mercure` block";
const FIXED: &str = "remove it: the head of a request has 60 s to arrive, and so has its body";
const LOG: &str = "set RUST_LOG, for example RUST_LOG=debug";
const METRICS: &str =
    "remove it: metrics are at /metrics of the admin listener (`admin` in the global options)";
const QUEUE: &str = "remove it: a slow subscriber reads from the history, without a queue";
const SUBSCRIPTIONS: &str = "write `subscriptions` in MERCURE_EXTRA_DIRECTIVES";
const CACHE: &str = "remove it: matching needs no cache to size";

const OLDER: &[Older] = &[
    distinctive("JWT_KEY", KEYS),
    distinctive(
        "JWT_ALGORITHM",
        "set MERCURE_PUBLISHER_JWT_ALG and MERCURE_SUBSCRIBER_JWT_ALG, or write the algorithm after the key",
    ),
    distinctive("PUBLISHER_JWT_KEY", PUBLISHER),
    distinctive(
        "PUBLISHER_JWT_ALGORITHM",
        "set MERCURE_PUBLISHER_JWT_ALG, or write the algorithm after the key",
    ),
    distinctive("SUBSCRIBER_JWT_KEY", SUBSCRIBER),
    distinctive(
        "SUBSCRIBER_JWT_ALGORITHM",
        "set MERCURE_SUBSCRIBER_JWT_ALG, or write the algorithm after the key",
    ),
    distinctive(
        "ALLOW_ANONYMOUS",
        "write `anonymous` in MERCURE_EXTRA_DIRECTIVES",
    ),
    distinctive(
        "CORS_ALLOWED_ORIGINS",
        "write `cors_origins <origin>…` in MERCURE_EXTRA_DIRECTIVES",
    ),
    distinctive(
        "PUBLISH_ALLOWED_ORIGINS",
        "write `publish_origins <origin>…` in MERCURE_EXTRA_DIRECTIVES",
    ),
    distinctive("USE_FORWARDED_HEADERS", PROXIES),
    distinctive(
        "HEARTBEAT_INTERVAL",
        "write `heartbeat <duration>` in MERCURE_EXTRA_DIRECTIVES",
    ),
    distinctive("HISTORY_SIZE", TRANSPORT),
    distinctive("HISTORY_CLEANUP_FREQUENCY", TRANSPORT),
    distinctive(
        "ACME_HOSTS",
        "name the hosts in SERVER_NAME or as the site's addresses",
    ),
    distinctive(
        "ACME_CERT_DIR",
        "set XDG_DATA_HOME: certificates lie in its folder caddy",
    ),
    distinctive(
        "ACME_HTTP01_ADDR",
        "write `http_port <port>` in GLOBAL_OPTIONS or the global options",
    ),
    distinctive("UPDATE_BUFFER_SIZE", QUEUE),
    distinctive("UPDATE_BUFFER_FULL_TIMEOUT", QUEUE),
    distinctive("DISPATCH_SUBSCRIPTIONS", SUBSCRIPTIONS),
    distinctive(
        "SUBSCRIPTIONS_INCLUDE_IP",
        "remove it: subscription events hold no address",
    ),
    distinctive("EXTRA_DIRECTIVES", "use MERCURE_EXTRA_DIRECTIVES"),
    common(
        "ADDR",
        "set SERVER_NAME, for example SERVER_NAME=:3000, or write it as the site's address",
    ),
    common("CERT_FILE", CERTIFICATE),
    common("KEY_FILE", CERTIFICATE),
    common("CERT_KEY", CERTIFICATE),
    common("TRANSPORT_URL", TRANSPORT),
    common("DB_PATH", TRANSPORT),
    common("READ_TIMEOUT", FIXED),
    common("READ_HEADER_TIMEOUT", FIXED),
    common(
        "WRITE_TIMEOUT",
        "write `write_timeout <duration>` in MERCURE_EXTRA_DIRECTIVES",
    ),
    common(
        "DISPATCH_TIMEOUT",
        "write `dispatch_timeout <duration>` in MERCURE_EXTRA_DIRECTIVES",
    ),
    common("SUBSCRIPTIONS", SUBSCRIPTIONS),
    common("DEBUG", LOG),
    common(
        "LOG_FORMAT",
        "set TALARIA_LOG_FORMAT=json or TALARIA_LOG_FORMAT=console",
    ),
    common(
        "DEMO",
        "`talaria dev` runs a hub for development, and so does `playground` in MERCURE_EXTRA_DIRECTIVES",
    ),
    common("COMPRESS", "remove it: streams are never compressed"),
    common("METRICS", METRICS),
    common("METRICS_ENABLED", METRICS),
    common("METRICS_ADDR", METRICS),
    common("METRICS_LOGIN", METRICS),
    common("METRICS_PASSWORD", METRICS),
    common("CACHE", CACHE),
    common("TOPIC_MATCHER_CACHE_SIZE", CACHE),
];

/// What took the place of a name of older versions, spelled as a variable (with or without
/// `MERCURE_`), a directive or a flag.
pub fn successor(name: &str) -> Option<&'static str> {
    let upper = name
        .trim_start_matches('-')
        .to_ascii_uppercase()
        .replace('-', "_");
    let bare = upper.strip_prefix("MERCURE_").unwrap_or(&upper);
    let older = OLDER.iter().find(|older| older.name == bare)?;
    Some(older.remedy)
}

/// What took the place of a variable of older versions. A name that other programs use too counts only if
/// `is_old`: the environment has variables that only the old server used.
pub fn variable(name: &str, is_old: bool) -> Option<&'static str> {
    let older = OLDER.iter().find(|older| older.name == name)?;
    (older.is_distinctive || is_old).then_some(older.remedy)
}

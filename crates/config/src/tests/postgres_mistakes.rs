//! What is wrong with a `transport postgres` is refused at its place, with what to write, and without a password.

use super::{KEYS, try_load, with};

/// Options of a block; where the mistake is, and the message.
const OPTIONS: &[(&str, &str, &str)] = &[
    ("", "line 1, column 11", "names no server"),
    ("schema x", "line 1, column 11", "or set PGHOST"),
    ("url postgres://h", "line 1, column 11", "names no user"),
    ("shema x", "line 2, column 1", "did you mean `schema`?"),
    (
        "url postgres://u@h\nmax_length 5",
        "line 3, column 1",
        "write `size <n>`",
    ),
    (
        "url postgres://u@h\nmax_bytes 5",
        "line 3, column 1",
        "write `size <n>`",
    ),
    (
        "url postgres://u@h\npath x",
        "line 3, column 1",
        "it is one of `bolt`",
    ),
    (
        "url postgres://u@h\nreplicas 1",
        "line 3, column 1",
        "it is one of `redis`",
    ),
    (
        "sslmode require",
        "line 2, column 1",
        "it is a parameter of the URL",
    ),
    ("host h", "line 2, column 1", "?host=…`"),
    (
        "url",
        "line 2, column 1",
        "write for example `url postgres://",
    ),
    ("url postgres://u@h x", "line 2, column 1", "needs one URL"),
    (
        "url postgres://u@h\nurl postgres://u@i",
        "line 3, column 5",
        "there is a second `url`",
    ),
    (
        "url postgres://u@h\nschema Public",
        "line 3, column 8",
        "cannot name the schema",
    ),
    (
        "url postgres://u@h\nschema pg_x",
        "line 3, column 8",
        "for example `schema talaria`",
    ),
    (
        "url postgres://u@h\nschema public",
        "line 3, column 8",
        "applications have tables and functions there",
    ),
    (
        "url postgres://u@h\nschema information_schema",
        "line 3, column 8",
        "choose another name, for example `schema talaria`",
    ),
    (
        "url postgres://u@h\nschema 1x",
        "line 3, column 8",
        "lowercase letters",
    ),
    (
        "url postgres://u@h\nschema \"\"",
        "line 3, column 8",
        "cannot name the schema",
    ),
    (
        "url postgres://u@h\ntopic_index maybe",
        "line 3, column 13",
        "neither `on` nor `off`",
    ),
    (
        "url postgres://u@h\ntopic_index",
        "line 3, column 1",
        "`topic_index` needs",
    ),
    (
        "url postgres://u@h\nsize x",
        "line 3, column 6",
        "`x` is not a whole number",
    ),
    (
        "url postgres://u@h\nlease 1s",
        "line 3, column 7",
        "write a duration from 3s to 600s",
    ),
    (
        "url postgres://u@h\npassword",
        "line 3, column 1",
        "`password` needs a password",
    ),
    (
        "url postgres://u@h\npassword PW PW",
        "line 3, column 13",
        "quote what holds spaces",
    ),
    (
        "url postgres://u:PW@h\npassword PW",
        "line 3, column 1",
        "the URL has a password",
    ),
    ("url PW", "line 2, column 5", "nor `keyword=value` pairs"),
    (
        "url u:PW@h",
        "line 2, column 5",
        "nor `keyword=value` pairs",
    ),
    (
        "url \"host=h user=u password='PW\"",
        "line 2, column 5",
        "a quote of the value is not closed",
    ),
    (
        "url \"host=h PW user=u\"",
        "line 2, column 5",
        "nor `keyword=value` pairs",
    ),
    (
        "url \"host=a,b port=1,2,3 user=u\"",
        "line 2, column 5",
        "`port` has 3 ports, and there are 2 servers",
    ),
    (
        "url \"host=a,b hostaddr=::1 user=u\"",
        "line 2, column 5",
        "`hostaddr` has 1 addresses, and `host` 2 hosts",
    ),
    (
        "url \"host=a hostaddr=b user=u\"",
        "line 2, column 5",
        "`hostaddr` has `b`, which is not an IP address",
    ),
    (
        "url \"host=a,a user=u\"",
        "line 2, column 5",
        "the server a:5432 occurs twice",
    ),
];

/// URLs, and the message.
const URLS: &[(&str, &str)] = &[
    ("postgres:PW", "this is not the URL of a PostgreSQL server"),
    ("postgres://u:PW@", "names no server"),
    ("postgres://u:PW@,b/d", "a host is empty"),
    (
        "postgres://u@h:70000",
        "`70000` is not a port from 1 to 65535",
    ),
    ("postgres://u@h:0", "`0` is not a port"),
    (
        "postgres://u:PW",
        "what follows the colon behind a host is not a port",
    ),
    ("postgres://u@[::1", "a bracket of the URL is not closed"),
    (
        "postgres://u@[::1]x",
        "something else than a port follows a bracket",
    ),
    ("postgres://u@a%20b/d", "`a b` is not a host"),
    ("postgres://u:P/W@h", "an `@` stands behind a `/`"),
    ("postgres://u:P#W@h", "the URL holds a `#`"),
    ("postgres://:%FF@h", "not UTF-8"),
    ("postgres://u:PW%00@h", "%00"),
    (
        "postgres://u@h?sslmode",
        "a parameter of the URL has no `=`",
    ),
    (
        "postgres://u@h?sslmode=verify",
        "`sslmode` is `verify`, which is not a mode",
    ),
    ("postgres://u@h?sslmode=allow", "write sslmode=prefer"),
    (
        "postgres://u@h?sslmode=verify-ca",
        "any certificate of a public authority would do",
    ),
    (
        "postgres://u@h?sslrootcert=/nowhere.pem",
        "without sslmode=verify-full",
    ),
    (
        "postgres://u@h?sslmode=require&sslrootcert=system",
        "without sslmode=verify-full",
    ),
    (
        "postgres://u@h?sslmode=verify-full&sslrootcert=/nowhere.pem",
        "`/nowhere.pem` cannot be read",
    ),
    (
        "postgres://u@h?sslmode=verify-full&sslrootcert=/proc/self/status",
        "holds no CERTIFICATE in PEM",
    ),
    (
        "postgres://u@h?sslmode=require&sslcert=/x",
        "`sslcert` stands without `sslkey`",
    ),
    (
        "postgres://u@h?sslkey=/x",
        "`sslkey` stands without `sslcert`",
    ),
    (
        "postgres://u@h?sslmode=disable&sslcert=/x&sslkey=/y",
        "no effect with sslmode=disable",
    ),
    ("postgres://u@h?connect_timeout=0", "from 1 to 60"),
    (
        "postgres://u@h?connect_timeout=x",
        "`connect_timeout` is `x`",
    ),
    (
        "postgres://u@h?target_session_attrs=standby",
        "a log needs a server that takes writes",
    ),
    (
        "postgres://u@h?target_session_attrs=prefer-standby",
        "write target_session_attrs=read-write",
    ),
    ("postgres://u@h?sslmod=require", "did you mean `sslmode`?"),
    (
        "postgres://u@h?aplication_name=x",
        "did you mean `application_name`?",
    ),
    ("postgres://u@h?shema=x", "did you mean `schema`?"),
    ("postgres://u@h?x=1", "unknown parameter `x`"),
    ("postgres://u@h?url=x", "unknown parameter `url`"),
    (
        "postgres://u@h?schema=X",
        "it is the value of the parameter `schema` in the URL",
    ),
    ("postgres://u@h?size=x&lease=1s", "`lease`"),
    (
        "postgres://u@h?serverVersion=16&charset=utf8",
        "`serverVersion` is not a parameter of PostgreSQL",
    ),
    (
        "postgres://u@h?channel_binding=require",
        "the parameter `channel_binding`, here `require`, is not supported",
    ),
    ("postgres://u@h?client_encoding=latin1", "updates are UTF-8"),
    (
        "postgres://u@h?service=x",
        "write what the file says in the URL itself",
    ),
    (
        "postgres://u@h?sslpassword=PW",
        "name a key in `sslkey` that is not encrypted",
    ),
    (
        "postgres://u@h?keepalives_idle=9",
        "the hub bounds the time of each call itself",
    ),
];

fn refused(options: &str) -> String {
    let error = with(&format!("transport postgres {{\n{options}\n}}")).unwrap_err();
    assert!(!error.contains("PW"), "{options}: {error}");
    assert!(
        error.starts_with("MERCURE_EXTRA_DIRECTIVES, line "),
        "{options}: {error}"
    );
    error
}

/// Each has the place of what is wrong, the problem, and the remedy.
#[test]
fn a_wrong_option_is_refused_at_its_place() {
    for (options, place, expected) in OPTIONS {
        let error = refused(options);
        assert!(error.contains(expected), "{options}: {error}");
        assert!(error.contains(&format!("{place}: ")), "{options}: {error}");
    }
}

/// A URL is refused without what may be a password in it, whatever is wrong.
#[test]
fn a_wrong_url_is_refused() {
    for (url, expected) in URLS {
        let variable = [KEYS, &[("MERCURE_TRANSPORT_URL", url)]].concat();
        let error = try_load(None, &variable).unwrap_err();
        assert!(error.contains(expected), "{url}: {error}");
        assert!(
            error.starts_with("MERCURE_TRANSPORT_URL: "),
            "{url}: {error}"
        );
        assert!(!error.contains("PW"), "{url}: {error}");
        let error = refused(&format!("url \"{url}\""));
        assert!(error.contains(expected), "{url}: {error}");
    }
    let error = refused("url http://u:PW@h");
    assert!(
        error.contains("`http` is not the scheme of a PostgreSQL server"),
        "{error}"
    );
    assert!(error.contains("write postgres://"), "{error}");
}

/// A variable that is wrong is named as the place.
#[test]
fn a_wrong_variable_is_named() {
    for (name, value, expected) in [
        ("PGPORT", "x", "`x` is not a port"),
        ("PGSSLMODE", "on", "`sslmode` is `on`"),
        ("PGCONNECT_TIMEOUT", "soon", "`connect_timeout` is `soon`"),
        ("PGTARGETSESSIONATTRS", "read-only", "takes writes"),
        ("PGSSLROOTCERT", "/nowhere", "without sslmode=verify-full"),
        ("PGHOSTADDR", "x", "not an IP address"),
    ] {
        let variables = [
            ("MERCURE_EXTRA_DIRECTIVES", "transport postgres"),
            ("PGUSER", "u"),
            ("PGHOST", "h"),
            (name, value),
        ];
        let error = try_load(None, &[KEYS, &variables].concat()).unwrap_err();
        assert!(error.starts_with(&format!("{name}: ")), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

/// No line of a file that may hold a password is shown beside another mistake on it.
#[test]
fn no_line_with_a_password_is_shown() {
    for lines in [
        "transport_url postgres://h?password=PW more",
        "transport_url postgres://u:PW@h?x=1",
        "transport postgres {\n password PW {\n }\n }",
        "transport postgres {\n url \"host=h user=u password=PW\" surplus\n }",
        "transport postgres {\n url \"host=h user=u passwort=PW\"\n }",
        "transport postgres {\n url host=h user=u password=PW\n }",
        "transport postgres {\n url postgres://u:PW@h {\n }\n }",
        "transport postgres {\n password=PW\n }",
        "transport postgres postgres://u:PW@h",
    ] {
        let file = format!(
            ":80 {{\n mercure {{\n anonymous\n publisher_jwt !a-secret-of-thirty-two-bytes-or-more!\n {lines}\n }}\n}}"
        );
        let error = try_load(Some(&file), &[]).unwrap_err();
        assert!(error.starts_with("Caddyfile:"), "{lines}: {error}");
        assert!(!error.contains("PW"), "{lines}: {error}");
    }
}

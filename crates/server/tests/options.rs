//! The options of every verb: each is used or refused.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot run its program fails"
)]

mod support;

use support::{Directory, extra, stderr};

/// Options of older versions are understood, or refused with what replaced them (B-022, B-141).
#[test]
fn options_of_older_versions_are_answered() {
    let directory = Directory::new();
    let path = directory.write(
        "hub.caddyfile",
        ":80\nmercure {\n anonymous\n publisher_jwt \"a secret of more than thirty-two bytes\"\n}\n",
    );
    for written in [
        vec!["validate", "-config", &path],
        vec!["validate", "-config", &path, "-adapter", "caddyfile"],
        vec!["validate", &format!("-config={path}")],
    ] {
        let output = directory.talaria(&written, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    for (option, successor) in [
        ("--jwt-key", "MERCURE_PUBLISHER_JWT_KEY"),
        ("--addr", "SERVER_NAME"),
        ("--allow-anonymous", "`anonymous`"),
        ("--cors-allowed-origins=*", "`cors_origins <origin>…`"),
        ("--use-forwarded-headers", "`trusted_proxies <range>…`"),
    ] {
        let output = directory.talaria(&["run", option], &[]);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(successor), "{message}");
    }
}

/// Verbs of the existing server are understood, or refused with what to use instead (B-010 to B-020).
#[test]
fn verbs_of_the_existing_server_are_answered() {
    let directory = Directory::new();
    let arguments = ["mercure-token", "--dev", "--publish", "*"];
    let output = directory.talaria(&arguments, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for (verb, instead) in [
        ("upgrade", "install another version"),
        ("storage", "`talaria history export`"),
        ("file-server", "use a web server"),
    ] {
        let output = directory.talaria(&[verb], &[]);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(instead), "{message}");
    }
}

/// No option is ignored: each is used, or refused under its name before anything is done.
fn refuses(cases: &[(Vec<&str>, &str)]) {
    let directory = Directory::new();
    for (arguments, expected) in cases {
        let output = directory.talaria(arguments, &[]);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}

/// Options of `token`.
#[test]
fn options_of_token_are_used_or_refused() {
    let audience = "http://localhost/.well-known/mercure";
    let mint = |more: &[&'static str]| -> Vec<&'static str> {
        [
            &[
                "token",
                "--iss",
                "i",
                "--key",
                "a secret of more than thirty-two bytes",
            ],
            more,
        ]
        .concat()
    };
    refuses(&[
        (
            mint(&["--publish", "*", "--aud", "localhost:3000"]),
            "--aud",
        ),
        (mint(&["--publish", "*", "--aud", "http://h/#f"]), "--aud"),
        (
            mint(&["--publish", "*", "--aud", audience, "--ttl", "0s"]),
            "--ttl",
        ),
        (
            mint(&["--publish", "*", "--aud", audience, "--kid", ""]),
            "--kid",
        ),
        (
            mint(&["--publish", "", "--aud", audience]),
            "every hub would refuse",
        ),
        (
            mint(&["--publish-urlpattern", "/(", "--aud", audience]),
            "every hub would refuse",
        ),
        (
            mint(&["--payload", "1", "--publish", "*", "--aud", audience]),
            "--payload",
        ),
        (
            vec!["token", "--dev", "--key", "@-", "--payload", "@-"],
            "--payload @-",
        ),
        (
            vec!["token", "--dev", "--key", "HS256"],
            "name of an algorithm",
        ),
        (vec!["token", "check", "-", "--config", "-"], "--config -"),
    ]);
    let directory = Directory::new();
    let pinned = extra("resource_identifier https://hub.example/.well-known/mercure");
    let url = [
        "token",
        "check",
        "a.b.c",
        "--url",
        "http://localhost/.well-known/mercure",
    ];
    let message = stderr(&directory.talaria(&url, &pinned));
    assert!(message.contains("error: --url"), "{message}");
}

/// Options of `publish`, `subscribe` and `doctor`.
#[test]
fn options_of_clients_are_used_or_refused() {
    refuses(&[
        (vec!["publish", "http://h/#f", "--topic", "t"], "fragment"),
        (
            vec!["publish", "http://a:b@h/", "--topic", "t"],
            "user name",
        ),
        (vec!["publish", "http://h", "--topic", ""], "--topic"),
        (
            vec!["publish", "http://h", "--topic", "t", "--id", ""],
            "--id",
        ),
        (
            vec!["subscribe", "http://h", "--match", "t", "--count", "0"],
            "--count",
        ),
        (
            vec![
                "subscribe",
                "http://h",
                "--match",
                "t",
                "--last-event-id",
                "",
            ],
            "--last-event-id",
        ),
        (
            vec!["doctor", "http://h", "--origin", "app.example"],
            "https://app.example",
        ),
        (
            vec!["doctor", "http://h", "--origin", "https://app.example/"],
            "--origin",
        ),
        (
            vec!["doctor", "http://h", "--topic", "*", "--token", "x"],
            "--topic",
        ),
        (
            vec!["doctor", "http://h", "--origin", "ftp://x"],
            "scheme ftp",
        ),
        (
            vec!["doctor", "http://h", "--origin", "null"],
            "--origin null",
        ),
        (
            vec!["doctor", "http://h/.well-known/mercure?topic=a"],
            "--topic",
        ),
    ]);
    let directory = Directory::new();
    let output = directory.talaria(
        &["publish", "http://h", "--topic", "t"],
        &[("TALARIA_TOKEN", "")],
    );
    assert!(stderr(&output).contains("TALARIA_TOKEN: the token is empty"));
}

/// Misspelt options, with one dash or two.
#[test]
fn misspelt_options_are_refused() {
    refuses(&[
        (vec!["token", "check", "--urll", "http://h"], "--urll"),
        (vec!["token", "check", "-x"], "-x"),
        (vec!["run", "-confg", "x"], "'--config'"),
        (vec!["validate", "-confg=x"], "'--config'"),
    ]);
}

/// Options of `history`.
#[test]
fn options_of_history_are_used_or_refused() {
    let directory = Directory::new();
    let lines = directory.write("lines", "");
    refuses(&[(
        vec!["history", "import", "--bucket-name", "b", &lines],
        "--bucket-name",
    )]);
}

/// Options of `bench`.
#[test]
fn options_of_bench_are_used_or_refused() {
    refuses(&[
        (
            vec!["bench", "--url", "http://127.0.0.1:1", "--issuer", "i"],
            "--issuer",
        ),
        (
            vec!["bench", "--url", "http://127.0.0.1:1", "--private"],
            "--private",
        ),
        (
            vec![
                "bench",
                "--url",
                "http://127.0.0.1:1",
                "--subscriber-key",
                "k",
            ],
            "--subscriber-key",
        ),
        (
            vec![
                "bench",
                "--url",
                "http://127.0.0.1:1",
                "--baseline",
                "--stalled",
                "0",
            ],
            "--baseline",
        ),
        (vec!["bench", "floor", "--duration", "0"], "--duration"),
        (vec!["bench", "floor", "--updates", "0"], "--updates"),
        (vec!["bench", "floor", "--timeout", "0"], "--timeout"),
        (
            vec!["bench", "history", "--stored", "--seconds", "1"],
            "--seconds",
        ),
        (
            vec!["bench", "history", "--durable", "--topics", "1"],
            "--topics",
        ),
        (vec!["bench", "history", "--topics", "0"], "--topics"),
        (
            vec!["bench", "history", "--publishers", "0"],
            "--publishers",
        ),
    ]);
}

/// `--ttl` takes precedence over the year 2100 of `--dev` (B-030).
#[test]
fn the_lifetime_of_a_development_token_may_be_named() {
    let directory = Directory::new();
    let expiry = |more: &[&str]| {
        let arguments = [&["token", "--dev", "--pretty"], more].concat();
        let output = directory.talaria(&arguments, &[]);
        let said = stderr(&output);
        let claim = said.split("\"exp\":").nth(1).unwrap();
        let digits: String = claim
            .chars()
            .filter(char::is_ascii_digit)
            .take(10)
            .collect();
        digits.parse::<u64>().unwrap()
    };
    assert_eq!(expiry(&[]), 4_102_444_800);
    assert!(expiry(&["--ttl", "1h"]) < 4_102_444_800);
}

/// A key on the command line that is probably not what was meant is named, and never shown.
#[test]
fn a_mistaken_key_of_a_token_is_named() {
    let directory = Directory::new();
    for (key, expected) in [
        ("publisher.pem", "path of a file"),
        ("\"a secret of more than thirty-two bytes\"", "quote"),
        ("${MERCURE_PUBLISHER_JWT_KEY}", "reference"),
    ] {
        let output = directory.talaria(&["token", "--dev", "--key", key], &[]);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(0), "{message}");
        assert!(
            message.contains(expected) && !message.contains(key),
            "{message}"
        );
        let output = directory.talaria(&["token", "--dev"], &[("MERCURE_PUBLISHER_JWT_KEY", key)]);
        let message = stderr(&output);
        assert!(
            message.starts_with("warning: MERCURE_PUBLISHER_JWT_KEY: "),
            "{message}"
        );
    }
}

//! The configuration through the program: exit codes, messages, and no secrets in either.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot run its program fails"
)]

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

const SECRET: &str = "s3cr3t-that-must-never-be-shown-anywhere";

const KEYS: &[(&str, &str)] = &[
    ("SERVER_NAME", ":3000"),
    ("MERCURE_PUBLISHER_JWT_KEY", SECRET),
    ("MERCURE_SUBSCRIBER_JWT_KEY", SECRET),
];

/// A directory of its own for one test, removed at its end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "talaria-config-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Runs the program in this directory, with this environment and nothing else of ours.
    fn talaria(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_talaria"))
            .args(arguments)
            .current_dir(&self.0)
            .env_clear()
            .envs(variables.iter().copied())
            .output()
            .unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The message of a failed start, which is all that the program says; `run` and `validate` agree.
fn refusal(caddyfile: Option<&str>, variables: &[(&str, &str)]) -> String {
    let directory = Directory::new();
    if let Some(text) = caddyfile {
        directory.write("Caddyfile", text);
    }
    let run = directory.talaria(&["run"], variables);
    assert_eq!(run.status.code(), Some(1), "{}", stderr(&run));
    assert_eq!(stdout(&run), "");
    let validate = directory.talaria(&["validate"], variables);
    assert_eq!(
        (validate.status.code(), stderr(&validate)),
        (Some(1), stderr(&run))
    );
    let message = stderr(&run);
    assert_eq!(message.matches("error: ").count(), 1, "{message}");
    message
}

fn extra(directives: &str) -> Vec<(&str, &str)> {
    [KEYS, &[("MERCURE_EXTRA_DIRECTIVES", directives)]].concat()
}

/// Issue 7: unknown directive, with file, line, column, caret and suggestion.
#[test]
fn unknown_directive() {
    assert_eq!(
        refusal(
            Some(":80 {\n\tmercure {\n\t\theartbeet 40s\n\t}\n}\n"),
            KEYS
        ),
        "error: Caddyfile:3:3: unknown directive `heartbeet`\n    heartbeet …\n    ^^^^^^^^^\n  did you mean `heartbeat`?\n"
    );
    assert_eq!(
        refusal(None, &extra("anonymous\nheartbeet 40s")),
        "error: MERCURE_EXTRA_DIRECTIVES, line 2, column 1: unknown directive `heartbeet`\n    heartbeet …\n    \
         ^^^^^^^^^\n  did you mean `heartbeat`?\n"
    );
}

/// Text that a file takes from a variable is located in the variable.
#[test]
fn unknown_directive_in_a_variable_of_a_file() {
    let message = refusal(
        Some(":80\nmercure {\n {$EXTRA}\n}\n"),
        &[KEYS, &[("EXTRA", "anonymous\nxyzzy")]].concat(),
    );
    assert!(
        message.starts_with("error: EXTRA, line 2, column 1: unknown directive `xyzzy`\n"),
        "{message}"
    );
}

#[test]
fn bad_duration() {
    assert_eq!(
        refusal(None, &extra("heartbeat 40")),
        "error: MERCURE_EXTRA_DIRECTIVES, line 1, column 11: `40` is not a duration: a number has no unit\n    \
         heartbeat 40\n              ^^\n  write numbers with units ns, us, ms, s, m, h or d, for example 40s or 1m30s\n"
    );
    assert!(refusal(None, &extra("write_timeout -1s")).contains("it is negative"));
}

/// B-222: the message names the variable and the way to try the hub out.
#[test]
fn missing_key() {
    let message = refusal(None, &[("SERVER_NAME", ":3000")]);
    assert!(
        message.starts_with("error: MERCURE_PUBLISHER_JWT_KEY is not set"),
        "{message}"
    );
    assert!(message.contains("talaria dev"));
    let message = refusal(None, &KEYS[..2]);
    assert!(
        message.starts_with("error: MERCURE_SUBSCRIBER_JWT_KEY is not set and `anonymous` is off"),
        "{message}"
    );
}

/// B-224, B-225, and a key file that is not there.
#[test]
fn unusable_keys() {
    const PEM: &str = "-----BEGIN PUBLIC KEY-----\nbm90IGEga2V5\n-----END PUBLIC KEY-----\n";
    let with = |more: &[(&'static str, &'static str)]| {
        refusal(
            None,
            &[KEYS, &[("MERCURE_PUBLISHER_JWT_KEY", PEM)], more].concat(),
        )
    };
    let alg = |name| with(&[("MERCURE_PUBLISHER_JWT_ALG", name)]);
    let (of_key, of_alg) = ("MERCURE_PUBLISHER_JWT_KEY", "MERCURE_PUBLISHER_JWT_ALG");
    for (message, place, part) in [
        (with(&[]), of_key, "no algorithm is given"),
        (
            with(&[]),
            of_key,
            "name the algorithm in MERCURE_PUBLISHER_JWT_ALG",
        ),
        (alg("HS256"), of_alg, "HS256 takes a shared secret"),
        (alg("RS256"), of_alg, "PEM key"),
        (alg("XS256"), of_alg, "is unknown"),
        (alg("hs256"), of_alg, "is unknown"),
        (alg("\"HS256\""), of_alg, "is unknown"),
        (alg("HS256,RS256"), of_alg, "is unknown"),
        (
            alg("XS256"),
            of_alg,
            "the key is that of MERCURE_PUBLISHER_JWT_KEY",
        ),
        (
            refusal(None, &[KEYS, &[(of_alg, "RS256")]].concat()),
            of_alg,
            "does not begin with -----BEGIN",
        ),
    ] {
        assert!(
            message.starts_with(&format!("error: {place}: ")) && message.contains(part),
            "{message}"
        );
        assert!(!message.contains("bm90"), "{message}");
    }
    let block = "issuer https://a {\n publisher {\n  jwt {file./nonexistent/key.pem} RS256\n }\n}";
    let message = refusal(None, &extra(block));
    let expected = "error: MERCURE_EXTRA_DIRECTIVES, line 3, column 7: the key file `/nonexistent/key.pem` cannot be read";
    assert!(message.starts_with(expected), "{message}");
}

/// The table after B-066: a public name waits for ACME, and the remedies are named.
#[test]
fn public_names_need_a_certificate() {
    let message = refusal(None, &[KEYS, &[("SERVER_NAME", "hub.example")]].concat());
    assert!(
        message.contains("hub.example needs a public certificate")
            && message.contains("tls internal"),
        "{message}"
    );
    let directory = Directory::new();
    let validate = directory.talaria(&["validate"], &KEYS[1..]);
    assert_eq!(validate.status.code(), Some(0), "{}", stderr(&validate));
}

/// No mistake near a key shows the key.
#[test]
fn secrets_are_never_shown() {
    let wrong = [
        "issuer https://a {\n publisher {\n  jwt SECRET HS256 surplus\n }\n}",
        "issuer https://a {\n publisher {\n  jwt SECRET XS1\n }\n}",
        "issuer https://a {\n publisher {\n  jwd SECRET\n }\n}",
        "issuer https://a {\n publisher {\n  jwt\n  SECRET\n }\n}",
        "issuer https://a {\n publisher {\n  jwt \"SECRET\n }\n}",
        "issuer https://a {\n publisher {\n  jwt SECRET{\n }\n}",
        "issuer https://a {\n publisher { jwt SECRET }\n}",
        "issuer https://a {\n jwt SECRET\n}",
        "issuer https://a {\n publisher SECRET\n}",
        "jwt SECRET",
        "publisher_jwt SECRET HS256 surplus",
        "publisher_jwd SECRET",
        "publisher_jwt \"two\nlines SECRET",
        "issuer https://a {\n publisher {\n  jwt SECRET {\n }\n}",
    ];
    for text in wrong {
        let message = refusal(None, &extra(&text.replace("SECRET", SECRET)));
        assert!(!message.contains(SECRET), "{text}: {message}");
        let file = format!(
            ":80\nmercure {{\n{}\n}}\n",
            text.replace("SECRET", "{$KEY}")
        );
        for key in [
            SECRET.to_owned(),
            format!("two {SECRET}\n{SECRET} {{"),
            format!("\"{SECRET}"),
        ] {
            let message = refusal(Some(&file), &[KEYS, &[("KEY", &key)]].concat());
            assert!(!message.contains(SECRET), "{text}: {message}");
        }
    }
}

#[test]
fn valid_configurations() {
    let directory = Directory::new();
    let output = directory.talaria(&["validate"], KEYS);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(
        stdout(&output),
        "the configuration is valid: the environment, issuers: 1\n"
    );
    assert_eq!(stderr(&output), "");

    let path = directory.write(
        "hub.caddyfile",
        ":80\nmercure {\n anonymous 1\n lru_cache 5\n}\n",
    );
    let environment = directory.write(
        "env",
        "# keys\nMERCURE_PUBLISHER_JWT_KEY='short'\nSERVER_NAME=ignored\n",
    );
    let output = directory.talaria(
        &["validate", "--config", &path, "--envfile", &environment],
        &[],
    );
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let notices = stderr(&output);
    assert!(
        notices.contains("warning: ") && notices.contains("info: "),
        "{notices}"
    );
    assert!(notices.contains("MERCURE_PUBLISHER_JWT_KEY: "), "{notices}");
    assert!(!notices.contains("short "), "{notices}");

    let output = directory.talaria(&["validate", "--address", ":81"], &KEYS[1..]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let output = directory.talaria(&["validate", "--address", "ftp://x"], KEYS);
    assert!(
        stderr(&output).starts_with("error: --address: "),
        "{}",
        stderr(&output)
    );
}

/// B-021: 0 for help and version, 1 for a wrong command line.
#[test]
fn command_line() {
    let directory = Directory::new();
    for verb in [
        vec!["--help"],
        vec!["run", "--help"],
        vec!["dev", "--help"],
        vec!["token", "check", "--help"],
    ] {
        let output = directory.talaria(&verb, &[]);
        assert_eq!(output.status.code(), Some(0));
        assert!(stdout(&output).contains("Usage: talaria"));
    }
    assert!(stdout(&directory.talaria(&["run", "--help"], &[])).contains("Addresses to listen on"));
    assert!(stdout(&directory.talaria(&["version"], &[])).starts_with("Talaria "));
    for wrong in [
        vec!["rnu"],
        vec!["run", "--confg", "x"],
        vec!["run", "--config", "absent"],
        vec!["token"],
    ] {
        let output = directory.talaria(&wrong, &[]);
        assert_eq!(
            (output.status.code(), stdout(&output)),
            (Some(1), String::new()),
            "{wrong:?}"
        );
        assert!(
            stderr(&output).starts_with("error: "),
            "{}",
            stderr(&output)
        );
    }
}

/// B-022, B-141: options of older versions are understood, or answered with what took their place.
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

/// No option is ignored: it is used, or refused before anything is done.
#[test]
fn every_option_is_used_or_refused() {
    let directory = Directory::new();
    let lines = directory.write("lines", "");
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
    let refused: &[(Vec<&str>, &str)] = &[
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
            vec!["history", "import", "--bucket-name", "b", &lines],
            "--bucket-name",
        ),
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
    ];
    for (arguments, expected) in refused {
        let output = directory.talaria(arguments, &[]);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
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
    let output = directory.talaria(
        &["publish", "http://h", "--topic", "t"],
        &[("TALARIA_TOKEN", "")],
    );
    assert!(stderr(&output).contains("TALARIA_TOKEN: the token is empty"));
}

/// B-030: `--ttl` counts beside `--dev`, which otherwise lasts until 2100.
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

/// B-030 to B-044: what is minted is what a hub with the same key accepts.
#[test]
fn tokens_are_minted_and_checked() {
    let directory = Directory::new();
    let key = directory.write("key", &format!("{SECRET}\n"));
    let key = format!("@{key}");
    let aud = "http://localhost:3000/.well-known/mercure";
    let mint = |more: &[&str]| {
        let flags = [
            &[
                "token",
                "--iss",
                "https://localhost",
                "--aud",
                aud,
                "--key",
                &key,
            ],
            more,
        ]
        .concat();
        directory.talaria(&flags, &[])
    };
    let check = |token: &str| directory.talaria(&["token", "check", token], KEYS);

    let minted = mint(&[
        "--publish",
        "*",
        "--subscribe",
        "https://a.example/1,2",
        "--payload",
        "{\"n\":1}",
    ]);
    assert_eq!(minted.status.code(), Some(0), "{}", stderr(&minted));
    let checked = check(stdout(&minted).trim_end());
    assert_eq!(checked.status.code(), Some(0), "{}", stdout(&checked));
    assert!(
        stdout(&checked).contains("publisher: accepted")
            && stdout(&checked).contains("subscriber: accepted")
    );

    let read_only = mint(&["--subscribe-urlpattern", "https://a.example/:id"]);
    let checked = check(stdout(&read_only).trim_end());
    assert!(
        stdout(&checked).contains("publisher: refused, the token has no publish grant"),
        "{}",
        stdout(&checked)
    );

    let foreign = directory.talaria(&["token", "--dev", "--iss", "https://other"], &[]);
    let path = directory.write("token", &stdout(&foreign));
    let checked = check(&format!("@{path}"));
    assert_eq!(checked.status.code(), Some(1));
    assert!(
        stdout(&checked).contains("publisher: refused (")
            && stdout(&checked).contains("https://other")
    );

    for (wrong, part) in [
        (
            &["--publish", "*", "--payload", "{"][..],
            "--payload is not JSON",
        ),
        (&["--publish", "*", "--ttl", "1"], "is not a duration"),
        (&["--publish", "*", "--alg", "RS256"], "PEM"),
        (&[], "would grant nothing"),
    ] {
        let output = mint(wrong);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            stderr(&output).contains(part) && !stderr(&output).contains(SECRET),
            "{}",
            stderr(&output)
        );
    }
}

/// The reference page is the table of options.
#[test]
fn reference_page_is_up_to_date() {
    let page = stdout(&Directory::new().talaria(&["reference"], &[]));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let stored = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        page == stored,
        "docs/configuration.md is out of date; run: cargo run -p talaria-server -- reference > docs/configuration.md"
    );
}

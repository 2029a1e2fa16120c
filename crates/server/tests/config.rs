//! The configuration through the program: exit codes, messages, and no secrets in either.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot run its program fails"
)]

mod support;

use std::process::Output;

use support::{Directory, KEYS, SECRET, extra, stderr};

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
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

/// The error names file, line and column, shows a caret, and suggests a directive.
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

/// The message names the variable and the way to try the hub out (B-222).
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

/// A key without an algorithm, one that does not fit its algorithm, and a key file that is absent (B-224, B-225).
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

/// A public name needs nothing else, because its certificate comes by ACME; without a name, or where certificates are
/// switched off, the message names the remedies (B-061, B-293).
#[test]
fn https_without_a_certificate_is_refused() {
    let message = refusal(None, &[KEYS, &[("SERVER_NAME", ":443")]].concat());
    assert!(
        message.contains("port 443 is HTTPS") && message.contains("SERVER_NAME=hub.example.com"),
        "{message}"
    );
    let off: &[(&str, &str)] = &[
        ("SERVER_NAME", "hub.example"),
        ("GLOBAL_OPTIONS", "auto_https off"),
    ];
    let message = refusal(None, &[KEYS, off].concat());
    assert!(message.contains("tls internal"), "{message}");
    let directory = Directory::new();
    let public: &[(&str, &str)] = &[("SERVER_NAME", "hub.example")];
    let validate = directory.talaria(&["validate"], &[&KEYS[1..], public].concat());
    assert_eq!(validate.status.code(), Some(0), "{}", stderr(&validate));
    let directory = Directory::new();
    for name in ["localhost", "hub.example"] {
        let variables = [&KEYS[1..], &[("SERVER_NAME", name)]].concat();
        let validate = directory.talaria(&["validate"], &variables);
        assert_eq!(validate.status.code(), Some(0), "{}", stderr(&validate));
    }
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

/// The exit code is 0 for help and version, 1 for a wrong command line (B-021).
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

/// The flags of a token for the hub of [`KEYS`], and more.
fn mint(directory: &Directory, more: &[&str]) -> Output {
    let key = directory.write("key", &format!("{SECRET}\n"));
    let key = format!("@{key}");
    let aud = "http://localhost:3000/.well-known/mercure";
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
    ];
    directory.talaria(&flags.concat(), &[])
}

/// A hub accepts what is minted with its key (B-030 to B-044).
#[test]
fn tokens_are_minted_and_checked() {
    let directory = Directory::new();
    let mint = |more: &[&str]| mint(&directory, more);
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
}

/// Flags that make no token are refused, and the key is never shown.
#[test]
fn tokens_that_cannot_be_minted_are_refused() {
    let directory = Directory::new();
    for (wrong, part) in [
        (
            &["--publish", "*", "--payload", "{"][..],
            "--payload is not JSON",
        ),
        (&["--publish", "*", "--ttl", "1"], "is not a duration"),
        (&["--publish", "*", "--alg", "RS256"], "PEM"),
        (&[], "would grant nothing"),
    ] {
        let output = mint(&directory, wrong);
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

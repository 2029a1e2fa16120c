//! One start shows everything that is wrong.

use super::{KEYS, file, try_load, with};

/// Eight mistakes in the global block, around the hub, in it and in an issuer's block, in their order.
#[test]
fn all_mistakes_are_told_at_once() {
    let source = "\
{
    http_port 70000
    debgu
}
:80, ftp://a.example {
    encoed gzip
    mercure {
        heartbeet 5s
        write_timeout soon
        issuer https://a.example {
            publsher x
            subscriber {
                jwks_uri http://a.example/keys
            }
        }
        transport bolt {
            size many
        }
    }
}
";
    let error = try_load(Some(source), &[]).unwrap_err();
    let mut rest = error.as_str();
    for expected in [
        "Caddyfile:2:15: `70000` is not a port",
        "Caddyfile:3:5: unknown global option `debgu`",
        "Caddyfile:5:6: `ftp://a.example` is not a site address",
        "Caddyfile:6:5: unknown site directive `encoed`",
        "Caddyfile:8:9: unknown directive `heartbeet`",
        "Caddyfile:9:23: `soon`",
        "Caddyfile:11:13: unknown line of an issuer `publsher`",
        "Caddyfile:13:26: `http://a.example/keys` is not an https:// or file:// URL",
        "Caddyfile:17:18: `many`",
    ] {
        let at = rest.find(expected);
        let at = at.unwrap_or_else(|| panic!("{expected} is missing or out of order in {error}"));
        assert!(at == 0 || rest[..at].ends_with('\n'), "{error}");
        rest = &rest[at + expected.len()..];
    }
    assert!(
        !rest.contains("Caddyfile:") && !rest.contains("not set"),
        "{error}"
    );
}

/// The mistakes of several variables are told at once, too.
#[test]
fn mistakes_in_variables_are_told_at_once() {
    let variables = [
        ("GLOBAL_OPTIONS", "debgu"),
        ("MERCURE_EXTRA_DIRECTIVES", "heartbeet 5s\nimport none"),
        ("MERCURE_CORS_ALLOWED_ORIGINS", "https://a.example/"),
        ("SERVER_NAME", "ftp://a.example"),
    ];
    let error = try_load(None, &[&KEYS[1..], &variables].concat()).unwrap_err();
    for expected in ["`debgu`", "nor a file `", "`ftp://a.example`"] {
        assert!(error.contains(expected), "{expected}: {error}");
    }
    let variables = [
        variables[0],
        ("MERCURE_EXTRA_DIRECTIVES", "heartbeet 5s"),
        variables[2],
    ];
    let error = try_load(None, &[KEYS, &variables].concat()).unwrap_err();
    for expected in ["`debgu`", "`heartbeet`", "write https://a.example"] {
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

/// What follows a wrong key may be the rest of it, and is not shown.
#[test]
fn lines_behind_a_wrong_key_are_not_shown() {
    for block in [
        "publisher_jwt -----BEGIN PUBLIC KEY-----\n TUNFF\n -----END PUBLIC KEY-----",
        "issuer a {\n publisher {\n jwt -----BEGIN PUBLIC KEY-----\n TUNFF\n TUNFG\n }\n }",
    ] {
        let error = file(&format!("heartbeet 5s\n {block}"), &[]).unwrap_err();
        assert!(
            error.contains("`heartbeet`") && error.contains("quote a key"),
            "{error}"
        );
        assert!(!error.contains("TUNF"), "{error}");
    }
}

/// A mistake that hides others is told without those that only follow from it.
#[test]
fn consequences_are_not_told() {
    for (source, unexpected) in [
        (":80 {\n route {\n mercure\n }\n}", "no `mercure` block"),
        (":80 {\n mercure {\n issuer {\n }\n }\n}", "could publish"),
        ("ftp://a {\n mercure {\n heartbeet\n }\n}", "no address"),
    ] {
        let error = try_load(Some(source), &[]).unwrap_err();
        assert!(!error.contains(unexpected), "{error}");
    }
}

/// A file may import its hub, with the arguments of the import, and texts of several lines.
#[test]
fn snippets_and_heredocs_configure_a_hub() {
    let source = "\
(hub) {
    mercure {
        heartbeat {args[0]}
        publisher_jwt {args[1]}
        {block}
    }
}
:80 {
    import hub 7s \"!a-secret-of-thirty-two-bytes-or-more!\" {
        subscriber_jwt <<KEY
            !another-secret-of-thirty-two-bytes!
            KEY HS256
    }
}
";
    let loaded = try_load(Some(source), &[]).unwrap();
    assert_eq!(
        loaded.settings.hubs[0].options.heartbeat.unwrap().as_secs(),
        7
    );
    assert_eq!(loaded.settings.hubs[0].options.issuers.iter().count(), 1);
    let error = try_load(Some(&source.replace("7s", "7parsecs")), &[]).unwrap_err();
    assert!(
        error.starts_with("Caddyfile:9:16: ") && !error.contains("secret"),
        "{error}"
    );
    let wrong = source.replace("publisher_jwt {args[1]}", "publisher_jwt {args[1]} RS256");
    let error = try_load(Some(&wrong), &[]).unwrap_err();
    assert!(
        error.contains("that of Caddyfile:9:19") && !error.contains("secret-of"),
        "{error}"
    );
    assert!(with("import /nowhere/*\nanonymous").is_ok());
}

/// The files that the page of the configuration shows can be loaded.
#[test]
fn the_examples_of_the_page_are_valid() {
    let page = crate::options::reference::page();
    let examples: Vec<&str> = page.split("```caddyfile\n").skip(1).collect();
    assert_eq!(examples.len(), 3);
    for example in examples {
        let (example, _) = example.split_once("```").unwrap();
        let loaded = try_load(Some(example), KEYS);
        assert!(loaded.is_ok(), "{example}\n{}", loaded.unwrap_err());
    }
}

//! Keys that are not what was meant, and variables that are missing where one is named.

use super::{KEYS, SECRET, file, texts, try_load};
use crate::Level;

/// A key that is probably not what was meant has one warning, at its place, without the key.
#[test]
fn mistaken_keys_are_named_once() {
    let strange = [
        format!("\"{SECRET}\""),
        format!("{SECRET}\r"),
        format!("{SECRET}\n"),
        format!("{SECRET}\\n"),
        format!("\u{feff}{SECRET}"),
        format!("${{{SECRET}}}"),
        "$(cat /run/secrets/mercure)".to_owned(),
        "/run/secrets/mercure".to_owned(),
        "eyJhbGciOiJIUzI1NiJ9.eyJtZXJjdXJlIjp7fX0.c2lnbmF0dXJl".to_owned(),
    ];
    for key in &strange {
        let variables = [KEYS, &[("MERCURE_SUBSCRIBER_JWT_KEY", key)]].concat();
        let loaded = try_load(None, &variables).unwrap();
        assert_eq!(loaded.notices.len(), 1, "{:?}", texts(&loaded));
        let notice = &loaded.notices[0];
        assert_eq!(notice.level, Level::Warning);
        assert!(
            notice
                .text
                .starts_with("MERCURE_SUBSCRIBER_JWT_KEY: the key "),
            "{}",
            notice.text
        );
        assert!(
            !notice.text.contains(SECRET) && !notice.text.contains("eyJ"),
            "{}",
            notice.text
        );
        for block in [
            "publisher_jwt {env.KEY}\n anonymous",
            "anonymous\n issuer https://a {\n publisher {\n jwt {env.KEY}\n }\n }",
        ] {
            let loaded = file(block, &[("KEY", key)]).unwrap();
            assert_eq!(loaded.notices.len(), 1, "{:?}", texts(&loaded));
            assert!(loaded.notices[0].text.starts_with("KEY: the key "));
        }
    }
    let pem = "-----BEGIN PUBLIC KEY-----\nMII=\n-----END PUBLIC KEY-----";
    for (key, expected) in [
        (format!("\"{pem}\""), "in quotes"),
        (pem.replace('\n', "\\n"), "two characters \\n"),
        ("HS256".to_owned(), "name of an algorithm"),
        (" ".to_owned(), "blank"),
    ] {
        let variables = [KEYS, &[("MERCURE_PUBLISHER_JWT_KEY", &key)]].concat();
        let error = try_load(None, &variables).unwrap_err();
        assert!(
            error.starts_with("MERCURE_PUBLISHER_JWT_KEY: the key ") && error.contains(expected),
            "{error}"
        );
    }
}

/// A variable that the file names and that is not set is named, where it costs something and where
/// it goes unnoticed.
#[test]
fn missing_variables_are_named() {
    for (block, expected) in [
        (
            "publisher_jwt {env.ABSENT}",
            "the variable ABSENT is not set, so `publisher_jwt` has no key",
        ),
        (
            "publisher_jwt {env.EMPTY}",
            "the variable EMPTY is empty, so `publisher_jwt` has no key",
        ),
        ("publisher_jwt {$ABSENT}", "the variable ABSENT is not set"),
        ("publisher_jwt \"{$ABSENT}\"", "the key is empty"),
        (
            "publisher_jwt {$ABSENT} HS256\n anonymous",
            "name of an algorithm",
        ),
        (
            "publisher_jwt prefix-{env.ABSENT}",
            "the rest would be the key",
        ),
        (
            "issuer https://a {\n publisher {\n jwt {env.ABSENT}\n }\n }",
            "the variable ABSENT is not set, so `jwt` has no key",
        ),
        ("heartbeat {$ABSENT}", "the variable ABSENT is not set"),
        (
            "heartbeat {$EMPTY:40s}",
            "the variable EMPTY is set but empty",
        ),
    ] {
        let error = file(block, &[("EMPTY", "")]).unwrap_err();
        assert!(error.contains(expected), "{block}: {error}");
    }
    let keys = "publisher_jwt \"SECRET\"\n anonymous\n";
    for (block, expected) in [
        (
            "cors_origins https://a.example https://{$ABSENT}b.example",
            "Caddyfile:5:40: the variable ABSENT is not set",
        ),
        (
            "subscriber_jwt {env.ABSENT}",
            "ABSENT is not set, so `subscriber_jwt` has no key",
        ),
    ] {
        let loaded = file(&format!("{keys}{block}"), &[]).unwrap();
        let said = texts(&loaded).join("\n");
        assert!(said.contains(expected), "{block}: {said}");
    }
    let said = file("publisher_jwt \"SECRET\"\n anonymous {$ABSENT}", &[]).unwrap();
    assert!(texts(&said).join("\n").contains("ABSENT is not set"));
    // What may be left out may come from a variable that is not set.
    for block in [
        "publisher_jwt \"{$KEY}\" {$ALG}\n subscriber_jwt \"{$KEY}\" \"{$ALG}\"",
        "publisher_jwt \"{$KEY}\"\n anonymous\n cors_origins https://a.example {$MORE}",
        "publisher_jwt \"{$KEY}\"\n anonymous\n cors_origins {$MORE} https://a.example",
        "publisher_jwt \"{$KEY}\"\n anonymous\n cors_origins {$MORE}, https://a.example, {$MORE}",
    ] {
        let loaded = file(block, &[("KEY", SECRET)]).unwrap();
        assert_eq!(texts(&loaded), Vec::<&str>::new(), "{block}");
    }
    // Text that is pasted may be empty, and a comment says nothing.
    let loaded = file(
        &format!("{keys}{{$EXTRA}}\n# {{$OTHER}} x\n heartbeat {{$BEAT:40s}}"),
        &[],
    );
    assert_eq!(texts(&loaded.unwrap()), Vec::<&str>::new());
}

/// The official file of 1.0 starts with `playground` as its only variable: its one issuer gets the well-known key
/// (B-091). With one key, or without `playground`, nothing is lent.
#[test]
fn a_playground_lends_its_issuer_a_key() {
    let file = ":80 {\n mercure {\n issuer https://localhost {\n publisher {\n jwt {env.P} {env.PA}\n }\n subscriber {\n jwt {env.S} {env.SA}\n }\n }\n {$MERCURE_EXTRA_DIRECTIVES}\n }\n}";
    let load = |directives, more: &[(&str, &str)]| {
        let directives = [("MERCURE_EXTRA_DIRECTIVES", directives)];
        try_load(Some(file), &[&directives[..], more].concat())
    };
    let loaded = load("playground", &[]).unwrap();
    let issuers = &loaded.settings.hubs[0].options.issuers;
    let issuer = issuers.get("https://localhost").unwrap();
    assert!(issuer.publisher.is_some() && issuer.subscriber.is_some());

    let loaded = load("playground", &[("P", SECRET)]).unwrap();
    let issuers = &loaded.settings.hubs[0].options.issuers;
    let issuer = issuers.get("https://localhost").unwrap();
    assert!(issuer.publisher.is_some() && issuer.subscriber.is_none());

    let error = load("anonymous", &[]).map(|_| ()).unwrap_err();
    assert!(error.contains("has no key"), "{error}");
}

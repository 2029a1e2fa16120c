use super::*;

fn line(words: &str, block: Option<Vec<Directive>>) -> Directive {
    let mut words = words.split(' ').map(str::to_owned);
    Directive {
        name: words.next().unwrap(),
        args: words.collect(),
        block,
    }
}

#[test]
fn variables_are_shown_without_secrets() {
    for (name, value, expected) in [
        ("PATH", "/bin:/usr/bin", "/bin:/usr/bin"),
        ("MERCURE_PUBLISHER_JWT_KEY", "S3CR3T", "REDACTED"),
        ("PGPASSWORD", "S3CR3T", "REDACTED"),
        (
            "MERCURE_EXTRA_DIRECTIVES",
            "anonymous\npublisher_jwt S3CR3T HS256",
            "anonymous\\npublisher_jwt REDACTED",
        ),
        (
            "A",
            "cert_issuer zerossl S3CR3T",
            "cert_issuer zerossl REDACTED",
        ),
        (
            "A",
            "header_up Authorization S3CR3T",
            "header_up Authorization REDACTED",
        ),
        (
            "MERCURE_EXTRA_DIRECTIVES",
            "basic_auth {\n  bob S3CR3T\n}\nrespond  hi",
            "basic_auth {\\nbob REDACTED\\n}\\nrespond  hi",
        ),
        (
            "CADDY_SERVER_EXTRA_DIRECTIVES",
            "@a {\n query token=S3CR3T\n}\nrespond @a ok",
            "@a {\\nquery token=REDACTED\\n}\\nrespond @a ok",
        ),
        (
            "B",
            "publisher_jwt \\\n S3CR3T\nanonymous",
            "publisher_jwt REDACTED\\nanonymous",
        ),
        (
            "C",
            "publisher_jwt \"S3C\nR3T\"",
            "publisher_jwt REDACTED\\nREDACTED",
        ),
        (
            "D",
            "header {\nCookie S3CR3T\n}",
            "header {\\nCookie REDACTED\\n}",
        ),
        (
            "CERTIFICATE",
            "-----BEGIN EC PRIVATE KEY-----\nS3CR3T\n-----END EC PRIVATE KEY-----",
            "REDACTED",
        ),
        (
            "LINK",
            "/x?authorization=S3CR3T&a=b",
            "/x?authorization=REDACTED&a=b",
        ),
        (
            "DATABASE_URL",
            "pgsql://user:S3CR3T@host/db",
            "pgsql://…@host/db",
        ),
        ("EMPTY_KEY", "", ""),
    ] {
        assert_eq!(shown_variable(name, value), expected, "{name}");
    }
}

/// What may be a secret is hidden wherever it stands; all else is shown.
#[test]
fn secrets_are_hidden() {
    let lines = vec![
        line("publisher_jwt S3CR3T HS256", None),
        line("jwt {env.KEY} {env.ALG}", None),
        line(
            "acme_eab",
            Some(vec![
                line("key_id S3CR3T", None),
                line("mac_key S3CR3T", None),
            ]),
        ),
        line("basic_auth", Some(vec![line("User9 $2a$S3CR3T", None)])),
        line("header_up Authorization S3CR3T", None),
        line("request_header @a X-Api-Key S3CR3T", None),
        line(
            "transport_url redis://user:S3CR3T@host?password=S3CR3T&size=5",
            None,
        ),
        line("header Content-Type text/plain", None),
        line("heartbeat 5s", None),
        line("@api header X-Api-Key my-key-S3CR3T", None),
        line("@q query token=S3CR3T", None),
        line("@n not header Cookie *S3CR3T*", None),
        line("@e expression {header.X-Token} == \"S3CR3T\"", None),
        line("@f expression {header.X-Token} == S3CR3T", None),
        line("@g {query.token}.startsWith('S3CR3T')||{path}=='/x'", None),
        line("@h expression {path} == \"/shown\"", None),
        line("@i", Some(vec![line("header X-Api-Key S3CR3T", None)])),
        line("rewrite /x?token=S3CR3T", None),
        line("header", Some(vec![line(">Set-Cookie S3CR3T", None)])),
    ];
    let adapted = Adapted {
        global: Vec::new(),
        lines,
    };
    assert!(!adapted.is_redacted());
    let redacted = adapted.redacted();
    assert!(redacted.is_redacted());
    let text = redacted.to_text().unwrap();
    assert!(!text.contains("S3CR3T"), "{text}");
    for kept in [
        "jwt {env.KEY} {env.ALG}",
        "header_up Authorization REDACTED",
        "host?password=REDACTED&size=5",
        "header Content-Type text/plain",
        "heartbeat 5s",
        "@api header X-Api-Key REDACTED",
        "@q query token=REDACTED",
        "{query.token}.startsWith('REDACTED')||{path}=='REDACTED'",
        "/shown",
        "rewrite /x?token=REDACTED",
    ] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
}

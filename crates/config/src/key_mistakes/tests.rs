//! Each mistake, and keys that only look like one.

use super::*;

const RANDOM: &str = "q3J7bW0vX1Zk+Yt8cR5pLs2nUe9aHdGf4iKoMjTxQzw/";

#[test]
fn a_key_without_mistake_has_none() {
    let slash = format!("/{RANDOM}");
    for key in [
        RANDOM,
        &slash,
        "!ChangeThisMercureHubJWTSecretKey!",
        "!ChangeMe!",
        "an ordinary pass phrase of several words",
        "p$ssw{rd} with \"quotes\" within its words",
        "c0ffee".repeat(12).as_str(),
        &format!("ab${{{RANDOM}"),
        &format!("abc$(def{RANDOM}"),
        &format!("a{{{{b{RANDOM}"),
        &format!("{{$abc{RANDOM}"),
        &format!("$abc{RANDOM}"),
        &format!("eyJ{RANDOM}"),
        &format!("eyJ{RANDOM}.x"),
        &format!("~/{RANDOM}"),
        &format!("/tmp/{RANDOM}"),
        &format!("/var/{RANDOM}"),
        &format!("{RANDOM}.key"),
        &format!("abc={RANDOM}"),
        &format!("[{RANDOM}]"),
        &format!("a%{RANDOM}%"),
        "-----BEGIN PUBLIC KEY-----\nMII=\n-----END PUBLIC KEY-----\n",
        " \n-----BEGIN PUBLIC KEY-----\r\nMII=\r\n-----END PUBLIC KEY-----",
    ] {
        assert_eq!(find(key), None, "{key}");
    }
}

/// Something around the secret, or a control character in it, is named.
#[test]
fn stray_characters_are_named() {
    let around = |before: &str, after: &str| format!("{before}{RANDOM}{after}");
    let cases: &[(String, &str)] = &[
        (around("\"", "\""), "quote"),
        (around("'", "'"), "quote"),
        (around("“", "”"), "quote"),
        (around("`", "`"), "quote"),
        (around("\"", ""), "quote"),
        (around("", "'\n"), "quote"),
        (around("", "\r"), "(CR)"),
        (around("", "\r\n"), "(CR)"),
        (around("", "\n"), "(LF)"),
        (around("\n", ""), "(LF)"),
        (around(" ", ""), "white space"),
        (around("", "\t"), "white space"),
        (around("", "\u{a0}"), "white space"),
        (around("\u{feff}", ""), "byte order mark"),
        (around("", "\\n"), "two characters"),
        (around("a\\n", ""), "two characters"),
        (around("a\nb", ""), "control character"),
        (around("a\0b", ""), "control character"),
    ];
    check(cases);
}

/// A reference that nothing replaced is named as one.
#[test]
fn references_are_named() {
    let cases: &[(String, &str)] = &[
        ("$(cat /run/secrets/key)".to_owned(), "reference"),
        ("${MERCURE_PUBLISHER_JWT_KEY}".to_owned(), "reference"),
        ("$MERCURE_KEY".to_owned(), "reference"),
        ("%MERCURE_KEY%".to_owned(), "reference"),
        ("{{ .Values.key }}".to_owned(), "reference"),
        ("{env.KEY}".to_owned(), "reference"),
        ("{vault.key}".to_owned(), "reference"),
        ("<your key>".to_owned(), "reference"),
        ("https${KEY}".to_owned(), "reference"),
        ("x-${KEY:-secret}".to_owned(), "reference"),
        ("a$(cat /key)b".to_owned(), "reference"),
        ("a{{ key }}b".to_owned(), "reference"),
        ("{$KEY}".to_owned(), "reference"),
        ("%env(MERCURE_JWT_SECRET)%".to_owned(), "reference"),
        ("%env(resolve:KEY)%".to_owned(), "reference"),
        ("%key%".to_owned(), "reference"),
        ("$mercure_jwt_secret".to_owned(), "reference"),
        ("#{JWT}#".to_owned(), "reference"),
        ("#{JWT}".to_owned(), "reference"),
        ("ENC[AES256_GCM,data:abc=,type:str]".to_owned(), "reference"),
        (
            "arn:aws:secretsmanager:eu-west-1:1:secret:x".to_owned(),
            "reference",
        ),
        ("op://vault/item/field".to_owned(), "reference"),
        ("vault:secret/data/hub#key".to_owned(), "reference"),
        ("[REDACTED]".to_owned(), "reference"),
        ("********************************".to_owned(), "reference"),
    ];
    check(cases);
}

/// Paths, tokens, URLs, encodings and placeholders are named as what they are.
#[test]
fn other_forms_are_named() {
    let around = |before: &str, after: &str| format!("{before}{RANDOM}{after}");
    let padded = format!("{}==", &RANDOM[..22]);
    let cases: &[(String, &str)] = &[
        ("~/hub.key".to_owned(), "path"),
        ("/tmp/hub-key".to_owned(), "path"),
        (around("\u{200b}", ""), "invisible"),
        (around("", "\u{2060}"), "invisible"),
        (around("JWT_KEY=", ""), "variable"),
        (around("PUBLISHER_JWT_KEY: ", ""), "variable"),
        (around("SERVER_NAME=", ""), "variable"),
        ("MERCURE_JWT_KEY".to_owned(), "reference"),
        ("/run/secrets/jwt".to_owned(), "path"),
        ("./keys/publisher".to_owned(), "path"),
        ("publisher.pem".to_owned(), "path"),
        ("@/etc/hub/key".to_owned(), "path"),
        ("file:///etc/key".to_owned(), "path"),
        ("C:\\keys\\hub".to_owned(), "path"),
        (
            env!("CARGO_MANIFEST_DIR").to_owned() + "/src/lib.rs",
            "path",
        ),
        ("eyJhbGciOiJIUzI1NiJ9.eyJtIjoxfQ.c2ln".to_owned(), "token"),
        ("Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln".to_owned(), "token"),
        ("LS0tLS1CRUdJTiBQVUJMSUMgS0VZ".to_owned(), "base64 of PEM"),
        (r#"{"kty":"oct","k":"AyM1"}"#.to_owned(), "JSON Web Key"),
        ("https://a.example/jwks.json".to_owned(), "URL"),
        (around("base64:", ""), "encoded"),
        (around("MERCURE_PUBLISHER_JWT_KEY=", ""), "variable"),
        (around("changeme-", ""), "placeholder"),
        ("your-256-bit-secret".to_owned(), "placeholder"),
        (padded, "not decoded"),
        ("HS256".to_owned(), "algorithm"),
        ("rs256 ".to_owned(), "algorithm"),
        ("  \n".to_owned(), "blank"),
    ];
    check(cases);
}

/// Each key has the mistake that is expected, and no message shows the key.
fn check(cases: &[(String, &str)]) {
    for (key, expected) in cases {
        let (Some(Fatal(says)) | Some(Likely(says)) | Some(Possible(says))) = find(key) else {
            panic!("{key:?} has no mistake");
        };
        assert!(says.contains(expected), "{key:?}: {says}");
        assert!(!says.contains(RANDOM));
    }
}

/// A public key must not become a secret that is public.
#[test]
fn unreadable_pem_text_is_fatal() {
    let pem = "-----BEGIN PUBLIC KEY-----\nMII=\n-----END PUBLIC KEY-----";
    for (key, expected) in [
        (format!("\"{pem}\""), "in quotes"),
        (format!("'{pem}'"), "in quotes"),
        (format!("\u{feff}{pem}"), "byte order mark"),
        (format!("key: {pem}"), "behind something else"),
        (pem.replace('\n', "\\n"), "two characters \\n"),
        (pem.replace('\n', " "), "on one line"),
        (pem.replace('\n', ""), "on one line"),
    ] {
        match find(&key) {
            Some(Fatal(says)) => assert!(says.contains(expected), "{key:?}: {says}"),
            other => panic!("{key:?}: {other:?}"),
        }
    }
}

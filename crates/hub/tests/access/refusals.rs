//! The reasons for which tokens are refused, and their words (specification, "Token Validation").

use std::collections::BTreeSet;

use serde_json::{Value, json};
use talaria_hub::access::Role;

use crate::{
    AT_NOW, AUDIENCE, NOW, SECRET, claims, encoded, key, signed, signed_raw, tampered, verifier,
    verify, with, with_header,
};

/// Tokens that are broken in one way each, with the reason for which they are refused; `good` is not
/// broken.
fn broken(good: &str) -> Vec<(&'static str, String)> {
    let parts: Vec<&str> = good.split('.').collect();
    vec![
        ("too_long", "a".repeat(64 * 1024 + 1)),
        ("not_a_jws", format!("{}.{}", parts[0], parts[1])),
        (
            "not_base64url",
            format!("{}=.{}.{}", parts[0], parts[1], parts[2]),
        ),
        ("bad_signature", tampered(good)),
        ("bad_header_json", signed_raw("[]", "{}")),
        ("alg_missing", with_header(&json!({ "typ": "at+jwt" }))),
        (
            "alg_none",
            with_header(&json!({ "typ": "at+jwt", "alg": "nOnE" })),
        ),
        (
            "alg_not_allowed",
            with_header(&json!({ "typ": "at+jwt", "alg": "HS512" })),
        ),
        (
            "unknown_crit",
            with_header(&json!({ "typ": "at+jwt", "alg": "HS256", "crit": ["exp"] })),
        ),
        ("typ_missing", with_header(&json!({ "alg": "HS256" }))),
        (
            "wrong_typ",
            with_header(&json!({ "typ": "JWT", "alg": "HS256" })),
        ),
        (
            "bad_claims_json",
            signed_raw(r#"{"typ":"at+jwt","alg":"HS256"}"#, "{"),
        ),
    ]
}

/// Tokens with one claim that is wrong, with the reason for which they are refused.
fn wrong_claims() -> Vec<(&'static str, String)> {
    let details = |value: Value| signed(&with("authorization_details", value));
    vec![
        ("iss_missing", signed(&with("iss", Value::Null))),
        (
            "iss_unknown",
            signed(&with("iss", json!("https://other.example"))),
        ),
        (
            "iss_slash",
            signed(&with("iss", json!("https://issuer.example/"))),
        ),
        ("exp_missing", signed(&with("exp", Value::Null))),
        (
            "exp_not_a_number",
            signed(&with("exp", json!("9999999999"))),
        ),
        ("expired", signed(&with("exp", json!(NOW - 1.0)))),
        ("nbf_not_a_number", signed(&with("nbf", json!("1")))),
        ("not_yet_valid", signed(&with("nbf", json!(NOW + 1.0)))),
        ("aud_missing", signed(&with("aud", Value::Null))),
        (
            "aud_not_strings",
            signed(&with("aud", json!([AUDIENCE, 1]))),
        ),
        (
            "aud_mismatch",
            signed(&with("aud", json!(["https://other.example"]))),
        ),
        ("details_are_a_string", details(json!("[]"))),
        (
            "details_invalid",
            details(json!([{
                "type": "https://mercure.rocks/authorization-detail",
                "actions": ["publish"],
                "topics": ["urn:a"],
            }])),
        ),
    ]
}

/// Each way in which a token can be broken has its own reason (specification, "Token Validation").
#[test]
fn broken_tokens_have_distinct_reasons() {
    let good = signed(&claims());
    let mut texts = BTreeSet::new();
    for (code, token) in broken(&good).iter().chain(&wrong_claims()) {
        let refusal = verify(token).expect_err(code);
        assert_eq!(refusal.code(), *code, "{refusal}");
        let text = refusal.to_string();
        assert!(!text.contains(SECRET) && !text.contains(token), "{text}");
        assert!(texts.insert(text.clone()), "said twice: {text}");
    }
    // The issuer has a key for publishers only, so there is no key for the role.
    let refusal = verifier(key(SECRET, None))
        .verify(&good, Role::Subscriber, &[AUDIENCE.to_owned()], AT_NOW)
        .expect_err("no key");
    assert_eq!(refusal.code(), "no_key_for_role");
    assert!(refusal.to_string().contains("subscriber"), "{refusal}");
}

/// The reasons for the usual mistakes with Keycloak say what to do (B-1033).
#[test]
fn mistakes_of_authorization_servers_are_explained() {
    let text = |token: &str| verify(token).expect_err("refused").to_string();
    let typ = text(&with_header(&json!({ "typ": "JWT", "alg": "HS256" })));
    assert!(typ.contains("typ is \"JWT\", not \"at+jwt\""), "{typ}");

    let details = text(&signed(&with("authorization_details", json!("[]"))));
    assert!(
        details.contains("is a JSON string, not an array"),
        "{details}"
    );

    let topic = text(&signed(&with(
        "authorization_details",
        json!([{
            "type": "https://mercure.rocks/authorization-detail",
            "actions": ["publish"],
            "topics": ["urn:a"],
        }]),
    )));
    assert!(
        topic.contains("authorization_details[0].topics[0]: is the bare string \"urn:a\""),
        "{topic}"
    );

    let slash = text(&signed(&with("iss", json!("https://issuer.example/"))));
    assert!(slash.contains("slash at the end"), "{slash}");

    let audience = text(&signed(&with("aud", json!("account"))));
    assert!(
        audience.contains("\"account\"") && audience.contains(AUDIENCE),
        "{audience}"
    );

    let encrypted = text("a.b.c.d.e");
    assert!(encrypted.contains("JWE"), "{encrypted}");
}

/// Quoted values can neither forge a log line nor fill the log.
#[test]
fn quoted_values_are_escaped_and_cut() {
    let hostile = format!("a\n\"b\u{202e}{}", "x".repeat(10_000));
    for token in [
        signed(&with("iss", json!(hostile))),
        signed(&with("aud", json!(hostile))),
        signed(&with("exp", json!(-1e308))),
        signed(&with("nbf", json!(1e308))),
        with_header(&json!({ "typ": hostile, "alg": "HS256" })),
        with_header(&json!({ "typ": "at+jwt", "alg": hostile })),
        with_header(&json!({ "typ": "at+jwt", "alg": "HS256", "crit": [hostile] })),
    ] {
        let text = verify(&token).expect_err("refused").to_string();
        assert!(text.len() < 600, "{} bytes", text.len());
        assert!(!text.contains(['\n', '\u{202e}']), "{text:?}");
    }
}

proptest::proptest! {
    /// Any bytes are refused with a reason.
    #[test]
    fn any_token_is_judged(
        header in "\\PC{0,40}", claims in "\\PC{0,40}", tail in "[A-Za-z0-9_.-]{0,20}",
    ) {
        let parts = format!("{}.{}.{tail}", encoded(&header), encoded(&claims));
        proptest::prop_assert!(verify(&parts).is_err());
        proptest::prop_assert!(verify(&header).is_err());
        let signed = signed_raw(r#"{"typ":"at+jwt","alg":"HS256"}"#, &claims);
        proptest::prop_assert!(verify(&signed).is_err());
    }
}

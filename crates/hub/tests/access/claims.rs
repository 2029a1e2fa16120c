//! What a header and claims may say (specification, "Token Validation").

use serde_json::{Value, json};
use talaria_hub::access::Role;

use crate::{AUDIENCE, NOW, SECRET, key, signed, verifier, verify, verify_at, with, with_header};

/// "Token Validation": `typ` is compared without `application/` and without regard to case.
#[test]
fn the_type_may_have_its_prefix_and_any_case() {
    for typ in [
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "Application/At+Jwt",
    ] {
        let token = with_header(&json!({ "typ": typ, "alg": "HS256" }));
        assert!(verify(&token).is_ok(), "{typ}");
    }
    for typ in [
        "at+jwt ",
        "application/",
        "application/application/at+jwt",
        "",
        "x/at+jwt",
    ] {
        let token = with_header(&json!({ "typ": typ, "alg": "HS256" }));
        assert_eq!(verify(&token).expect_err(typ).code(), "wrong_typ");
    }
}

/// B-443: no leeway, and a fraction of a second counts.
#[test]
fn times_are_exact() {
    let code = |token: &str, now: f64| verify_at(token, now).map_err(|refusal| refusal.code());
    let token = signed(&with("exp", json!(100.5)));
    assert_eq!(
        code(&token, 100.4).map(|access| access.expires_at),
        Ok(Some(100.5))
    );
    assert_eq!(code(&token, 100.5).map(|_| ()), Err("expired"));
    assert_eq!(code(&token, 100.6).map(|_| ()), Err("expired"));

    let token = signed(&with("nbf", json!(NOW)));
    assert!(code(&token, NOW).is_ok());
    assert_eq!(code(&token, NOW - 0.1).map(|_| ()), Err("not_yet_valid"));
}

/// "Token Validation": `aud` is a string or an array with one of the hub's identifiers.
#[test]
fn the_audience_may_be_one_of_many() {
    let verifier = verifier(key(SECRET, None));
    let own = ["https://hub.example".to_owned(), AUDIENCE.to_owned()];
    let verify = |aud: Value| {
        verifier
            .verify(&signed(&with("aud", aud)), Role::Publisher, &own, NOW)
            .map_err(|refusal| refusal.code())
            .map(|_| ())
    };
    assert_eq!(verify(json!(AUDIENCE)), Ok(()));
    assert_eq!(verify(json!("https://hub.example")), Ok(()));
    assert_eq!(verify(json!(["x", AUDIENCE])), Ok(()));
    assert_eq!(verify(json!([])), Err("aud_mismatch"));
    assert_eq!(verify(json!("https://hub.example/")), Err("aud_mismatch"));
    assert_eq!(verify(json!({ "a": 1 })), Err("aud_not_strings"));
}

/// B-445: a token without Mercure details, or without the claim, is valid and grants nothing.
#[test]
fn a_token_may_grant_nothing() {
    for details in [Value::Null, json!([]), json!([{ "type": "payment" }])] {
        let token = signed(&with("authorization_details", details));
        let access = verify(&token).expect("valid");
        assert!(access.details.is_empty());
    }
    let access = verify(&signed(&with("sub", json!(17)))).expect("sub is not checked");
    assert_eq!(access.subject, None);
}

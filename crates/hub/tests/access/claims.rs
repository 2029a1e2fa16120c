//! The header and the claims that are accepted (specification, "Token Validation").

use std::time::Duration;

use serde_json::{Value, json};
use talaria_hub::access::{Role, Verifier};
use talaria_hub::clock::UnixTime;
use talaria_protocol::Generation;

use crate::{
    AT_NOW, AUDIENCE, NOW, SECRET, key, signed, verifier, verify, verify_at, with, with_header,
};

/// `typ` is compared without `application/` and without regard to case (specification, "Token Validation").
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

/// Times have no leeway, and a fraction of a second counts (B-443).
#[test]
fn times_are_exact() {
    let code = |token: &str, now: f64| verify_at(token, now).map_err(|refusal| refusal.code());
    let token = signed(&with("exp", json!(100.5)));
    assert_eq!(
        code(&token, 100.4).map(|access| access.expires_at),
        Ok(Some(UnixTime::from_seconds(100.5)))
    );
    assert_eq!(code(&token, 100.5).map(|_| ()), Err("expired"));
    assert_eq!(code(&token, 100.6).map(|_| ()), Err("expired"));

    let token = signed(&with("nbf", json!(NOW)));
    assert!(code(&token, NOW).is_ok());
    assert_eq!(code(&token, NOW - 0.1).map(|_| ()), Err("not_yet_valid"));
}

/// A request without a host leaves the hub without a URL, and the reason says so.
#[test]
fn an_audience_without_a_host_is_refused_for_the_host() {
    let refused = |aud: Value| {
        let token = signed(&with("aud", aud));
        let verdict = verifier(key(SECRET, None)).verify(&token, Role::Publisher, &[], AT_NOW);
        verdict.expect_err("no audience").to_string()
    };
    let text = refused(json!(AUDIENCE));
    for words in [
        AUDIENCE,
        "names no host",
        "Host header",
        "resource_identifier",
    ] {
        assert!(text.contains(words), "{text}");
    }
    for text in [text, refused(json!([])), refused(Value::Null)] {
        let none = "none";
        assert!(!text.contains(&format!("hub is {none}")), "{text}");
        assert!(!text.contains(&format!("({none})")), "{text}");
    }
}

/// `aud` is a string, or an array with one of the hub's identifiers (specification, "Token Validation").
#[test]
fn the_audience_may_be_one_of_many() {
    let verifier = verifier(key(SECRET, None));
    let own = ["https://hub.example".to_owned(), AUDIENCE.to_owned()];
    let verify = |aud: Value| {
        verifier
            .verify(&signed(&with("aud", aud)), Role::Publisher, &own, AT_NOW)
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

/// A token without Mercure details, or without the claim, is valid and grants nothing (B-445).
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

/// The port of the scheme may be written out (RFC 3986, section 6.2.3).
#[test]
fn an_audience_may_name_the_default_port() {
    let verifier = verifier(key(SECRET, None));
    let own = [
        "https://hub.example/.well-known/mercure".to_owned(),
        "http://[::1]/.well-known/mercure".to_owned(),
    ];
    let code = |aud: &str| {
        let token = signed(&with("aud", json!(aud)));
        let verdict = verifier.verify(&token, Role::Publisher, &own, AT_NOW);
        verdict.map(drop).map_err(|refusal| refusal.code())
    };
    for good in [
        "https://hub.example:443/.well-known/mercure",
        "http://[::1]:80/.well-known/mercure",
    ] {
        assert_eq!(code(good), Ok(()), "{good}");
    }
    for bad in [
        "https://hub.example:80/.well-known/mercure",
        "http://hub.example:443/.well-known/mercure",
        "https://hub.example:0443/.well-known/mercure",
        "https://hub.example:443:443/.well-known/mercure",
        "https://user@hub.example:443/.well-known/mercure",
        "https://hub.example:443",
        "https://hub.example:443/",
    ] {
        assert_eq!(code(bad), Err("aud_mismatch"), "{bad}");
    }
}

const HOUR: f64 = 3600.0;

/// A verifier that bounds the lifetime of tokens to an hour.
fn bounded(generation: Generation) -> Verifier {
    let most = Some(Duration::from_secs(3600));
    let verifier = verifier(key(SECRET, None)).from_generation(generation);
    verifier.with_max_lifetime(most)
}

/// Claims with these times.
fn times(iat: Value, exp: f64) -> Value {
    let mut claims = with("exp", json!(exp));
    claims["iat"] = iat;
    claims
}

/// `max_token_lifetime` counts from `iat`, which may lie a minute in the future, because clocks differ, and
/// from now without it.
#[test]
fn a_lifetime_may_be_bounded() {
    let code = |claims: &Value, generation| {
        let audiences = [AUDIENCE.to_owned()];
        let verdict =
            bounded(generation).verify(&signed(claims), Role::Publisher, &audiences, AT_NOW);
        verdict.map(drop).map_err(|refusal| refusal.code())
    };
    const LONG: Result<(), &str> = Err("lives_too_long");
    for (iat, exp, verdict) in [
        (json!(NOW), NOW + HOUR, Ok(())),
        (json!(NOW), NOW + HOUR + 0.5, LONG),
        (json!(NOW - 600.0), NOW + HOUR - 600.0, Ok(())),
        (json!(NOW - 601.0), NOW + HOUR - 600.0, LONG),
        // An `iat` in the future does not hide a long lifetime.
        (json!(NOW + 1e6), NOW + 1e6 + HOUR, LONG),
        (json!(NOW + 1.0), NOW + HOUR, Ok(())),
        // The issuer's clock is ahead of the hub's.
        (json!(NOW + 1.0), NOW + 1.0 + HOUR, Ok(())),
        (json!(NOW + 60.0), NOW + 60.0 + HOUR, Ok(())),
        (json!(NOW + 60.0), NOW + 60.0 + HOUR + 1.0, LONG),
        (json!(NOW + 61.0), NOW + 61.0 + HOUR, LONG),
        (json!(NOW + 61.0), NOW + HOUR, Ok(())),
        (json!(-1e308), NOW + HOUR, LONG),
        (json!(0), NOW + 1.0, LONG),
        (Value::Null, NOW + HOUR, Ok(())),
        (Value::Null, NOW + HOUR + 1.0, LONG),
        (json!("now"), NOW + HOUR + 1.0, LONG),
        (json!(NOW), 4_102_444_800.0, LONG),
    ] {
        let claims = times(iat.clone(), exp);
        assert_eq!(code(&claims, Generation::V1), verdict, "{iat} {exp}");
    }
    let mut without = times(json!(NOW), NOW + HOUR + 1.0);
    without.as_object_mut().expect("claims").remove("iat");
    assert_eq!(code(&without, Generation::V1), LONG);
    // The numbers of 0.x tokens may be strings, and the tokens need not expire.
    let older = json!({ "mercure": { "publish": ["*"] } });
    assert_eq!(code(&older, Generation::V0), LONG);
    let mut older = older;
    older["exp"] = json!(format!("{}", NOW + HOUR));
    assert_eq!(code(&older, Generation::V0), Ok(()));
    older["iat"] = json!(format!("{}", NOW - 1.0));
    assert_eq!(code(&older, Generation::V0), LONG);
}

/// The refusal says how long the token lives, and what the bound is.
#[test]
fn a_lifetime_that_is_too_long_is_told() {
    let says = |iat: f64, exp: f64| {
        let token = signed(&times(json!(iat), exp));
        let audiences = [AUDIENCE.to_owned()];
        let refused = bounded(Generation::V1).verify(&token, Role::Publisher, &audiences, AT_NOW);
        refused.expect_err("long").to_string()
    };
    for (iat, exp, lives) in [
        (NOW, NOW + 2.0 * HOUR, "lives 7200 s,"),
        (NOW, NOW + HOUR + 0.5, "lives 3601 s,"),
        (NOW, 1e300, "lives practically for ever"),
        (-1e308, 1.5e308, "lives practically for ever"),
    ] {
        let says = says(iat, exp);
        assert!(
            says.contains(lives) && says.contains("the 3600 s of max_token_lifetime"),
            "{says}"
        );
    }
}

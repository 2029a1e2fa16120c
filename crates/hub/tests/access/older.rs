//! Tokens of Mercure 0.x, on hubs that accept them and on hubs that do not (B-612, B-637).

use serde_json::{Value, json};
use talaria_hub::access::{Access, Issuers, Refusal, Role, Verifier};
use talaria_hub::clock::UnixTime;
use talaria_protocol::{Base, Generation, Limits};

use crate::{AUDIENCE, NOW, SECRET, claims, issuer, key, signed, signed_raw, verify, with};

/// A hub that accepts both generations.
fn accepting_both() -> Verifier {
    let mut issuer = issuer(crate::ISSUER, Some(key(SECRET, None)));
    issuer.judges_unnamed = true;
    let issuers = Issuers::new([issuer]).expect("issuers");
    Verifier::new(issuers, Base::synthetic(), Limits::default()).from_generation(Generation::V0)
}

/// A 0.x token with this claim beside its grant, as JSON text.
fn older(claim: &str) -> String {
    let claims = format!(r#"{{"mercure":{{"publish":["*"]}},{claim}}}"#);
    signed_raw(r#"{"alg":"HS256","typ":"JWT"}"#, &claims)
}

fn judged(token: &str, now: f64) -> Result<Access, &'static str> {
    accepting_both()
        .verify(
            token,
            Role::Publisher,
            &[AUDIENCE.to_owned()],
            UnixTime::from_seconds(now),
        )
        .map_err(|refusal| refusal.code())
}

/// 0.24 reads times as a JSON number or as a string that is one, and `null` as an absent claim.
#[test]
fn times_are_read_as_0_x_does() {
    for (claim, ends) in [
        (r#""exp":1000060"#, Some(1_000_060.0)),
        (r#""exp":"1000060""#, Some(1_000_060.0)),
        (r#""exp":"1000060.9""#, Some(1_000_060.0)),
        (r#""exp":1000060.9"#, Some(1_000_060.0)),
        (r#""exp":"1.00006e6""#, Some(1_000_060.0)),
        (r#""exp":null"#, None),
        (r#""nbf":null"#, None),
        (r#""nbf":"1000000""#, None),
        (r#""nbf":1000000.9"#, None),
        (r#""nbf":"-5""#, None),
        (r#""iat":"1000000""#, None),
        (r#""iat":null"#, None),
        (r#""exp":null,"nbf":null,"iat":null"#, None),
    ] {
        let access = judged(&older(claim), NOW).expect(claim);
        assert_eq!(access.expires_at.map(UnixTime::seconds), ends, "{claim}");
        assert_eq!(access.generation, Generation::V0);
    }
    for (claim, code) in [
        (r#""exp":"1000000""#, "expired"),
        (r#""exp":1000000.9"#, "expired"),
        (r#""exp":"-1""#, "expired"),
        (r#""exp":0"#, "expired"),
        (r#""nbf":"1000001""#, "not_yet_valid"),
        (r#""exp":"soon""#, "exp_not_a_number"),
        (r#""exp":"""#, "exp_not_a_number"),
        (r#""exp":" 1000060""#, "exp_not_a_number"),
        (r#""exp":"1000060\n""#, "exp_not_a_number"),
        (r#""exp":"+1000060""#, "exp_not_a_number"),
        (r#""exp":"01000060""#, "exp_not_a_number"),
        (r#""exp":"0xf4276""#, "exp_not_a_number"),
        (r#""exp":"1e999""#, "exp_not_a_number"),
        (r#""exp":"NaN""#, "exp_not_a_number"),
        (r#""exp":true"#, "exp_not_a_number"),
        (r#""exp":[1000060]"#, "exp_not_a_number"),
        (r#""nbf":"tomorrow""#, "nbf_not_a_number"),
        (r#""nbf":{}"#, "nbf_not_a_number"),
    ] {
        assert_eq!(judged(&older(claim), NOW).err(), Some(code), "{claim}");
    }
}

/// A token with Mercure details is judged strictly, whatever else is accepted (specification, "Token
/// Validation").
#[test]
fn times_of_1_0_stay_strict() {
    for (name, value, code) in [
        ("exp", json!("1000060"), "exp_not_a_number"),
        ("exp", json!(null), "exp_not_a_number"),
        ("nbf", json!("1"), "nbf_not_a_number"),
        ("nbf", json!(null), "nbf_not_a_number"),
    ] {
        let mut claims = claims();
        claims[name] = value.clone();
        let token = signed(&claims);
        assert_eq!(judged(&token, NOW).err(), Some(code), "{name} {value}");
        let refusal = verify(&token).err().map(|refusal| refusal.code());
        assert_eq!(refusal, Some(code), "{name} {value}");
    }
}

/// Tokens without Mercure details are valid and grant nothing, even with a claim of 0.x, which the log
/// mentions (specification: "Tokens with no Mercure authorization detail grant no publish or subscribe
/// rights").
#[test]
fn a_valid_token_without_a_detail_grants_nothing() {
    let grant = json!({ "publish": ["*"] });
    let unknown = json!([{
        "type": "https://mercure.rocks/authorization-detail",
        "actions": ["read"],
        "topics": [{ "match": "*" }],
    }]);
    for (details, claim, ignores) in [
        (json!([]), Some("mercure"), true),
        (json!([]), Some("https://mercure.rocks/"), true),
        (json!(null), Some("mercure"), true),
        (
            json!([{ "type": "payment" }, 7, null]),
            Some("mercure"),
            true,
        ),
        (
            json!([{ "type": "https://mercure.rocks/AUTHORIZATION-DETAIL" }]),
            None,
            false,
        ),
        (json!(null), None, false),
        (unknown, Some("mercure"), false),
    ] {
        let mut claims = claims();
        claims["authorization_details"] = details.clone();
        if let Some(claim) = claim {
            claims[claim] = grant.clone();
        }
        let access = verify(&signed(&claims)).expect("valid");
        let topics = access.details.topics_of(talaria_protocol::Action::Publish);
        assert_eq!(topics, 0, "{details}");
        assert_eq!(access.ignores_older_claim, ignores, "{details} {claim:?}");
    }
    let mut without = with("authorization_details", Value::Null);
    without["mercure"] = grant;
    let access = verify(&signed(&without)).expect("valid");
    assert!(access.details.is_empty() && access.ignores_older_claim);
}

/// A token that is not an access token of RFC 9068 is refused, and the reason names its generation.
#[test]
fn a_token_of_0_x_is_named_where_1_0_alone_is_accepted() {
    let refusal = verify(&older(r#""exp":4000000000"#)).expect_err("refused");
    assert_eq!(refusal, Refusal::OlderToken);
    // With the right type the reason is the first fault, as for any access token.
    for (name, code) in [
        ("exp", "exp_missing"),
        ("aud", "aud_missing"),
        ("iss", "iss_missing"),
    ] {
        let mut claims = with(name, Value::Null);
        claims["mercure"] = json!({ "publish": ["*"] });
        claims["authorization_details"] = json!([]);
        let refusal = verify(&signed(&claims)).expect_err(name);
        assert_eq!(refusal.code(), code);
    }
}

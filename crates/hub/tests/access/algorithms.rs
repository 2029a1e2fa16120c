//! Each algorithm with each form of key (specification, "Token Validation"; B-225, B-034).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use talaria_hub::access::{Algorithm, Role};
use talaria_hub::clock::UnixTime;
use talaria_protocol::{Action, Base, Topic};

use crate::material::{Keys, ecdsa, ed25519, rsa};
use crate::{
    AT_NOW, AUDIENCE, ISSUER, NOW, SECRET, claims, encoded, key, mint, tampered, verifier,
};

/// Every algorithm verifies and signs with every form of key (B-225, B-034).
#[test]
fn every_algorithm_signs_and_verifies() {
    let secret = || Keys {
        private: vec![SECRET.to_owned()],
        public: vec![SECRET.to_owned()],
    };
    let groups = [
        (secret(), vec!["HS256", "HS384", "HS512"]),
        (
            rsa(),
            vec!["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
        ),
        (ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING), vec!["ES256"]),
        (ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING), vec!["ES384"]),
        (ecdsa(&ECDSA_P521_SHA512_FIXED_SIGNING), vec!["ES512"]),
        (ed25519(), vec!["EdDSA"]),
    ];
    let mut seen = 0;
    for (keys, algorithms) in groups {
        for algorithm in algorithms {
            seen += 1;
            for private in &keys.private {
                let token = mint(&claims(), private, Some(algorithm), Some("k1"))
                    .unwrap_or_else(|error| panic!("{algorithm}: {error}"));
                let tampered = tampered(&token);
                for public in &keys.public {
                    let verifier = verifier(key(public, Some(algorithm)));
                    let verify = |token: &str| {
                        verifier.verify(token, Role::Publisher, &[AUDIENCE.to_owned()], AT_NOW)
                    };
                    let access = verify(&token).expect(algorithm);
                    assert_eq!(access.issuer, ISSUER);
                    assert_eq!(access.subject.as_deref(), Some("ann"));
                    assert_eq!(access.expires_at, Some(UnixTime::from_seconds(NOW + 60.0)));
                    let base = Base::synthetic();
                    let topic = Topic::new("https://example.com/a", &base);
                    assert!(access.details.grants(Action::Publish, &topic));
                    assert_eq!(
                        verify(&tampered).expect_err("tampered").code(),
                        "bad_signature",
                        "{algorithm}"
                    );
                }
            }
        }
    }
    assert_eq!(seen, Algorithm::ALL.len());
}

/// The header of a minted token is that of RFC 9068 (B-224).
#[test]
fn a_minted_token_has_the_header_of_an_access_token() {
    let token = mint(&claims(), SECRET, Some("HS384"), Some("k1")).expect("a token");
    let header = token.split('.').next().expect("a header");
    let header = BASE64_URL_SAFE_NO_PAD.decode(header).expect("base64url");
    let header: Value = serde_json::from_slice(&header).expect("JSON");
    assert_eq!(
        header,
        json!({ "alg": "HS384", "typ": "at+jwt", "kid": "k1" })
    );
}

/// The algorithm is that of the key, so a public key is never used as a shared secret (specification, "Token
/// Validation").
#[test]
fn a_public_key_is_not_a_secret() {
    let public = &ed25519().public[0];
    let verifier = verifier(key(public, Some("EdDSA")));
    let message = format!(
        "{}.{}",
        encoded(r#"{"alg":"HS256","typ":"at+jwt"}"#),
        encoded(claims().to_string())
    );
    let hmac = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public.as_bytes());
    let signature = aws_lc_rs::hmac::sign(&hmac, message.as_bytes());
    let token = format!("{message}.{}", encoded(signature.as_ref()));
    let refusal = verifier
        .verify(&token, Role::Publisher, &[AUDIENCE.to_owned()], AT_NOW)
        .expect_err("confused");
    assert_eq!(refusal.code(), "alg_not_allowed");
    assert!(refusal.to_string().contains("EdDSA"), "{refusal}");
}

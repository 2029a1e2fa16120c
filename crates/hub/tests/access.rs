//! Access tokens, from minting to what is refused (specification, "Token Validation").

#![allow(clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::needless_pass_by_value, reason = "`json!` makes values")]

use std::collections::BTreeSet;

use aws_lc_rs::encoding::{AsDer as _, EcPrivateKeyRfc5915Der, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use talaria_hub::access::{
    Access, Algorithm, Issuer, IssuerError, Issuers, KeyError, Refusal, Role, VerificationKey,
    Verifier, mint,
};
use talaria_protocol::{Action, Base, Limits, Topic};

const SECRET: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://hub.example/.well-known/mercure";
const NOW: f64 = 1_000_000.0;

fn key(material: &str, algorithm: Option<&str>) -> VerificationKey {
    VerificationKey::new(material, algorithm).expect("a usable key")
}

fn issuer(identifier: &str, publisher: Option<VerificationKey>) -> Issuer {
    Issuer {
        identifier: identifier.to_owned(),
        authorization_server: false,
        publisher,
        subscriber: None,
    }
}

fn verifier(key: VerificationKey) -> Verifier {
    let issuers = Issuers::new(vec![issuer(ISSUER, Some(key))]).expect("issuers");
    Verifier::new(issuers, Base::synthetic(), Limits::default())
}

fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "somebody",
        "exp": NOW + 60.0,
        "authorization_details": [{
            "type": "https://mercure.rocks/authorization-detail",
            "actions": ["publish"],
            "topics": [{ "match": "https://example.com/a" }],
        }],
    })
}

/// The usual claims, with one of them set or, with `null`, removed.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    let object = claims.as_object_mut().expect("an object");
    match value {
        Value::Null => object.remove(name),
        value => object.insert(name.to_owned(), value),
    };
    claims
}

fn signed(claims: &Value) -> String {
    mint(claims, SECRET, None, None).expect("a token")
}

/// Signs whatever header and claims with HS256.
fn signed_raw(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = aws_lc_rs::hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", encoded(signature.as_ref()))
}

fn with_header(header: &Value) -> String {
    signed_raw(&header.to_string(), &claims().to_string())
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn verify_at(token: &str, now: f64) -> Result<Access, Refusal> {
    verifier(key(SECRET, None)).verify(token, Role::Publisher, &[AUDIENCE.to_owned()], now)
}

fn verify(token: &str) -> Result<Access, Refusal> {
    verify_at(token, NOW)
}

fn pem(tag: &str, der: &[u8]) -> String {
    let base64 = BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = base64
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("ASCII"))
        .collect();
    format!(
        "-----BEGIN {tag}-----\n{}\n-----END {tag}-----\n",
        lines.join("\n")
    )
}

/// One DER element.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("short").to_be_bytes();
    [&[tag, 0x82], &length[..], content].concat()
}

/// A certificate of this key; nobody looks at what the rest of it says.
fn certificate(subject_public_key_info: &[u8]) -> Vec<u8> {
    let empty = der(0x30, &[]);
    let fields = [
        der(0xa0, &der(0x02, &[2])),
        der(0x02, &[1]),
        empty.clone(),
        empty.clone(),
        empty.clone(),
        empty.clone(),
        subject_public_key_info.to_vec(),
    ]
    .concat();
    der(0x30, &[der(0x30, &fields), empty, der(0x03, &[0])].concat())
}

/// A private and a public key in every form they may be written in.
struct Keys {
    private: Vec<String>,
    public: Vec<String>,
}

fn rsa() -> Keys {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let pkcs8: Pkcs8V1Der<'_> = pair.as_der().expect("PKCS#8");
    let spki = pair.public_key().as_der().expect("SPKI");
    Keys {
        private: vec![
            pem("PRIVATE KEY", pkcs8.as_ref()),
            pem("RSA PRIVATE KEY", &inner_octets(pkcs8.as_ref())),
        ],
        public: vec![
            pem("PUBLIC KEY", spki.as_ref()),
            pem("RSA PUBLIC KEY", pair.public_key().as_ref()),
            pem("CERTIFICATE", &certificate(spki.as_ref())),
        ],
    }
}

/// The PKCS#1 key within a PKCS#8 one: the octet string is its last element, of long form length.
fn inner_octets(pkcs8: &[u8]) -> Vec<u8> {
    let at = pkcs8
        .windows(2)
        .position(|pair| pair == [0x04, 0x82])
        .expect("an octet string");
    pkcs8[at + 4..].to_vec()
}

fn ecdsa(algorithm: &'static aws_lc_rs::signature::EcdsaSigningAlgorithm) -> Keys {
    let pair = EcdsaKeyPair::generate(algorithm).expect("a key");
    let sec1: EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().expect("SEC 1");
    let spki = pair.public_key().as_der().expect("SPKI");
    Keys {
        private: vec![
            pem("PRIVATE KEY", pair.to_pkcs8v1().expect("PKCS#8").as_ref()),
            pem("EC PRIVATE KEY", sec1.as_ref()),
            // As `openssl ecparam -genkey` writes it.
            pem("EC PARAMETERS", b"\x06\x00") + &pem("EC PRIVATE KEY", sec1.as_ref()),
        ],
        public: vec![
            pem("PUBLIC KEY", spki.as_ref()),
            pem("CERTIFICATE", &certificate(spki.as_ref())),
        ],
    }
}

fn ed25519() -> Keys {
    let pair = Ed25519KeyPair::generate().expect("a key");
    let spki = pair.public_key().as_der().expect("SPKI");
    Keys {
        private: vec![
            pem("PRIVATE KEY", pair.to_pkcs8().expect("PKCS#8").as_ref()),
            pem("PRIVATE KEY", pair.to_pkcs8v1().expect("PKCS#8").as_ref()),
        ],
        public: vec![
            pem("PUBLIC KEY", spki.as_ref()),
            pem("CERTIFICATE", &certificate(spki.as_ref())),
        ],
    }
}

/// B-225, B-034: every algorithm, every form of key.
#[test]
fn every_algorithm_signs_and_verifies() {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
        ECDSA_P521_SHA512_FIXED_SIGNING,
    };
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
                        verifier.verify(token, Role::Publisher, &[AUDIENCE.to_owned()], NOW)
                    };
                    let access = verify(&token).expect(algorithm);
                    assert_eq!(access.issuer, ISSUER);
                    assert_eq!(access.subject.as_deref(), Some("somebody"));
                    assert_eq!(access.expires_at, NOW + 60.0);
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

/// The token with other claims under the same signature.
fn tampered(token: &str) -> String {
    let mut parts: Vec<&str> = token.split('.').collect();
    let other = encoded(with("sub", json!("somebody else")).to_string());
    parts[1] = &other;
    parts.join(".")
}

/// B-224: the header of a minted token is that of RFC 9068.
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

/// "Token Validation": each way to be broken has a reason of its own.
#[test]
fn broken_tokens_have_distinct_reasons() {
    let good = signed(&claims());
    let parts: Vec<&str> = good.split('.').collect();
    let details = |value: Value| signed(&with("authorization_details", value));
    let broken = [
        ("too_long", "a".repeat(64 * 1024 + 1)),
        ("not_a_jws", format!("{}.{}", parts[0], parts[1])),
        (
            "not_base64url",
            format!("{}=.{}.{}", parts[0], parts[1], parts[2]),
        ),
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
        ("iss_missing", signed(&with("iss", Value::Null))),
        (
            "iss_unknown",
            signed(&with("iss", json!("https://other.example"))),
        ),
        (
            "iss_slash",
            signed(&with("iss", json!("https://issuer.example/"))),
        ),
        ("bad_signature", tampered(&good)),
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
    ];
    let mut texts = BTreeSet::new();
    for (code, token) in &broken {
        let refusal = verify(token).expect_err(code);
        assert_eq!(refusal.code(), *code, "{refusal}");
        let text = refusal.to_string();
        assert!(!text.contains(SECRET) && !text.contains(token), "{text}");
        assert!(texts.insert(text.clone()), "said twice: {text}");
    }
    // No key for the role: an issuer of publishers only.
    let refusal = verifier(key(SECRET, None))
        .verify(&good, Role::Subscriber, &[AUDIENCE.to_owned()], NOW)
        .expect_err("no key");
    assert_eq!(refusal.code(), "no_key_for_role");
    assert!(refusal.to_string().contains("subscriber"), "{refusal}");
}

/// B-1033: each of Keycloak's usual mistakes is told in words to act on.
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
        Ok(100.5)
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

/// B-238: a token is tried only with the key of the issuer it names.
#[test]
fn keys_of_issuers_are_never_pooled() {
    let other_secret = SECRET.replace('0', "z");
    let issuers = Issuers::new(vec![
        issuer(ISSUER, Some(key(SECRET, None))),
        issuer("https://b.example", Some(key(&other_secret, None))),
    ])
    .expect("issuers");
    let verifier = Verifier::new(issuers, Base::synthetic(), Limits::default());
    let verify = |token: &str| {
        verifier
            .verify(token, Role::Publisher, &[AUDIENCE.to_owned()], NOW)
            .map(|access| access.issuer)
            .map_err(|refusal| refusal.code())
    };
    let of_b = with("iss", json!("https://b.example"));
    assert_eq!(
        verify(&mint(&of_b, &other_secret, None, None).expect("a token")),
        Ok("https://b.example".to_owned())
    );
    assert_eq!(verify(&signed(&of_b)), Err("bad_signature"));
}

/// "Token Validation": the algorithm is the key's, so a public key is never taken for a secret.
#[test]
fn a_public_key_is_no_secret() {
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
        .verify(&token, Role::Publisher, &[AUDIENCE.to_owned()], NOW)
        .expect_err("confused");
    assert_eq!(refusal.code(), "alg_not_allowed");
    assert!(refusal.to_string().contains("EdDSA"), "{refusal}");
}

/// B-224, B-225: what is refused at start, with a remedy and without the key.
#[test]
fn unusable_keys_are_refused_at_start() {
    let public = ed25519().public[0].clone();
    let private = ed25519().private[0].clone();
    let p256 = ecdsa(&aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING).public[0].clone();
    let damaged = public.replace('M', "?");
    let one_line = public.replace('\n', "\\n");
    let refuse = |material: &str, algorithm: Option<&str>| {
        let error = VerificationKey::new(material, algorithm).expect_err("unusable");
        let text = error.to_string();
        let body = material.lines().nth(1).unwrap_or_default();
        assert!(body.is_empty() || !text.contains(body), "{text}");
        error
    };
    assert_eq!(refuse("", None), KeyError::Empty);
    assert_eq!(refuse(&public, None), KeyError::PemWithoutAlgorithm);
    assert_eq!(
        refuse(&format!("\n  {public}"), Some("HS256")),
        KeyError::PemWithHmac(Algorithm::HS256)
    );
    for algorithm in ["hs256", "none", "", "ES256K"] {
        assert_eq!(
            refuse(SECRET, Some(algorithm)),
            KeyError::UnknownAlgorithm(algorithm.to_owned())
        );
    }
    for algorithm in ["RS256", "PS512", "ES512", "EdDSA"] {
        let error = refuse(SECRET, Some(algorithm));
        assert!(
            matches!(error, KeyError::SecretWithAsymmetric { .. }),
            "{error}"
        );
    }
    for material in [damaged.as_str(), one_line.as_str(), private.as_str()] {
        let error = refuse(material, Some("EdDSA"));
        assert!(matches!(error, KeyError::UnreadablePem(_)), "{error}");
    }
    for (material, algorithm) in [
        (&public, "RS256"),
        (&public, "ES256"),
        (&p256, "ES384"),
        (&p256, "EdDSA"),
    ] {
        let error = refuse(material, Some(algorithm));
        assert!(matches!(error, KeyError::OtherKind { .. }), "{error}");
    }
    // 1024 bits, too few for every algorithm.
    let modulus = [&[0u8, 0x81][..], &[0x55; 126], &[0x0f]].concat();
    let small = der(0x30, &[der(0x02, &modulus), der(0x02, &[1, 0, 1])].concat());
    let error = refuse(&pem("RSA PUBLIC KEY", &small), Some("RS256"));
    assert!(matches!(error, KeyError::OtherKind { .. }), "{error}");
    // A certificate cut short at any byte is refused, not a panic.
    let whole = certificate(&[0x30, 0]);
    for end in 0..whole.len() {
        refuse(&pem("CERTIFICATE", &whole[..end]), Some("EdDSA"));
    }
}

/// B-034: what cannot sign.
#[test]
fn unusable_signing_keys_are_refused() {
    let keys = ed25519();
    let refuse = |material: &str, algorithm: Option<&str>| {
        mint(&claims(), material, algorithm, None).expect_err("unusable")
    };
    assert_eq!(
        refuse(&keys.private[0], None),
        KeyError::PemWithoutAlgorithm
    );
    assert_eq!(
        refuse(&keys.private[0], Some("HS512")),
        KeyError::PemWithHmac(Algorithm::HS512)
    );
    for algorithm in ["RS256", "ES256"] {
        let error = refuse(&keys.private[0], Some(algorithm));
        assert!(matches!(error, KeyError::OtherKind { .. }), "{error}");
    }
    let error = refuse(&keys.public[0], Some("EdDSA"));
    assert!(matches!(error, KeyError::UnreadablePem(_)), "{error}");
    let error = refuse(&pem("ENCRYPTED PRIVATE KEY", b"x"), Some("EdDSA"));
    assert!(error.to_string().contains("openssl pkey"), "{error}");
}

/// B-1023, B-123: short and printed secrets work, with a warning; bytes are taken as they are.
#[test]
fn weak_secrets_warn() {
    assert_eq!(key(SECRET, Some("HS512")).weakness(), None);
    assert_eq!(key(&SECRET[..32], None).weakness(), None);
    for (length, algorithm) in [(31, "HS256"), (47, "HS384"), (63, "HS512")] {
        let weakness = key(&SECRET[..length], Some(algorithm))
            .weakness()
            .expect("weak");
        assert!(weakness.contains(&length.to_string()), "{weakness}");
    }
    for secret in ["!ChangeThisMercureHubJWTSecretKey!", "!ChangeMe!"] {
        let key = key(secret, None);
        let weakness = key.weakness().expect("weak");
        assert!(weakness.contains("documentation"), "{weakness}");
        let shown = format!("{key:?} {weakness}");
        assert!(!shown.contains("Change"), "{shown}");
        let token = mint(&claims(), secret, None, None).expect("a token");
        assert!(
            verifier(key)
                .verify(&token, Role::Publisher, &[AUDIENCE.to_owned()], NOW)
                .is_ok()
        );
    }
    let spaced = verifier(key(&format!(" {SECRET}\n"), None));
    let refusal = spaced.verify(
        &signed(&claims()),
        Role::Publisher,
        &[AUDIENCE.to_owned()],
        NOW,
    );
    assert_eq!(refusal.expect_err("another secret").code(), "bad_signature");
}

/// B-223: issuers that cannot be told apart, or have no role, are refused at start.
#[test]
fn unusable_issuers_are_refused_at_start() {
    let some = || Some(key(SECRET, None));
    assert_eq!(
        Issuers::new(vec![issuer("", some())]).expect_err("empty"),
        IssuerError::Empty
    );
    assert_eq!(
        Issuers::new(vec![issuer("a", some()), issuer("a", some())]).expect_err("twice"),
        IssuerError::Duplicate("a".to_owned())
    );
    assert_eq!(
        Issuers::new(vec![issuer("a", None)]).expect_err("no role"),
        IssuerError::NoRole("a".to_owned())
    );
    let issuers = Issuers::new(vec![issuer("a", some()), issuer("a/", some())]).expect("two");
    assert!(issuers.serves(Role::Publisher));
    assert!(!issuers.serves(Role::Subscriber));
}

proptest::proptest! {
    /// Whatever bytes come, the answer is a reason.
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

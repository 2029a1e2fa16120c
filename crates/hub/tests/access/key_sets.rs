//! Key sets of issuers (specification, "Token Validation"; B-236, B-450 to B-453).

use std::future::ready;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use talaria_hub::access::{
    Algorithm, Issuer, IssuerKey, Issuers, KeySet, KeySetError, Role, Verifier, mint,
};
use talaria_hub::clock::{Clock, SystemClock};
use talaria_protocol::{Base, Limits};
use tokio::task::JoinHandle;

use crate::material::pem;
use crate::{AUDIENCE, ISSUER, NOW, SECRET, claims};

/// A private key in PEM, and what is published of it.
struct Pair {
    private: String,
    algorithm: &'static str,
    jwk: Value,
}

fn base64(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa() -> Pair {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().expect("PKCS#8");
    // An `RSAPublicKey`: a sequence of two integers, the first 256 bytes and a sign.
    let public = pair.public_key().as_ref();
    let (n, e) = (&public[9..265], &public[public.len() - 3..]);
    Pair {
        private: pem("PRIVATE KEY", der.as_ref()),
        algorithm: "RS256",
        jwk: json!({ "kty": "RSA", "kid": "rsa", "use": "sig", "n": base64(n), "e": base64(e) }),
    }
}

fn curve(kid: &str) -> Pair {
    let signing = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pair = EcdsaKeyPair::generate(signing).expect("a key");
    let der = pair.to_pkcs8v1().expect("PKCS#8");
    let point = pair.public_key().as_ref();
    Pair {
        private: pem("PRIVATE KEY", der.as_ref()),
        algorithm: "ES256",
        jwk: json!({
            "kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES256",
            "x": base64(&point[1..33]), "y": base64(&point[33..]),
        }),
    }
}

fn edwards() -> Pair {
    let pair = Ed25519KeyPair::generate().expect("a key");
    let der = pair.to_pkcs8v1().expect("PKCS#8");
    Pair {
        private: pem("PRIVATE KEY", der.as_ref()),
        algorithm: "EdDSA",
        jwk: json!({
            "kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": base64(pair.public_key().as_ref()),
        }),
    }
}

impl Pair {
    fn token(&self, kid: Option<&str>) -> String {
        self.token_by(self.algorithm, kid)
    }

    fn token_by(&self, algorithm: &str, kid: Option<&str>) -> String {
        mint(&claims(), &self.private, Some(algorithm), kid).expect("a token")
    }
}

fn published(keys: &[&Value]) -> Vec<u8> {
    json!({ "keys": keys }).to_string().into_bytes()
}

fn verifier(set: &Arc<KeySet>) -> Verifier {
    let issuer = Issuer {
        identifier: ISSUER.to_owned(),
        authorization_server: false,
        judges_unnamed: false,
        publisher: Some(IssuerKey::Set(Arc::clone(set))),
        subscriber: None,
    };
    let issuers = Issuers::new(vec![issuer]).expect("issuers");
    Verifier::new(issuers, Base::synthetic(), Limits::default())
}

fn code(verifier: &Verifier, token: &str) -> &'static str {
    match verifier.verify(token, Role::Publisher, &[AUDIENCE.to_owned()], NOW) {
        Ok(_) => "ok",
        Err(refusal) => refusal.code(),
    }
}

/// RFC 7518, section 6, RFC 8037: each kind of key, by its `kid` and without one.
#[test]
fn each_kind_of_key_verifies() {
    let set = Arc::new(KeySet::new(&[]));
    let verifier = verifier(&set);
    let pairs = [rsa(), curve("ec"), edwards()];
    assert_eq!(code(&verifier, &pairs[0].token(None)), "no_key_set");
    let jwks: Vec<_> = pairs.iter().map(|pair| &pair.jwk).collect();
    let taken = set.replace(&published(&jwks)).expect("a set");
    // RSA of no `alg` counts for each of its six.
    assert_eq!((taken.keys, taken.skipped.len()), (8, 0));
    for pair in &pairs {
        let kid = pair.jwk["kid"].as_str();
        assert_eq!(code(&verifier, &pair.token(kid)), "ok");
        assert_eq!(code(&verifier, &pair.token(None)), "ok");
        assert_eq!(code(&verifier, &pair.token(Some("other"))), "kid_unknown");
    }
    assert_eq!(
        code(&verifier, &pairs[0].token_by("PS384", Some("rsa"))),
        "ok"
    );
    // B-452: a key is used with its own `alg` only, and with that of its kind.
    assert_eq!(
        code(&verifier, &pairs[1].token(Some("rsa"))),
        "bad_signature"
    );
    assert_eq!(
        code(&verifier, &curve("ec").token(Some("ec"))),
        "bad_signature"
    );
}

/// B-969: what is unusable is skipped; a set of nothing else leaves the earlier one in force.
#[test]
fn an_unusable_key_spoils_nothing() {
    let set = Arc::new(KeySet::new(&[]));
    let verifier = verifier(&set);
    let good = curve("good");
    let junk = [
        json!({ "kty": "RSA", "kid": "enc", "use": "enc", "n": "AQ", "e": "AQAB" }),
        json!({ "kty": "RSA", "kid": "oaep", "alg": "RSA-OAEP", "n": "AQ", "e": "AQAB" }),
        json!({ "kty": "RSA", "kid": "small", "n": "AQ", "e": "AQAB" }),
        json!({ "kty": "EC", "crv": "P-256", "kid": "off", "x": "AQ", "y": "AQ" }),
        json!({ "kty": "oct", "kid": "secret", "k": base64(SECRET.as_bytes()) }),
        json!({ "kid": "nothing" }),
    ];
    let mut keys: Vec<&Value> = junk.iter().collect();
    keys.push(&good.jwk);
    let taken = set.replace(&published(&keys)).expect("a set");
    assert_eq!((taken.keys, taken.skipped.len()), (1, junk.len()));
    assert_eq!(code(&verifier, &good.token(Some("good"))), "ok");
    for stale in [
        published(&[]),
        published(&[&junk[0]]),
        b"{}".to_vec(),
        b"<html>".to_vec(),
    ] {
        set.replace(&stale).expect_err("no set");
        assert_eq!(code(&verifier, &good.token(Some("good"))), "ok");
    }
    assert_eq!(set.replace(b"[]"), Err(KeySetError::NotASet));
}

/// B-453: shared secrets count only where they are listed, and nothing else counts then.
#[test]
fn algorithms_are_those_of_the_list() {
    let secret = json!({ "kty": "oct", "k": base64(SECRET.as_bytes()) });
    let token = mint(&claims(), SECRET, Some("HS256"), None).expect("a token");
    let usual = Arc::new(KeySet::new(&[]));
    let good = curve("good");
    usual
        .replace(&published(&[&secret, &good.jwk]))
        .expect("a set");
    assert_eq!(code(&verifier(&usual), &token), "alg_not_listed");
    let listed = Arc::new(KeySet::new(&[Algorithm::HS256]));
    listed.replace(&published(&[&secret])).expect("a set");
    assert_eq!(code(&verifier(&listed), &token), "ok");
    assert_eq!(
        code(&verifier(&listed), &good.token(None)),
        "alg_not_listed"
    );
}

/// What a withdrawn key signed is refused at once, though it was verified before (design §9).
#[test]
fn a_withdrawn_key_is_forgotten() {
    let set = Arc::new(KeySet::new(&[]));
    let verifier = verifier(&set);
    let (old, new) = (curve("old"), curve("new"));
    set.replace(&published(&[&old.jwk])).expect("a set");
    let token = old.token(Some("old"));
    assert_eq!(
        [code(&verifier, &token), code(&verifier, &token)],
        ["ok", "ok"]
    );
    set.replace(&published(&[&new.jwk])).expect("a set");
    assert_eq!(code(&verifier, &token), "kid_unknown");
}

/// A clock that stands still.
struct At(Instant);

impl Clock for At {
    fn now(&self) -> Instant {
        self.0
    }

    fn unix_time(&self) -> f64 {
        NOW
    }
}

/// Asks for a verdict in a task of its own.
fn ask(
    verifier: &Arc<Verifier>,
    token: String,
    at: Instant,
) -> JoinHandle<Result<(), &'static str>> {
    let verifier = Arc::clone(verifier);
    tokio::spawn(async move {
        let audiences = [AUDIENCE.to_owned()];
        let clock = At(at);
        let verdict = verifier.verify_or_refresh(&token, Role::Publisher, &audiences, &clock);
        verdict.await.map(drop).map_err(|refusal| refusal.code())
    })
}

/// An unknown `kid` has the set fetched, once for all who wait; a failure ends the waiting too, and
/// the same token has it fetched again only some seconds later.
#[tokio::test]
async fn an_unknown_kid_asks_the_issuer() {
    let set = Arc::new(KeySet::new(&[]));
    let (old, new) = (curve("old"), curve("new"));
    set.replace(&published(&[&old.jwk])).expect("a set");
    let verifier = Arc::new(verifier(&set));
    let start = SystemClock.now();
    let waiting: Vec<_> = (0..3)
        .map(|_| ask(&verifier, new.token(Some("new")), start))
        .collect();
    set.wanted(ready(())).await;
    set.replace(&published(&[&old.jwk, &new.jwk]))
        .expect("a set");
    for waiting in waiting {
        assert_eq!(waiting.await.expect("it ran"), Ok(()));
    }
    let unknown = curve("x").token(Some("x"));
    let first = ask(&verifier, unknown.clone(), start);
    set.wanted(ready(())).await;
    set.keep();
    assert_eq!(first.await.expect("it ran"), Err("kid_unknown"));
    // Nobody is asked, and nobody waits.
    let soon = start + Duration::from_secs(9);
    let soon = ask(&verifier, unknown.clone(), soon).await;
    assert_eq!(soon.expect("it ran"), Err("kid_unknown"));
    let later = ask(&verifier, unknown, start + Duration::from_secs(11));
    set.wanted(ready(())).await;
    set.keep();
    assert_eq!(later.await.expect("it ran"), Err("kid_unknown"));
}

/// Whoever sends tokens with invented keys has the set fetched all the time, but keeps no good token
/// from the key that its issuer published a moment ago, also while a fetch is under way.
#[tokio::test]
async fn a_rotation_fails_no_good_token() {
    let set = Arc::new(KeySet::new(&[]));
    let (old, new, other) = (curve("old"), curve("new"), curve("other"));
    set.replace(&published(&[&old.jwk])).expect("a set");
    let verifier = Arc::new(verifier(&set));
    let start = SystemClock.now();
    let invented: Vec<_> = (0..50)
        .map(|number| ask(&verifier, other.token(Some(&format!("{number}"))), start))
        .collect();
    set.wanted(ready(())).await;
    // The issuer has answered with the old set already when it publishes the new key.
    let good = ask(&verifier, new.token(Some("new")), start);
    while !set.is_wanted() {
        tokio::task::yield_now().await;
    }
    set.replace(&published(&[&old.jwk])).expect("a set");
    for invented in invented {
        assert_eq!(invented.await.expect("it ran"), Err("kid_unknown"));
    }
    assert!(!good.is_finished(), "it waits for the next fetch");
    set.wanted(ready(())).await;
    set.replace(&published(&[&old.jwk, &new.jwk]))
        .expect("a set");
    assert_eq!(good.await.expect("it ran"), Ok(()));
}

/// Who waited in vain for an issuer that does not answer asks it again: only an answer says that the key
/// is not there.
#[tokio::test]
async fn a_fetch_that_has_not_ended_was_not_in_vain() {
    let set = Arc::new(KeySet::new(&[]).with_patience(Duration::ZERO));
    let (old, new) = (curve("old"), curve("new"));
    set.replace(&published(&[&old.jwk])).expect("a set");
    let verifier = Arc::new(verifier(&set));
    let start = SystemClock.now();
    for _ in 0..2 {
        let refused = ask(&verifier, new.token(Some("new")), start).await;
        assert_eq!(refused.expect("it ran"), Err("kid_unknown"));
        assert!(set.is_wanted(), "it asks");
        set.begin();
    }
}

/// A fetch that nobody asked for is also the one of those who did, if it begins after they came.
#[tokio::test]
async fn a_fetch_in_its_turn_serves_those_who_wait() {
    let set = Arc::new(KeySet::new(&[]));
    let verifier = Arc::new(verifier(&set));
    let waiting = ask(&verifier, curve("x").token(Some("x")), SystemClock.now());
    while !set.is_wanted() {
        tokio::task::yield_now().await;
    }
    set.begin();
    assert!(!set.is_wanted(), "it has begun");
    set.keep();
    assert_eq!(waiting.await.expect("it ran"), Err("no_key_set"));
}

/// A fetch pauses after the one before, and begins only when somebody asks.
#[tokio::test]
async fn fetches_have_a_pause_between_them() {
    let set = Arc::new(KeySet::new(&[]));
    let verifier = Arc::new(verifier(&set));
    let (over, pause) = tokio::sync::oneshot::channel::<()>();
    let waiting = ask(&verifier, curve("x").token(Some("x")), SystemClock.now());
    let fetches = {
        let set = Arc::clone(&set);
        tokio::spawn(async move {
            set.wanted(async { drop(pause.await) }).await;
        })
    };
    while !set.is_wanted() {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!fetches.is_finished(), "the pause is not over");
    over.send(()).expect("it waits");
    fetches.await.expect("it ran");
    set.keep();
    assert_eq!(waiting.await.expect("it ran"), Err("no_key_set"));
}

/// Faults are named eight at a time, short and escaped: an issuer that sends thousands fills no log.
#[test]
fn faults_of_a_set_are_bounded() {
    let set = KeySet::new(&[]);
    let good = curve("good");
    let kid = |number: usize| format!("\n\u{202e}{number}{}", "x".repeat(5000));
    let junk: Vec<Value> = (0..1000)
        .map(|number| json!({ "kty": "OKP", "kid": kid(number) }))
        .collect();
    let mut keys: Vec<&Value> = junk.iter().collect();
    let none = set
        .replace(&published(&keys))
        .expect_err("no key")
        .to_string();
    keys.push(&good.jwk);
    let some = set.replace(&published(&keys)).expect("a key").skipped;
    assert_eq!(some.len(), 9);
    for text in [none, some.join(", ")] {
        assert!(text.contains("and 992 more"), "{text}");
        assert!(
            text.len() < 2000 && !text.contains(['\n', '\u{202e}']),
            "{text}"
        );
    }
    let eight: Vec<&Value> = junk.iter().take(8).chain([&good.jwk]).collect();
    let skipped = set.replace(&published(&eight)).expect("a key").skipped;
    assert!(
        skipped.len() == 8 && !skipped[7].contains("more"),
        "{skipped:?}"
    );
}

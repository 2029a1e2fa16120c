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
use talaria_hub::access::{Algorithm, Issuer, Issuers, KeySet, KeySetError, Role, Verifier};
use talaria_hub::clock::{Clock, SystemClock, UnixTime};
use talaria_protocol::{Base, Limits};
use tokio::task::JoinHandle;

use crate::material::pem;
use crate::{AT_NOW, AUDIENCE, ISSUER, SECRET, claims, mint};

/// A private key in PEM, and its public part as a JWK.
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
    // An `RSAPublicKey` is a sequence of two integers, of which the first has 256 bytes and a sign.
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
    let issuer = Issuer::new(ISSUER).publisher(Arc::clone(set));
    let issuers = Issuers::new([issuer]).expect("issuers");
    Verifier::new(issuers, Base::synthetic(), Limits::default())
}

fn code(verifier: &Verifier, token: &str) -> &'static str {
    match verifier.verify(token, Role::Publisher, &[AUDIENCE.to_owned()], AT_NOW) {
        Ok(_) => "ok",
        Err(refusal) => refusal.code(),
    }
}

/// Each kind of key verifies, by its `kid` and without one (RFC 7518, section 6; RFC 8037).
#[test]
fn each_kind_of_key_verifies() {
    let set = Arc::new(KeySet::new(&[]));
    let verifier = verifier(&set);
    let pairs = [rsa(), curve("ec"), edwards()];
    assert_eq!(code(&verifier, &pairs[0].token(None)), "no_key_set");
    let jwks: Vec<_> = pairs.iter().map(|pair| &pair.jwk).collect();
    let taken = set.replace(&published(&jwks)).expect("a set");
    // An RSA key without `alg` counts for each of its six algorithms.
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
    // A key is used only with its own `alg`, which must be one of its kind (B-452).
    assert_eq!(
        code(&verifier, &pairs[1].token(Some("rsa"))),
        "bad_signature"
    );
    assert_eq!(
        code(&verifier, &curve("ec").token(Some("ec"))),
        "bad_signature"
    );
}

/// Unusable keys are skipped. A set without a usable key leaves the earlier set in force (B-969).
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

/// Shared secrets count only if their algorithms are listed, and then nothing else counts (B-453).
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

/// A token of a withdrawn key is refused at once, though it was verified before: the memory of verified
/// tokens does not outlast the key.
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

    fn unix_time(&self) -> UnixTime {
        AT_NOW
    }
}

/// Asks for a verdict in a separate task.
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

/// An unknown `kid` has the set fetched, once for all tokens that wait. A failure ends the waiting, too, and
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
    // No fetch is asked for, and the verdict comes at once.
    let soon = start + Duration::from_secs(9);
    let soon = ask(&verifier, unknown.clone(), soon).await;
    assert_eq!(soon.expect("it ran"), Err("kid_unknown"));
    let later = ask(&verifier, unknown, start + Duration::from_secs(11));
    set.wanted(ready(())).await;
    set.keep();
    assert_eq!(later.await.expect("it ran"), Err("kid_unknown"));
}

/// A client that sends tokens with invented keys has the set fetched all the time, but does not keep a good
/// token from the key that its issuer published a moment ago, even while a fetch is under way.
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

/// A token that waited in vain for an issuer that does not answer has it asked again: only an answer says
/// that the key is not there.
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

/// A fetch that begins by itself also serves the tokens that asked for one before it began.
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

/// A fetch begins only when a token asks for it, and some time after the one before.
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

/// At most eight faults are named, short and escaped, so that an issuer that sends thousands does not fill the
/// log.
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

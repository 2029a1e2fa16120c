//! Tokens judged by the key sets that issuers publish (specification, "Token Validation"; B-236,
//! B-450 to B-453, B-1024).

use std::path::Path;
use std::process::{Child, Command, Stdio};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use talaria_conformance::PATIENCE;
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::token::{Token, exact};

use crate::https::certify;

/// A key of an issuer.
pub(crate) struct Key {
    kid: &'static str,
    pair: EcdsaKeyPair,
}

impl Key {
    pub(crate) fn new(kid: &'static str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        Self { kid, pair }
    }

    fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let [x, y] = [&point[1..33], &point[33..]].map(|half| BASE64_URL_SAFE_NO_PAD.encode(half));
        json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": self.kid, "x": x, "y": y })
    }

    pub(crate) fn sign(&self, token: Token) -> String {
        let token = token
            .parameter("alg", "ES256".into())
            .parameter("kid", self.kid.into());
        let [header, claims] = [&token.header, &token.claims]
            .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature.expect("a signature"));
        format!("{signed}.{signature}")
    }
}

pub(crate) fn set_of(keys: &[&Key]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
    json!({ "keys": keys }).to_string()
}

/// The status of a publish with a token of this key.
async fn publish(hub: &Hub, issuer: &str, key: &Key) -> u16 {
    let token = Token::new(&hub.audience)
        .claim("iss", issuer.into())
        .grant("publish", &[exact("*")]);
    let publisher = hub.client().bearer(&key.sign(token));
    publisher.publish(&[("topic", "a")]).await.status.as_u16()
}

/// A set in a file is there when the hub answers, and read again for a key that is not in it, once
/// (B-236).
#[tokio::test]
async fn a_set_in_a_file_is_read_again_for_a_new_key() {
    const ISSUER: &str = "https://issuer.example";
    let home = Home::new();
    let (old, new) = (Key::new("old"), Key::new("new"));
    let path = home.path().join("jwks.json");
    std::fs::write(&path, set_of(&[&old])).expect("a file");
    let directives = format!(
        "anonymous\ntransport memory\nissuer {ISSUER} {{\n publisher {{\n jwks_uri file://{}\n }}\n}}",
        path.display()
    );
    let hub = home
        .start("http://127.0.0.1:0", &directives, &[])
        .expect("it starts");
    assert_eq!(publish(&hub, ISSUER, &old).await, 200);
    assert_eq!(publish(&hub, "https://other.example", &old).await, 401);
    std::fs::write(&path, set_of(&[&new])).expect("a file");
    assert_eq!(publish(&hub, ISSUER, &new).await, 200);
    assert_eq!(publish(&hub, ISSUER, &old).await, 401);

    std::fs::write(&path, "{}").expect("a file");
    let refused = home.start("http://127.0.0.1:0", &directives, &[]).map(drop);
    let said = refused.expect_err("no set");
    assert!(
        said.contains("jwks.json") && said.contains("JSON Web Key Set"),
        "{said}"
    );
}

/// Strangers who send tokens with invented keys all the time have the set read, but keep no good token
/// from the key that its issuer has just published.
#[tokio::test]
async fn strangers_fail_no_rotation() {
    const ISSUER: &str = "https://issuer.example";
    let home = Home::new();
    let keys = ["one", "two", "three"].map(Key::new);
    let path = home.path().join("jwks.json");
    let put = |key: &Key| {
        let draft = home.path().join("draft.json");
        std::fs::write(&draft, set_of(&[key])).expect("a file");
        std::fs::rename(&draft, &path).expect("a file");
    };
    put(&keys[0]);
    let directives = format!(
        "anonymous\ntransport memory\nissuer {ISSUER} {{\n publisher {{\n jwks_uri file://{}\n }}\n}}",
        path.display()
    );
    let hub = home
        .start("http://127.0.0.1:0", &directives, &[])
        .expect("it starts");
    let mut strangers = tokio::task::JoinSet::new();
    for number in 0..4 {
        let client = hub.client();
        let claims = Token::new(&hub.audience).claim("iss", ISSUER.into());
        strangers.spawn(async move {
            let key = Key::new("stranger");
            for turn in 0_u64.. {
                let claims = claims.clone().claim("jti", json!([number, turn]));
                let client = client.clone().bearer(&key.sign(claims));
                assert_eq!(client.publish(&[("topic", "a")]).await.status, 401);
            }
        });
    }
    for key in &keys {
        put(key);
        assert_eq!(publish(&hub, ISSUER, key).await, 200, "{}", key.kid);
    }
    strangers.abort_all();
    // What the set no longer has is refused at once, and remembered of the token that was presented.
    assert_eq!(publish(&hub, ISSUER, &keys[0]).await, 401);
}

/// An issuer's site: `openssl s_server`, whose files are whole responses.
struct Site {
    process: Child,
    port: u16,
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Site {
    fn start(home: &Path, port: u16) -> Self {
        let process = Command::new("openssl")
            .args(["s_server", "-quiet", "-HTTP", "-accept", &port.to_string()])
            .args(["-cert", "site.pem", "-key", "site.key"])
            .current_dir(home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl is installed");
        Self { process, port }
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }
}

/// A hub that trusts the site.
fn start(home: &Home, directives: &str) -> Hub {
    let trusted = home.path().join("site.pem");
    let trusted = trusted.to_str().expect("text");
    home.start(
        "http://127.0.0.1:0",
        directives,
        &[("SSL_CERT_FILE", trusted)],
    )
    .expect("it starts")
}

fn put(home: &Path, path: &str, status: &str, fields: &str, body: &str) {
    let path = home.join(path);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    let response = format!("HTTP/1.0 {status}\r\n{fields}\r\n{body}");
    std::fs::write(path, response).expect("a file");
}

/// Waits for a line of the log.
fn said(hub: &Hub, text: &str) {
    let found = hub.log.find(0, PATIENCE, |line| {
        line.contains(text).then(|| line.to_owned())
    });
    found.unwrap_or_else(|all| panic!("{text:?} is not in:\n{all}"));
}

/// The start does not wait for the issuer; no redirect is followed; the keys stay while the issuer is
/// down; each issuer has its own.
#[tokio::test]
async fn a_set_is_fetched_over_https() {
    let home = Home::new();
    let port = talaria_conformance::free_port();
    certify(home.path(), "localhost", ["site.pem", "site.key"]);
    let (old, new, other) = (Key::new("old"), Key::new("new"), Key::new("other"));
    put(
        home.path(),
        "keys",
        "200 ok",
        "Cache-Control: max-age=3600\r\n",
        &set_of(&[&old]),
    );
    put(home.path(), "other", "200 ok", "", &set_of(&[&other]));
    put(
        home.path(),
        "moved",
        "302 found",
        "Location: https://localhost/keys\r\n",
        "",
    );
    let url = |path: &str| format!("https://localhost:{port}{path}");
    let (first, second, third) = (
        "https://a.example",
        "https://b.example",
        "https://c.example",
    );
    let issuer = |identifier: &str, path: &str| {
        format!(
            "issuer {identifier} {{\n publisher {{\n jwks_uri {}\n }}\n}}\n",
            url(path)
        )
    };
    let directives = format!(
        "anonymous\ntransport memory\n{}{}{}",
        issuer(first, "/keys"),
        issuer(second, "/other"),
        issuer(third, "/moved"),
    );
    // The issuer does not listen yet.
    let hub = start(&home, &directives);
    assert_eq!(publish(&hub, first, &old).await, 401);
    let site = Site::start(home.path(), port);
    said(
        &hub,
        &format!("fetched the key set of {}", site.url("/keys")),
    );
    said(
        &hub,
        &format!("fetched the key set of {}", site.url("/other")),
    );
    said(&hub, "redirects to \"https://localhost/keys\"");
    assert_eq!(publish(&hub, first, &old).await, 200);
    assert_eq!(publish(&hub, second, &other).await, 200);
    for (issuer, key) in [(first, &other), (second, &old), (third, &old)] {
        assert_eq!(publish(&hub, issuer, key).await, 401, "{issuer}");
    }
    drop(site);
    assert_eq!(publish(&hub, first, &old).await, 200);
    assert_eq!(publish(&hub, first, &new).await, 401);
}

/// The address of the set is in the issuer's metadata, which must be the issuer's own (RFC 8414, OpenID
/// Connect Discovery).
#[tokio::test]
async fn a_set_is_discovered() {
    let home = Home::new();
    let port = talaria_conformance::free_port();
    certify(home.path(), "localhost", ["site.pem", "site.key"]);
    let site = Site::start(home.path(), port);
    let key = Key::new("one");
    let identifier = site.url("");
    let document =
        |issuer: &str| json!({ "issuer": issuer, "jwks_uri": site.url("/keys") }).to_string();
    let metadata = ".well-known/oauth-authorization-server";
    put(home.path(), "keys", "200 ok", "", &set_of(&[&key]));
    put(
        home.path(),
        metadata,
        "200 ok",
        "",
        &document("https://other.example"),
    );
    let directives = format!(
        "anonymous\ntransport memory\nissuer {identifier} {{\n publisher {{\n jwks_discovery ES256\n }}\n}}"
    );
    let hub = start(&home, &directives);
    said(&hub, "it is the document of the issuer");
    assert_eq!(publish(&hub, &identifier, &key).await, 401);
    // The first document stays wrong, and the second address has the right one.
    let openid = ".well-known/openid-configuration";
    put(home.path(), openid, "200 ok", "", &document(&identifier));
    said(&hub, "fetched the key set");
    assert_eq!(publish(&hub, &identifier, &key).await, 200);
}

/// A key that its issuer withdraws ends its streams once the hub has fetched the set without it; those of the keys
/// that stay go on.
#[tokio::test]
async fn a_withdrawn_key_ends_its_streams() {
    const ISSUER: &str = "https://issuer.example";
    let home = Home::new();
    let keys = ["one", "two", "three"].map(Key::new);
    let path = home.path().join("jwks.json");
    let put = |keys: &[&Key]| {
        let draft = home.path().join("draft.json");
        std::fs::write(&draft, set_of(keys)).expect("a file");
        std::fs::rename(&draft, &path).expect("a file");
    };
    put(&[&keys[0], &keys[1]]);
    let set = format!("jwks_uri file://{}", path.display());
    let directives = format!(
        "transport memory\nissuer {ISSUER} {{\n publisher {{\n {set}\n }}\n subscriber {{\n {set}\n }}\n}}"
    );
    let hub = home
        .start("http://127.0.0.1:0", &directives, &[])
        .expect("it starts");
    let subscriber = |key: &Key| {
        let token = Token::new(&hub.audience)
            .claim("iss", ISSUER.into())
            .grant("subscribe", &[exact("*")]);
        hub.client().bearer(&key.sign(token))
    };
    let mut streams = Vec::new();
    for key in &keys[..2] {
        streams.push(subscriber(key).subscribe(&[exact("a")]).await);
    }
    put(&[&keys[1], &keys[2]]);
    // A token of an unknown key has the set fetched.
    assert_eq!(publish(&hub, ISSUER, &keys[2]).await, 200);
    let mut open = streams.pop().expect("two streams");
    let mut ended = streams.pop().expect("two streams");
    assert_eq!(open.data().await, "");
    // It was asked for by a publisher; subscribers have their own copy.
    subscriber(&keys[2]).subscribe(&[exact("b")]).await;
    let seen = ended.end().await;
    assert!(seen.len() <= 1, "{seen:?}");
    assert_eq!(publish(&hub, ISSUER, &keys[1]).await, 200);
    assert_eq!(open.data().await, "");
}

//! What a set is good for, where it lies, and when it is fetched.

use std::sync::Arc;

use talaria_hub::access::{Algorithm, Issuer, Issuers, KeySet, Role, SigningKey, Verifier};
use talaria_hub::clock::{Clock as _, SystemClock};
use talaria_protocol::{Base, Limits};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::*;

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "https://hub.example/.well-known/mercure";

fn secret(kid: &str) -> String {
    format!("{kid}, a secret of thirty-two bytes or more, for tests")
}

fn published(kid: &str) -> String {
    use base64::Engine as _;
    let secret = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(secret(kid));
    serde_json::json!({ "keys": [{ "kty": "oct", "kid": kid, "k": secret }] }).to_string()
}

fn token(kid: &str, number: usize) -> String {
    let claims = serde_json::json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "a", "client_id": "a", "jti": number.to_string(),
        "iat": SystemClock.unix_time().seconds(), "exp": SystemClock.unix_time().seconds() + 600.0,
    });
    let key = SigningKey::from_secret(secret(kid), Algorithm::HS256).unwrap();
    key.with_kid(kid).sign(&claims).unwrap()
}

fn verifier(set: &Arc<KeySet>) -> Arc<Verifier> {
    let issuers = Issuers::new([Issuer::new(ISSUER).publisher(Arc::clone(set))]);
    Arc::new(Verifier::new(
        issuers.unwrap(),
        Base::synthetic(),
        Limits::default(),
    ))
}

/// The issuer takes longer than the pause, and strangers ask all the time: the next fetch begins as soon
/// as one has ended, and each good token that came meanwhile is judged by it.
#[tokio::test]
async fn a_slow_issuer_fails_no_good_token_while_strangers_ask() {
    let set = Arc::new(KeySet::new(&[Algorithm::HS256]).with_patience(PATIENCE));
    let verifier = verifier(&set);
    let ask = |token: String| {
        let verifier = Arc::clone(&verifier);
        tokio::spawn(async move {
            let audiences = [AUDIENCE.to_owned()];
            let verdict =
                verifier.verify_or_refresh(&token, Role::Publisher, &audiences, &SystemClock);
            verdict.await.map(drop).map_err(|refusal| refusal.code())
        })
    };
    let (begun, mut fetches) = mpsc::unbounded_channel();
    let (paused, mut pauses) = mpsc::unbounded_channel();
    let (answer, answers) = mpsc::unbounded_channel::<String>();
    let follower = Follower {
        lost: Arc::default(),
        source: KeySetSource {
            issuer: ISSUER.to_owned(),
            location: Location::Discovered,
            set: Arc::clone(&set),
        },
    };
    let following = tokio::spawn(async move {
        let answers = Mutex::new(answers);
        let fetch = || async {
            begun.send(()).unwrap();
            let json = answers.lock().await.recv().await.unwrap();
            let taken = follower.source.set.replace(json.as_bytes()).unwrap();
            Ok((taken, MOST))
        };
        let pause = || {
            let (over, until) = oneshot::channel::<()>();
            paused.send(over).unwrap();
            async { until.await.unwrap() }
        };
        follower.keep_up(fetch, pause).await;
    });
    let all = async {
        fetches.recv().await.unwrap();
        let first: oneshot::Sender<()> = pauses.recv().await.unwrap();
        answer.send(published("old")).unwrap();
        let strangers: Vec<_> = (0..60).map(|number| ask(token("other", number))).collect();
        first.send(()).unwrap();
        fetches.recv().await.unwrap();
        // The pause is over before the issuer has answered, which did so with the old key.
        pauses.recv().await.unwrap().send(()).unwrap();
        let good: Vec<_> = (0..9).map(|number| ask(token("new", number))).collect();
        while !set.is_wanted() {
            tokio::task::yield_now().await;
        }
        answer.send(published("old")).unwrap();
        for stranger in strangers {
            assert_eq!(stranger.await.unwrap(), Err("kid_unknown"));
        }
        fetches.recv().await.unwrap();
        answer.send(published("new")).unwrap();
        for good in good {
            assert_eq!(good.await.unwrap(), Ok(()));
        }
    };
    let long = Duration::from_secs(60);
    timeout(long, all).await.expect("each fetch begins");
    following.abort();
}

#[test]
fn a_set_is_good_for_as_long_as_its_answer_says_within_bounds() {
    let seconds = |control| good_for(control).as_secs();
    assert_eq!(seconds(""), 3600);
    assert_eq!(seconds("no-store"), 3600);
    assert_eq!(seconds("public, Max-Age=600"), 600);
    assert_eq!(seconds("max-age=\"7200\""), 7200);
    assert_eq!(seconds("max-age=0"), 60);
    assert_eq!(seconds("max-age=99999999"), 24 * 3600);
    assert_eq!(seconds("max-age=-1"), 3600);
}

/// RFC 8414, section 3.1; OpenID Connect Discovery, section 4.
#[test]
fn the_metadata_document_lies_where_the_standards_say() {
    let of = |issuer: &str| documents(&Url::parse(issuer).unwrap()).map(String::from);
    assert_eq!(
        of("https://a.example"),
        [
            "https://a.example/.well-known/oauth-authorization-server",
            "https://a.example/.well-known/openid-configuration"
        ]
    );
    assert_eq!(
        of("https://a.example/realms/x/"),
        [
            "https://a.example/.well-known/oauth-authorization-server/realms/x",
            "https://a.example/realms/x/.well-known/openid-configuration"
        ]
    );
}

#[test]
fn a_metadata_document_must_be_of_the_issuer() {
    let document = br#"{"issuer":"https://a.example","jwks_uri":"https://a.example/keys"}"#;
    assert_eq!(
        named(document, "https://a.example").unwrap().path(),
        "/keys"
    );
    assert!(
        named(document, "https://a.example/")
            .unwrap_err()
            .to_string()
            .contains("equal")
    );
    assert!(named(b"{}", "x").is_err() && named(b"<", "x").is_err());
}

//! Canaries: keys, tokens and payloads appear in no log line at any level, and in no error.

use serde_json::json;
use talaria_conformance::HUB_PATH;
use talaria_conformance::client::target;
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::token::{DETAIL, ISSUER, Token, exact};

const PUBLISHER: &str = "canary-key-of-the-publishers-0123456789";
const SUBSCRIBER: &str = "canary-key-of-the-subscribers-0123456789";
const DATA: &str = "canary-data-of-an-update";
const PAYLOAD: &str = "canary-payload-of-a-token";

fn started(home: &Home, directives: &str, variables: &[(&str, &str)]) -> Hub {
    let keys = [
        ("MERCURE_PUBLISHER_JWT_KEY", PUBLISHER),
        ("MERCURE_SUBSCRIBER_JWT_KEY", SUBSCRIBER),
        ("RUST_LOG", "trace"),
    ];
    let variables = [&keys[..], variables].concat();
    home.start("http://127.0.0.1:0", directives, &variables)
        .expect("it starts")
}

/// What no log line and no answer may contain.
struct Canaries {
    words: Vec<String>,
    said: String,
}

impl Canaries {
    fn token(&mut self, token: &Token, key: &str) -> String {
        let token = token.sign(key);
        // Header and claims alone are not secret; the signature makes the token a secret.
        self.words
            .extend(token.rsplit('.').next().map(str::to_owned));
        token
    }

    fn check(&self, log: &str) {
        assert!(
            log.contains("TRACE") || log.contains("DEBUG"),
            "the log is at its most talkative"
        );
        for word in &self.words {
            assert!(!log.contains(word.as_str()), "{word} is in the log:\n{log}");
            assert!(
                !self.said.contains(word.as_str()),
                "{word} is in an answer:\n{}",
                self.said
            );
        }
    }
}

/// Publishes with a token that is presented in every way.
async fn publish_in_every_way(hub: &Hub, canaries: &mut Canaries, presented: &str) {
    let fields = [("topic", "a"), ("data", DATA), ("id", "1")];
    let header = hub
        .client()
        .header("authorization", &format!("Bearer {presented}"));
    let basic = hub
        .client()
        .header("authorization", &format!("Basic {presented}"));
    let cookies = ["mercureAuthorization", "__Secure-mercure_access_token"]
        .map(|name| hub.client().cookie(name, presented));
    let mut clients = vec![header, basic];
    clients.extend(cookies);
    for client in clients {
        let answer = client.publish(&fields).await;
        canaries.said += &answer.text;
        let broken = [("topic", ""), ("data", DATA), ("retry", "x")];
        canaries.said += &client.publish(&broken).await.text;
        let answer = client
            .header("origin", "https://evil.example")
            .publish(&fields)
            .await;
        canaries.said += &answer.text;
    }
    let query = target(&[("authorization", presented)]);
    let client = hub.client().form();
    let body = format!("topic=a&data={DATA}");
    let answer = client.send("POST", &query, body).await;
    canaries.said += &answer.text;
}

/// Every way to present a token, good and bad, under both generations; updates with a payload;
/// subscriptions with one; everything that is refused.
#[tokio::test]
async fn nothing_secret_is_logged_or_answered() {
    for named in [false, true] {
        let issuer: &[(&str, &str)] = &[("MERCURE_TRUSTED_ISSUERS", ISSUER)];
        let home = Home::new();
        let directives = "anonymous\nsubscriptions\nprotocol_version_compatibility 8\nrepeat_window 1m\n\
                          cors_origins https://app.example";
        let hub = started(&home, directives, if named { issuer } else { &[] });
        let mut canaries = Canaries {
            words: [PUBLISHER, SUBSCRIBER, DATA, PAYLOAD]
                .map(str::to_owned)
                .to_vec(),
            said: String::new(),
        };
        let issuer = if named { ISSUER } else { "https://localhost" };
        let modern = |action: &str| {
            Token::new(&hub.audience).claim("iss", issuer.into()).claim(
                "authorization_details",
                json!([{
                    "type": DETAIL,
                    "actions": [action],
                    "topics": [{ "match": "*" }],
                    "payload": { "is": PAYLOAD },
                }]),
            )
        };
        let older = |action: &str| Token::older(json!({ (action): ["*"], "payload": PAYLOAD }));
        for (index, token) in [modern("publish"), older("publish")].iter().enumerate() {
            let good = canaries.token(token, PUBLISHER);
            let wrong = canaries.token(token, "another-key-of-thirty-two-bytes-or-more");
            let expired = canaries.token(&token.clone().claim("exp", json!(1)), PUBLISHER);
            let cut = &good[..good.len() - 5];
            for presented in [
                good.as_str(),
                wrong.as_str(),
                expired.as_str(),
                cut,
                "x",
                "",
            ] {
                publish_in_every_way(&hub, &mut canaries, presented).await;
            }
            let ndjson = hub
                .client()
                .bearer(&good)
                .header("content-type", "application/x-ndjson");
            let lines = format!(
                "{{\"topic\":\"a\",\"data\":\"{DATA}\"}}\n{{\"data\":\"{DATA}\"}}\n{DATA}\n"
            );
            let answer = ndjson.send("POST", HUB_PATH, lines).await;
            assert_eq!(answer.status, 200, "{index}");
            canaries.said += &answer.text;
        }
        for token in [modern("subscribe"), older("subscribe")] {
            let token = canaries.token(&token, SUBSCRIBER);
            let client = hub.client().bearer(&token);
            drop(client.subscribe(&[exact("a")]).await);
            let query = [("topic", "a"), ("authorization", token.as_str())];
            drop(hub.client().subscribe_with(&query).await);
            canaries.said += &client
                .get("/.well-known/mercure/subscriptions/exact/a/x")
                .await
                .text;
        }
        let log = hub.log.clone();
        hub.stop().await;
        canaries.check(&log.since(0).join("\n"));
    }
}

/// The message about a refused configuration quotes no key.
#[tokio::test]
async fn a_refused_configuration_quotes_no_key() {
    const KEY: &str = "canary-key-in-a-file";
    for file in [
        "publisher_jwt KEY HS999",
        "publisher_jwt KEY HS256 surplus",
        "publisher_jwt KEY RS256",
        "publisher_jwt \"KEY",
        "publisher_jwt KEY {\n}",
        "issuer a {\n publisher KEY {\n }\n}",
        "issuer a {\n publisher {\n KEY\n }\n}",
        "issuer a {\n publisher {\n jwt KEY\n jwks_uri https://a.example\n }\n}",
        "publisher_jwks_url https://user:KEY@a.example/keys",
        "publisher_jwt {env.UNSET}KEY{",
    ] {
        let home = Home::new();
        let text = format!(
            ":0 {{\n mercure {{\n {} \n }}\n}}\n",
            file.replace("KEY", KEY)
        );
        home.configure(text);
        let output = home.run(&["validate"]);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).expect("text");
        assert!(!output.status.success(), "{file}");
        assert!(!said.contains(KEY), "{file}: {said}");
    }
}

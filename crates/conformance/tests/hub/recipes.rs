//! The environments that the recipes of applications write, on a port that is free here.

use serde_json::json;
use talaria_conformance::hub::{Home, PUBLISHER_KEY, SUBSCRIBER_KEY};
use talaria_conformance::token::{DETAIL, Token, exact};

use crate::https::curl;

const KEY: &str = "!ChangeThisMercureHubJWTSecretKey!";
const KEYS: [(&str, &str); 2] = [
    ("MERCURE_PUBLISHER_JWT_KEY", KEY),
    ("MERCURE_SUBSCRIBER_JWT_KEY", KEY),
];

fn publish(home: &Home, url: &str, token: &Token, more: &[&str]) -> String {
    let authorization = format!("Authorization: Bearer {}", token.sign(KEY));
    let mut arguments = vec!["-H", &authorization, "-d", "topic=https://example.com/1"];
    arguments.extend(["-d", "data=x", "-w", " %{http_code}"]);
    arguments.extend(more);
    arguments.push(url);
    let output = curl(home, &arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).expect("text")
}

fn stream(home: &Home, url: &str, query: &str, more: &[&str]) -> String {
    let url = format!("{url}?{query}");
    let mut arguments = vec!["-N", "-i", "--max-time", "2"];
    arguments.extend(more);
    arguments.push(&url);
    let output = curl(home, &arguments);
    String::from_utf8(output.stdout).expect("text")
}

/// Bundles up to 0.5 with their tokens of Mercure 0.x, over HTTPS (B-870 to B-872).
#[tokio::test]
async fn the_older_symfony_recipe() {
    assert_ne!(PUBLISHER_KEY, SUBSCRIBER_KEY);
    let home = Home::new();
    let port = talaria_conformance::free_port();
    let directives = "cors_origins http://127.0.0.1:8000";
    let name = format!("localhost:{port}");
    let _hub = home.start(&name, directives, &KEYS).expect("it starts");
    let site = format!("https://localhost:{port}");
    let url = format!("{site}/.well-known/mercure");
    let healthy = curl(&home, &["-f", &format!("{site}/healthz")]);
    assert!(healthy.status.success());

    let token = Token::older(json!({ "publish": ["*"] }));
    assert!(publish(&home, &url, &token, &["-d", "private=on"]).ends_with(" 200"));
    let token = Token::older(json!({ "subscribe": ["https://example.com/{id}"] })).sign(KEY);
    let cookie = format!("mercureAuthorization={token}");
    let query = "topic=https%3A%2F%2Fexample.com%2F%7Bid%7D&lastEventID=earliest";
    let origin = ["-b", cookie.as_str(), "-H", "Origin: http://127.0.0.1:8000"];
    let said = stream(&home, &url, query, &origin);
    assert!(said.contains("data: x\n"), "{said}");
    let said = said.to_lowercase();
    assert!(
        said.contains("access-control-allow-origin: http://127.0.0.1:8000"),
        "{said}"
    );
    assert!(
        said.contains("access-control-allow-credentials: true"),
        "{said}"
    );
}

/// Bundles from 0.5 on, with tokens of Mercure 1.0 for the public URL, also when the application
/// publishes by a name inside its network (B-1002, B-1003).
#[tokio::test]
async fn the_newer_symfony_recipe() {
    let home = Home::new();
    let (port, inner) = (
        talaria_conformance::free_port(),
        talaria_conformance::free_port(),
    );
    let directives = "playground\ncors_origins http://127.0.0.1:8000";
    let variables = [
        KEYS[0],
        KEYS[1],
        ("MERCURE_TRUSTED_ISSUERS", "https://localhost"),
    ];
    let name = format!("localhost:{port}, http://php:{inner}");
    let _hub = home
        .start(&name, directives, &variables)
        .expect("it starts");
    let url = format!("https://localhost:{port}/.well-known/mercure");
    let token = Token::new(&url)
        .claim("sub", json!("app"))
        .claim("client_id", json!("app"))
        .grant("publish", &[exact("*")]);
    assert!(publish(&home, &url, &token, &[]).ends_with(" 200"));
    let inside = format!("http://php:{inner}/.well-known/mercure");
    let resolve = format!("php:{inner}:127.0.0.1");
    let more = ["--resolve", resolve.as_str(), "-d", "data=y"];
    assert!(publish(&home, &inside, &token, &more).ends_with(" 200"));
    let query = "match=https%3A%2F%2Fexample.com%2F1&last_event_id=earliest";
    let said = stream(&home, &url, query, &["-H", "Origin: http://127.0.0.1:8000"]);
    assert_eq!(said.matches("data: x\n").count(), 2, "{said}");
    let older = Token::older(json!({ "publish": ["*"] }));
    assert!(publish(&home, &url, &older, &[]).ends_with(" 401"));
}

/// The quick starts of Mercure 0.x and 1.0 against one hub with the two key variables alone: `curl`
/// publishes with the token of each, and the page of each listens.
#[tokio::test]
async fn the_quick_starts_of_both_generations() {
    let home = Home::new();
    let port = talaria_conformance::free_port();
    let name = format!("https://localhost:{port}");
    let _hub = home.start(&name, "anonymous", &KEYS).expect("it starts");
    // The commands name `https://localhost`; port 443 is elsewhere here.
    let elsewhere = format!("localhost:443:127.0.0.1:{port}");
    let to = ["--connect-to", elsewhere.as_str()];
    let url = "https://localhost/.well-known/mercure";
    let grant =
        |action: &str| json!({ "type": DETAIL, "actions": [action], "topics": [{ "match": "*" }] });
    let modern = Token {
        header: json!({ "alg": "HS256", "typ": "at+jwt" }),
        claims: json!({
            "iss": "https://localhost",
            "aud": url,
            "exp": 4_102_444_800_u64,
            "authorization_details": [grant("publish"), grant("subscribe")],
        }),
    };
    let older = Token {
        header: json!({ "alg": "HS256" }),
        claims: json!({ "mercure": { "publish": ["*"], "subscribe": ["https://example.com/my-private-topic"] } }),
    };
    for token in [&modern, &older] {
        assert!(publish(&home, url, token, &to).ends_with(" 200"));
    }
    for query in [
        "match=https%3A%2F%2Fexample.com%2F1&last_event_id=earliest",
        "match_urlpattern=https%3A%2F%2Fexample.com%2F%3Aid&last_event_id=earliest",
        "topic=https%3A%2F%2Fexample.com%2F%7Bid%7D&lastEventID=earliest",
    ] {
        let said = stream(&home, url, query, &to);
        assert_eq!(said.matches("data: x\n").count(), 2, "{query}: {said}");
    }
}

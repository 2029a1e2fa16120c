//! No token, cookie or password is in any log, wherever a client puts it and however it writes its name.

use bytes::Bytes;
use serde_json::json;
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::token::{Token, exact};
use talaria_conformance::{HUB_PATH, raw};

use super::{BLOCK, JSON, lines, parsed, request, started};

/// What no log may have: the signature of the token, and another secret.
struct Secrets {
    token: String,
    words: [String; 2],
}

impl Secrets {
    fn new(hub: &Hub) -> Self {
        let token = Token::older(json!({ "publish": ["*"], "subscribe": ["*"] }));
        let token = hub.sign_as_publisher(&token);
        let signature = token.rsplit('.').next().expect("a signature").to_owned();
        Self {
            token,
            words: [signature, "canary-0123456789".to_owned()],
        }
    }

    fn assert_absent(&self, text: &str) {
        for word in &self.words {
            let line = text.lines().find(|line| line.contains(word.as_str()));
            assert_eq!(line, None, "{word}");
        }
    }
}

/// The places where a secret may stand in the head of a request: targets, and fields.
fn places(secret: &str) -> Vec<(String, Vec<(&'static str, String)>)> {
    let mut places = Vec::new();
    for name in [
        "authorization",
        "Authorization",
        "AUTHORIZATION",
        "%61uthorization",
        "%41%55thorization",
        "%2561uthorization",
        "+authorization",
        "authorization%20",
        "authorization[]",
        "authorization%5B0%5D",
        "access_token",
        "Access_Token",
        "jwt",
        "JWT",
        "id_token",
        "a=b;authorization",
    ] {
        for path in [HUB_PATH, "/page", "/quoted%22path"] {
            places.push((format!("{path}?topic=a&{name}={secret}&x=y"), Vec::new()));
        }
    }
    let inner = format!("https%3A%2F%2Fa.example%2F%3Fauthorization%3D{secret}");
    places.push((format!("/page?return={inner}"), Vec::new()));
    places.push((
        format!("/page?return={}", inner.replace('%', "%25")),
        Vec::new(),
    ));
    for (name, value) in [
        ("authorization", format!("Bearer {secret}")),
        ("authorization", format!("bearer {secret}")),
        ("authorization", secret.to_owned()),
        ("proxy-authorization", format!("Basic {secret}")),
        ("cookie", format!("mercureAuthorization={secret}; a=b")),
        ("cookie", format!("__Secure-mercure_access_token={secret}")),
        ("x-forwarded-authorization", format!("Bearer {secret}")),
        (
            "referer",
            format!("https://a.example/?authorization={secret}#top"),
        ),
        (
            "referer",
            format!("https://a.example/?%61uthorization={secret}"),
        ),
        ("x-original-url", format!("/a?b=c&jwt={secret}")),
        (
            "link",
            format!("<https://a.example/?access_token={secret}>; rel=self"),
        ),
    ] {
        places.push((format!("{HUB_PATH}?topic=a"), vec![(name, value)]));
    }
    places
}

/// Places where only a token is known as one.
fn places_of_tokens(token: &str) -> Vec<(String, Vec<(&'static str, String)>)> {
    vec![
        (format!("{HUB_PATH}/{token}"), Vec::new()),
        (format!("/page?x={token}"), Vec::new()),
        (format!("/page?{token}"), Vec::new()),
        (format!("/page?x={}", token.replace('.', "%2E")), Vec::new()),
        (
            format!("{HUB_PATH}?topic=https://a.example/{token}"),
            Vec::new(),
        ),
        (
            format!("{HUB_PATH}?topic=a"),
            vec![("x-token", token.to_owned())],
        ),
        (
            format!("{HUB_PATH}?topic=a"),
            vec![("sec-websocket-protocol", format!("v1, {token}"))],
        ),
        (
            format!("{HUB_PATH}?topic=a"),
            vec![("last-event-id", token.to_owned())],
        ),
        (
            format!("{HUB_PATH}?topic=a"),
            vec![("user-agent", format!("a ({token}) b"))],
        ),
        (
            format!("{HUB_PATH}?topic=a"),
            vec![("origin", format!("https://{token}.example"))],
        ),
    ]
}

/// Every place, over HTTP/1.1 and HTTP/2, accepted and refused; the access log as JSON, as text and in a file, and
/// the program's log at its most talkative.
#[tokio::test]
async fn secrets_are_in_no_log() {
    let home = Home::new();
    let site = "log\n log file {\n output file json.log\n }\n log text {\n output file text.log\n format console\n }\n log raw {\n output file raw.log\n format filter {\n request>uri regexp REDACTED still\n resp_headers delete\n }\n }\n header Link \"<https://a.example/?authorization={query.authorization}>\"\n respond /page \"{uri}\"";
    let text =
        format!("{{\n admin off\n debug\n}}\nhttp://127.0.0.1:0 {{\n {site}\n {BLOCK}\n}}\n");
    home.configure(text);
    let hub = home
        .start("ignored", "", &[JSON, ("RUST_LOG", "trace")])
        .expect("it starts");
    let secrets = Secrets::new(&hub);
    let mut asked = Vec::new();
    for secret in [secrets.token.as_str(), secrets.words[1].as_str()] {
        asked.extend(places(secret));
    }
    asked.extend(places_of_tokens(&secrets.token));
    let count = 2 * asked.len();
    for (target, fields) in asked {
        for client in [hub.client(), hub.client().http2()] {
            let client = fields
                .iter()
                .fold(client, |client, (name, value)| client.header(name, value));
            drop(client.open("GET", &target, Bytes::new()).await);
        }
    }
    let publisher = hub.client().bearer(&secrets.token);
    assert_eq!(
        publisher
            .publish(&[("topic", "a"), ("data", &secrets.words[1])])
            .await
            .status,
        200
    );
    let broken = format!(
        "GET /a?jwt={} HTTP/1.1\r\nHost: a b\r\nAuthorization: {}\r\nConnection: close\r\n\r\n",
        secrets.token, secrets.token
    );
    raw::exchange(hub.address, broken.as_bytes()).await;
    let log = hub.log_to_the_end().await;
    secrets.assert_absent(&log.join("\n"));
    let of_requests = log.iter().filter_map(|line| parsed(line));
    let of_requests = of_requests
        .filter(|record| record["msg"] == "handled request")
        .count();
    assert_eq!(of_requests, count + 1);
    assert_eq!(
        lines(&home.path().join("json.log"), count + 1).len(),
        count + 1
    );
    for name in ["json.log", "text.log", "raw.log"] {
        let text = std::fs::read_to_string(home.path().join(name)).expect("a log");
        assert_eq!(text.lines().count(), count + 1, "{name}");
        assert!(
            text.contains(if name == "raw.log" {
                "still"
            } else {
                "REDACTED"
            }),
            "{name}"
        );
        secrets.assert_absent(&text);
    }
}

/// `log_credentials` shows the fields with secrets, and only those; the start warns of it (B-711).
#[tokio::test]
async fn credentials_are_shown_on_request() {
    let home = Home::new();
    let hub = started(
        &home,
        "servers {\n log_credentials\n}",
        "log\n respond /a 200",
    );
    let client = hub
        .client()
        .header("cookie", "a=canary")
        .bearer("canary-of-the-field");
    client.get("/a?authorization=canary-of-the-query").await;
    let line = request(&hub, "/a");
    let headers = &line["request"]["headers"];
    assert_eq!(headers["Cookie"], json!(["a=canary"]));
    assert_eq!(
        headers["Authorization"],
        json!(["Bearer canary-of-the-field"])
    );
    assert_eq!(line["request"]["uri"], "/a?authorization=REDACTED");
    let warned = hub
        .log
        .since(0)
        .iter()
        .any(|line| line.contains("log_credentials"));
    assert!(warned);
}

/// What a client sends neither ends nor forges a line, and no line is long.
#[tokio::test]
async fn lines_are_bounded_and_whole() {
    let home = Home::new();
    let site = "log\n log text {\n output file text.log\n format console\n }\n respond 200";
    let hub = started(&home, "", site);
    let mut client = hub.client();
    for number in 0..80 {
        client = client.header(&format!("x-{number}"), &"~\"\\".repeat(300));
    }
    let long = "x%22%0A".repeat(1_000);
    client.get(&format!("/a?b={long}")).await;
    drop(
        hub.client()
            .subscribe(&[exact("y{}\"\\".repeat(100))])
            .await,
    );
    let lines = hub.log_to_the_end().await;
    for line in &lines {
        assert!(line.len() <= 16 * 1024, "{}", line.len());
        assert!(parsed(line).is_some(), "{line}");
    }
    let text = std::fs::read_to_string(home.path().join("text.log")).expect("a log");
    for line in text.lines() {
        assert!(
            line.len() <= 16 * 1024 && line.contains("handled request"),
            "{line}"
        );
    }
    assert_eq!(text.lines().count(), 2);
}

//! `talaria doctor` through nginx: what it holds back, compresses, cuts off and shows.

use std::process::Output;

use serde_json::json;
use talaria_conformance::hub::{Home, Hub, PUBLISHER_KEY};
use talaria_conformance::token::{DETAIL, ISSUER, Token};

use crate::nginx::Nginx;

const AUDIENCE: &str = "http://hub.example/.well-known/mercure";

fn hub(home: &Home, directives: &str) -> Hub {
    let variables = [
        ("MERCURE_TRUSTED_ISSUERS", ISSUER),
        ("MERCURE_SUBSCRIBER_JWT_KEY", PUBLISHER_KEY),
    ];
    let directives =
        format!("anonymous\ntransport memory\nresource_identifier {AUDIENCE}\n{directives}");
    home.start("http://:0", &directives, &variables)
        .expect("it starts")
}

fn token() -> String {
    let details = json!([{ "type": DETAIL, "actions": ["publish", "subscribe"], "topics": [{ "match": "*" }] }]);
    Token::new(AUDIENCE)
        .claim("authorization_details", details)
        .sign(PUBLISHER_KEY)
}

async fn doctor(home: &Home, arguments: &[&str]) -> (String, Option<i32>) {
    let mut command = home.program();
    command.arg("doctor").args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output: Output = output.await.expect("it ran").expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (
        String::from_utf8(text).expect("UTF-8"),
        output.status.code(),
    )
}

/// nginx as the page on proxies has it passes a stream on at once.
#[tokio::test]
async fn nginx_that_does_not_buffer_is_in_order() {
    let home = Home::new();
    let hub = hub(&home, "");
    let nginx = Nginx::before(hub.address.port(), "proxy_buffering off;");
    let (text, _) = doctor(&home, &[&nginx.url(), "--token", &token()]).await;
    for part in [
        "ok      stream: its first byte came after",
        "ok      delivery: 5 updates",
        "ok      health",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// nginx that buffers, against the hub's wish, is found, and named with its directives.
#[tokio::test]
async fn nginx_that_buffers_is_found() {
    let home = Home::new();
    let hub = hub(&home, "");
    // Over HTTP/1.0, which nginx speaks unless told otherwise, no chunk says where it ends.
    let nginx = Nginx::serve(&format!(
        "location / {{\nproxy_pass http://127.0.0.1:{};\nproxy_ignore_headers X-Accel-Buffering;\n}}",
        hub.address.port()
    ));
    let (text, code) = doctor(&home, &[&nginx.url(), "--token", &token()]).await;
    assert_eq!(code, Some(1), "{text}");
    for part in [
        "no answer within 10 s, and then all at once when up to 24 updates of 8 KiB",
        "Server: nginx",
        "proxy_ignore_headers X-Accel-Buffering",
        "docs/proxies.md#when-it-does-not-work",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// A stream that nginx compresses is found.
#[tokio::test]
async fn compression_is_found() {
    let home = Home::new();
    let hub = hub(&home, "");
    let gzip = "proxy_buffering off;\ngzip on;\ngzip_types text/event-stream;\ngzip_proxied any;";
    let nginx = Nginx::before(hub.address.port(), gzip);
    let (text, code) = doctor(&home, &[&nginx.url()]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("FAULT   stream: it is compressed (gzip)"),
        "{text}"
    );
    assert!(text.contains("gzip_types"), "{text}");
}

/// A proxy that ends silent streams before the hub's heartbeat comes is found, with --idle.
#[tokio::test]
async fn an_idle_timeout_is_found() {
    let home = Home::new();
    let hub = hub(&home, "heartbeat 1h");
    let hasty = "proxy_buffering off;\nproxy_read_timeout 1s;";
    let nginx = Nginx::before(hub.address.port(), hasty);
    let (text, code) = doctor(&home, &[&nginx.url(), "--idle", "30s"]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("FAULT   idle stream: it was cut off after "),
        "{text}"
    );
    assert!(text.contains("proxy_read_timeout"), "{text}");

    let patient = Nginx::before(hub.address.port(), "proxy_buffering off;");
    let (text, _) = doctor(&home, &[&patient.url(), "--idle", "1s"]).await;
    assert!(
        text.contains("note    idle stream: it stayed open for 1.0 s without a heartbeat"),
        "{text}"
    );
}

/// A proxy that does not reach the hub is not taken for one.
#[tokio::test]
async fn a_proxy_without_its_hub() {
    let home = Home::new();
    let nginx = Nginx::before(talaria_conformance::free_port(), "");
    let (text, code) = doctor(&home, &[&nginx.url()]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("FAULT   hub: nginx") && text.contains("502 Bad Gateway"),
        "{text}"
    );
    assert!(text.contains("start the hub"), "{text}");
}

/// Metrics and the admin listener that a proxy shows to the public are found.
#[tokio::test]
async fn what_is_public_by_mistake_is_found() {
    let home = Home::new();
    let hub = hub(&home, "");
    let port = hub.address.port();
    let nginx = Nginx::serve(&format!(
        "location /.well-known/ {{\nproxy_pass http://127.0.0.1:{port};\nproxy_set_header Host $http_host;\n}}\n\
         location = /metrics {{\ndefault_type text/plain;\nreturn 200 '# TYPE mercure_subscribers_connected gauge\\n';\n}}\n\
         location = /config/ {{\ndefault_type application/json;\nreturn 200 '{{}}';\n}}"
    ));
    let (text, code) = doctor(&home, &[&nginx.url()]).await;
    assert_eq!(code, Some(1), "{text}");
    for part in [
        "note    metrics: the metrics can be read from this machine",
        "FAULT   admin: the hub's URL leads to the admin listener",
        "note    health: the answer is 404",
        "docs/operating.md#the-admin-listener",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

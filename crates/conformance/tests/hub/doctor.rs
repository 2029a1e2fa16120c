//! `talaria doctor`: a hub without faults, and each fault with its remedy.

use std::process::Output;

use serde_json::json;
use talaria_conformance::hub::{Home, Hub, PUBLISHER_KEY};
use talaria_conformance::token::{DETAIL, ISSUER, Token, exact};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const ORIGIN: &str = "https://app.example";

fn doctor(home: &Home, arguments: &[&str]) -> Output {
    let output = home.program().arg("doctor").args(arguments).output();
    output.expect("it runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A token for both roles, with one key.
fn token(audience: &str) -> Token {
    Token::new(audience).claim(
        "authorization_details",
        json!([{ "type": DETAIL, "actions": ["publish", "subscribe"], "topics": [{ "match": "*" }] }]),
    )
}

fn start(home: &Home, name: &str, directives: &str) -> Hub {
    let variables = [
        ("MERCURE_TRUSTED_ISSUERS", ISSUER),
        ("MERCURE_SUBSCRIBER_JWT_KEY", PUBLISHER_KEY),
    ];
    home.start(name, directives, &variables).expect("it starts")
}

#[tokio::test]
async fn a_hub_in_order_has_no_fault() {
    let home = Home::new();
    let port = talaria_conformance::free_port();
    let _hub = start(
        &home,
        &format!("https://localhost:{port}"),
        &format!("anonymous\ntransport memory\ncors_origins {ORIGIN} https://localhost"),
    );
    let url = format!("https://localhost:{port}/.well-known/mercure");
    let token = token(&url).sign(PUBLISHER_KEY);
    let root = home
        .path()
        .join("data/caddy/pki/authorities/local/root.crt");
    let root = root.to_str().expect("UTF-8");
    let asked = [&url, "--origin", "https://localhost", "--token", &token];
    let output = doctor(&home, &[&asked[..], &["--cacert", root]].concat());
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    for line in [
        "ok      hub: it answers as a Mercure hub does",
        "ok      HTTP version: HTTP/2",
        "ok      health: the hub can store updates",
        "ok      connection: the certificate is trusted here",
        "ok      discovery: the hub identifies itself as https://localhost",
        "ok      identity: it does not depend on the Host",
        "ok      token: it is for https://localhost",
        "ok      CORS: pages of https://localhost may use the hub, with cookies",
        "ok      cookie: __Secure-mercure_access_token can reach the hub",
        "ok      stream: its first byte came after",
        "ok      delivery: 5 updates, the slowest received after",
        "nothing is wrong",
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
    // What signs it is not shown.
    assert!(!text.contains(&token));

    // Without --cacert, the client of this machine does not trust the local authority.
    let output = doctor(&home, &asked);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "FAULT   connection: only the root of Talaria's local authority makes the certificate pass",
        "talaria trust",
        "docs/https.md#who-trusts-it",
        "ok      stream: its first byte came after",
        "faults: 1\n",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }

    // The hub's own origin needs no permission.
    let own = format!("https://localhost:{port}");
    let text = said(&doctor(&home, &[&url, "--origin", &own, "--cacert", root]));
    assert!(
        text.contains("ok      CORS: pages of https://localhost"),
        "{text}"
    );
    assert!(
        text.contains("own origin, which needs no permission"),
        "{text}"
    );
}

/// The findings are one JSON object, too, each with what was asked, what came and what to do.
#[tokio::test]
async fn findings_are_json() {
    let home = Home::new();
    let hub = start(&home, "http://:0", "anonymous\ntransport memory");
    let url = format!("http://localhost:{}", hub.address.port());
    let output = doctor(&home, &[&url, "--origin", ORIGIN, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = report["findings"].as_array().expect("a list");
    let faults = findings.iter().filter(|it| it["verdict"] == "fault");
    assert_eq!(report["faults"], faults.count());
    let cors = findings.iter().find(|it| it["subject"] == "CORS");
    let cors = cors.expect("CORS is examined");
    assert!(
        cors["asked"]
            .as_str()
            .is_some_and(|it| it.contains("Origin: https://app.example"))
    );
    assert!(
        cors["found"]
            .as_str()
            .is_some_and(|it| it.contains("no Access-Control-Allow-Origin"))
    );
    assert!(
        cors["remedy"]
            .as_str()
            .is_some_and(|it| it.contains("cors_origins"))
    );
    assert!(
        cors["docs"]
            .as_str()
            .is_some_and(|it| it.ends_with("docs/http.md#cors"))
    );
}

/// An origin without a scheme is refused, with the one that was probably meant.
#[test]
fn an_origin_has_a_scheme() {
    let home = Home::new();
    for (origin, meant) in [
        ("app.example", "--origin https://app.example"),
        ("localhost:8000", "--origin https://localhost:8000"),
    ] {
        let output = doctor(&home, &["http://localhost", "--origin", origin]);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(
            text.contains("the scheme is missing") && text.contains(meant),
            "{text}"
        );
    }
}

#[tokio::test]
async fn each_fault_has_its_remedy() {
    let home = Home::new();
    let named = start(&home, "http://127.0.0.1:0", "anonymous\ntransport memory");
    let url = format!("http://localhost:{}", named.address.port());
    let text = said(&doctor(&home, &[&url]));
    assert!(
        text.contains("FAULT   hub: the hub answered 421") && text.contains("SERVER_NAME"),
        "{text}"
    );
    let hub = start(&home, "http://:0", "anonymous\ntransport memory");
    let url = format!("http://localhost:{}", hub.address.port());
    let expired = token("https://elsewhere.example").claim("exp", json!(1));
    let wrong = expired.sign("another key of thirty-two bytes or more");
    let output = doctor(&home, &[&url, "--origin", ORIGIN, "--token", &wrong]);
    let text = said(&output);
    assert!(!output.status.success(), "{text}");
    for (fault, remedy) in [
        ("FAULT   token: it has expired", "get a new one"),
        (
            "FAULT   token: its `aud` is \"https://elsewhere.example\"",
            "accepted_audiences",
        ),
        (
            "FAULT   CORS: pages of https://app.example may not use the hub",
            "cors_origins https://app.example",
        ),
        (
            "FAULT   cookie: app.example and localhost are different sites",
            "Authorization header",
        ),
        (
            "FAULT   stream: the hub answered 401",
            "talaria token check",
        ),
        (
            "FAULT   identity: the hub takes its name from the Host of a request",
            "resource_identifier",
        ),
        ("faults: 6\n", ""),
    ] {
        assert!(
            text.contains(fault) && text.contains(remedy),
            "{fault}: {remedy} is not in:\n{text}"
        );
    }
    let unused = format!("http://127.0.0.1:{}", talaria_conformance::free_port());
    let text = said(&doctor(&home, &[&unused]));
    assert!(
        text.contains("FAULT   connection: ") && text.contains("faults: 1"),
        "{text}"
    );
}

/// A hub that lets a client choose its identity has a fault, and the report names it.
#[tokio::test]
async fn an_identity_that_clients_choose_is_a_fault() {
    const FAULT: &str = "FAULT   identity: the hub takes its name from the ";
    let home = Home::new();
    for (name, directives, says) in [
        ("http://localhost:0", "", "ok      identity"),
        ("http://:0", "", FAULT),
        (
            "http://:0",
            "resource_identifier http://localhost/.well-known/mercure",
            "ok      identity",
        ),
        (
            "http://:0",
            "protocol_version_compatibility 8",
            "note    identity",
        ),
        (
            "http://localhost:0",
            "trusted_proxies 127.0.0.1",
            "doctor itself counts as a proxy",
        ),
        (
            "http://localhost:0",
            "trusted_proxies 127.0.0.1",
            "FAULT   identity: the hub takes its name from the X-Forwarded-Host",
        ),
    ] {
        let directives = format!("anonymous\ntransport memory\n{directives}");
        let hub = start(&home, name, &directives);
        let url = format!("http://localhost:{}", hub.address.port());
        let text = said(&doctor(&home, &[&url]));
        assert!(text.contains(says), "{name} {directives}: {text}");
    }
    // Without a token the doctor cannot tell whether the hub serves those of 0.x, which name no
    // hub.
    let hub = home
        .start("http://:0", "transport memory", &[])
        .expect("it starts");
    let text = said(&doctor(
        &home,
        &[&format!("http://localhost:{}", hub.address.port())],
    ));
    assert!(
        text.contains("note    identity") && text.contains("give --token-file to tell"),
        "{text}"
    );
    let port = talaria_conformance::free_port();
    let public = format!("anonymous\ntransport memory\npublic_urls http://localhost:{port}");
    let _hub = start(&home, &format!("http://:{port}"), &public);
    let text = said(&doctor(&home, &[&format!("http://localhost:{port}")]));
    assert!(text.contains("ok      identity"), "{text}");
}

/// Copies what a client sends, and holds back what it should receive until the hub is done.
async fn buffering(hub: std::net::SocketAddr) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut upstream = TcpStream::connect(hub).await.expect("the hub");
            tokio::spawn(async move {
                let (mut from, mut to) = client.split();
                let (mut answers, mut requests) = upstream.split();
                let mut held = Vec::new();
                let stream = async {
                    let mut chunk = vec![0; 4096];
                    while let Ok(count @ 1..) = answers.read(&mut chunk).await {
                        held.extend_from_slice(&chunk[..count]);
                        let is_stream = held
                            .windows(17)
                            .any(|window| window == b"text/event-stream");
                        // Its head goes through, as with nginx.
                        let ready = if is_stream {
                            held.windows(4)
                                .position(|window| window == b"\r\n\r\n")
                                .map_or(0, |at| at + 4)
                        } else {
                            held.len()
                        };
                        let out: Vec<u8> = held
                            .drain(..if is_stream && ready == 0 { 0 } else { ready })
                            .collect();
                        if to.write_all(&out).await.is_err() || is_stream {
                            break;
                        }
                    }
                    // A stream's events stay where they are.
                    while let Ok(1..) = answers.read(&mut chunk).await {}
                };
                let asked = async { _ = tokio::io::copy(&mut from, &mut requests).await };
                tokio::join!(stream, asked);
            });
        }
    });
    port
}

/// The doctor finds a proxy that collects a stream.
#[tokio::test]
async fn a_buffering_proxy_is_found() {
    let home = Home::new();
    let hub = start(&home, "http://:0", "anonymous\ntransport memory");
    let port = buffering(hub.address).await;
    let url = format!("http://127.0.0.1:{port}");
    let output = tokio::task::spawn_blocking(move || doctor(&home, &[&url])).await;
    let text = said(&output.expect("it ran"));
    assert!(
        text.contains("FAULT   stream: nothing comes within 10 s"),
        "{text}"
    );
    assert!(text.contains("proxy_buffering off"), "{text}");
}

/// The other verbs speak HTTPS too, and trust the local authority of their user.
#[tokio::test]
async fn publish_and_subscribe_speak_https() {
    let home = Home::new();
    let port = talaria_conformance::free_port();
    let _hub = start(
        &home,
        &format!("https://localhost:{port}"),
        "anonymous\ntransport memory",
    );
    let url = format!("https://localhost:{port}");
    let audience = format!("{url}/.well-known/mercure");
    let publisher = Token::new(&audience)
        .grant("publish", &[exact("*")])
        .sign(PUBLISHER_KEY);
    let published = home.run(&[
        "publish", &url, "--topic", "a", "--data", "x", "--token", &publisher,
    ]);
    assert!(published.status.success(), "{}", said(&published));
    let subscribed = home.run(&[
        "subscribe",
        &url,
        "--match",
        "a",
        "--last-event-id",
        "earliest",
        "--count",
        "1",
    ]);
    assert!(said(&subscribed).contains("\nx\n"), "{}", said(&subscribed));
}

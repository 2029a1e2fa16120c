//! Each reason for which a request is refused has its counter and its line of the log.

use std::net::Ipv4Addr;

use serde_json::json;
use talaria_conformance::client::Client;
use talaria_conformance::hub::{PUBLISHER_KEY, SUBSCRIBER_KEY};
use talaria_conformance::token::{Token, exact};
use talaria_conformance::{HUB_PATH, raw};

use super::{Scrape, audience, publisher, start, until};
use crate::connections::{HEALTH, silent};
use crate::running::{Running, caddyfile};

const TOPIC: [(&str, &str); 1] = [("topic", "a")];

/// Waits until the hub has refused one request for a reason, and for the line of the log.
pub(super) async fn refused(hub: &Running, reason: &str) {
    let labels = [("hub", "default"), ("reason", reason)];
    until(hub, "talaria_hub_refusals_total", &labels, 1.0).await;
    hub.logs(0, &format!("reason=\"{reason}\""));
}

/// Each reason is counted from 0.
#[tokio::test]
async fn reasons_are_there_before_the_first() {
    let hub = start("", "");
    let scrape = Scrape::of(&hub).await;
    for reason in ["no_token", "expired", "limit_exceeded", "not_stored"] {
        let labels = [("hub", "default"), ("reason", reason)];
        assert_eq!(scrape.value("talaria_hub_refusals_total", &labels), 0.0);
    }
    assert!(scrape.0.matches("talaria_hub_refusals_total{").count() >= 60);
}

/// No reason is on the page that a test of this directory does not make happen.
#[tokio::test]
async fn each_reason_has_a_test() {
    let tests = [
        include_str!("refusals.rs"),
        include_str!("bodies.rs"),
        include_str!("hosts.rs"),
        include_str!("storage.rs"),
        include_str!("tokens.rs"),
    ]
    .concat();
    let hub = start("", "");
    let scrape = Scrape::of(&hub).await;
    let counted = scrape.0.lines().filter_map(|line| {
        let labels = line.strip_prefix("talaria_hub_refusals_total{")?;
        let (_, reason) = labels.split_once("reason=\"")?;
        Some(reason.split_once('"')?.0)
    });
    let untested: Vec<&str> = counted
        .filter(|reason| !tests.contains(&format!("\"{reason}\"")))
        .collect();
    assert!(untested.is_empty(), "{untested:?}");
}

/// A hub of Mercure 1.0 alone.
pub(super) fn modern(directives: &str) -> String {
    format!(
        "http://127.0.0.1:0 {{\nmercure {{\nissuer https://localhost {{\npublisher {{\njwt \"{PUBLISHER_KEY}\"\n}}\nsubscriber {{\njwt \"{SUBSCRIBER_KEY}\"\n}}\n}}\ntransport memory\n{directives}\n}}\n}}\n"
    )
}

/// Tokens that are each changed in one way, by the reason for which they are refused.
fn wrong_tokens(audience: &str) -> Vec<(&'static str, String)> {
    let token = || Token::new(audience).grant("publish", &[exact("*")]);
    let header = |name: &str, value| {
        let mut token = token();
        token.header[name] = value;
        token
    };
    let headless = |name: &str| {
        let mut token = token();
        token.header.as_object_mut().unwrap().remove(name);
        token
    };
    let claim = |name: &str, value| token().claim(name, value);
    let far = json!(4_000_000_000_u64);
    let other = json!("https://other.example");
    const DETAIL: &str = "https://mercure.rocks/authorization-detail";
    let details = "authorization_details";
    let wrong = [
        ("alg_none", header("alg", json!("none"))),
        ("alg_not_allowed", header("alg", json!("HS384"))),
        ("alg_missing", headless("alg")),
        ("unknown_crit", header("crit", json!(["x"]))),
        ("typ_missing", headless("typ")),
        ("wrong_typ", header("typ", json!("id+jwt"))),
        ("iss_missing", token().without("iss")),
        ("iss_unknown", claim("iss", other.clone())),
        ("exp_missing", token().without("exp")),
        ("exp_not_a_number", claim("exp", json!("x"))),
        ("expired", claim("exp", json!(1_000_000_000))),
        ("nbf_not_a_number", claim("nbf", json!("x"))),
        ("not_yet_valid", claim("nbf", far.clone())),
        ("lives_too_long", claim("exp", far)),
        ("aud_missing", token().without("aud")),
        ("aud_not_strings", claim("aud", json!([1]))),
        ("aud_mismatch", claim("aud", other)),
        ("details_are_a_string", claim(details, json!("[]"))),
        (
            "details_invalid",
            claim(details, json!([{ "type": DETAIL }])),
        ),
        (
            "insufficient_scope",
            Token::new(audience).grant("publish", &[exact("b")]),
        ),
    ];
    let signed = wrong.map(|(reason, token)| (reason, token.sign(PUBLISHER_KEY)));
    let mut all = signed.to_vec();
    let another = "another secret of more than thirty-two bytes";
    all.push(("bad_signature", token().sign(another)));
    for (reason, text) in [
        ("not_a_jws", "aaaa.bbbb.cccc.dddddddddddddddddddddddddd"),
        (
            "not_base64url",
            "a.b.cccccccccccccccccccccccccccccccccccccc",
        ),
    ] {
        all.push((reason, text.to_owned()));
    }
    all.push(("too_long", format!("{}.a.a", "a".repeat(70_000))));
    all
}

/// A token that is changed in one way is refused for one reason.
#[tokio::test]
async fn tokens() {
    let hub = Running::start(&modern("max_token_lifetime 1d"), &[]);
    for (reason, token) in wrong_tokens(&audience(&hub)) {
        let answer = hub.client().bearer(&token).publish(&TOPIC).await;
        assert!([401, 403].contains(&answer.status.as_u16()), "{reason}");
        refused(&hub, reason).await;
    }
}

/// What is wrong with a request that presents its token, or none.
#[tokio::test]
async fn requests() {
    let hub = Running::start_debugging(&caddyfile("", "max_request_body_size 10KiB"));
    let fine = || publisher(&hub);
    let authorization = |value: &str| hub.client().header("authorization", value);
    let typed = |kind: &str| fine().header("content-type", kind);
    let form = "application/x-www-form-urlencoded";
    let post = |client: Client, body: String| async move {
        client.send("POST", HUB_PATH, body).await.status.as_u16()
    };
    let twice = authorization("Bearer aaaa").header("authorization", "Bearer bbbb");
    for (reason, status, client, body) in [
        ("no_token", 401, hub.client(), ""),
        ("authorization_repeated", 400, twice, ""),
        (
            "authorization_not_bearer",
            400,
            authorization("Basic YTpi"),
            "",
        ),
        ("bearer_token_too_short", 400, authorization("Bearer a"), ""),
        ("media_type", 400, typed("text/plain"), "x"),
        (
            "content_coding",
            415,
            typed(form).header("content-encoding", "gzip"),
            "x",
        ),
        ("malformed", 400, typed(form), "data=1"),
        (
            "reserved_topic",
            400,
            typed(form),
            "topic=/.well-known/mercure/subscriptions",
        ),
    ] {
        assert_eq!(post(client, body.to_owned()).await, status, "{reason}");
        refused(&hub, reason).await;
    }
    let long = format!("topic=a&data={}", "x".repeat(20_000));
    assert_eq!(post(typed(form), long).await, 413);
    refused(&hub, "body_too_large").await;
    let limit = [("limit", "max_request_body_size")];
    until(&hub, "talaria_limit_refusals_total", &limit, 1.0).await;
    let many = "{\"topic\":\"a\"}\n{\"data\":\"1\"}\n".to_owned();
    assert_eq!(post(typed("application/x-ndjson"), many).await, 200);
    let two = [("reason", "malformed")];
    until(&hub, "talaria_hub_refusals_total", &two, 2.0).await;
    for (reason, status, method, path) in [
        ("not_found", 404, "GET", "/.well-known/mercure/other"),
        ("method_not_allowed", 405, "DELETE", HUB_PATH),
    ] {
        let answer = hub.client().send(method, path, "").await;
        assert_eq!(answer.status, status);
        refused(&hub, reason).await;
    }
    let html = hub.client().header("accept", "text/html");
    assert_eq!(html.get(&format!("{HUB_PATH}?match=a")).await.status, 406);
    refused(&hub, "not_acceptable").await;
}

/// A cookie of a page that may not publish by it.
#[tokio::test]
async fn cookies() {
    let hub = start("", "publish_origins https://app.example");
    let token = Token::new(&audience(&hub)).grant("publish", &[exact("*")]);
    let cookie = || {
        hub.client()
            .cookie("mercure_access_token", &token.sign(PUBLISHER_KEY))
    };
    for (reason, client) in [
        ("origin_missing", cookie()),
        (
            "origin_not_allowed",
            cookie().header("origin", "https://other.example"),
        ),
        (
            "origin_malformed",
            cookie()
                .header("origin", "https://a.example")
                .header("origin", "https://b.example"),
        ),
        ("referer_malformed", cookie().header("referer", "nonsense")),
    ] {
        assert_eq!(client.publish(&TOPIC).await.status, 400, "{reason}");
        refused(&hub, reason).await;
    }
}

/// A page of another origin asks first, and is refused for each of three reasons.
#[tokio::test]
async fn preflights() {
    let none = start("", "");
    let some = start("", "cors_origins https://app.example");
    for (hub, reason, fields) in [
        (
            &none,
            "origin_not_allowed",
            ["https://app.example", "GET", "x"],
        ),
        (
            &some,
            "origin_not_allowed",
            ["https://other.example", "GET", ""],
        ),
        (
            &some,
            "method_not_allowed",
            ["https://app.example", "PATCH", ""],
        ),
        (
            &some,
            "header_not_allowed",
            ["https://app.example", "GET", "x-other"],
        ),
    ] {
        let [origin, method, names] = fields;
        let asked = hub
            .client()
            .header("origin", origin)
            .header("access-control-request-method", method)
            .header("access-control-request-headers", names);
        asked.send("OPTIONS", HUB_PATH, "").await;
        refused(hub, reason).await;
    }
}

/// Limits name themselves, and what clients hold is shown beside the bound.
#[tokio::test]
async fn limits() {
    let hub = start("", "max_streams 10\nmax_streams_per_address 2");
    let _streams = [
        hub.client().subscribe(&[exact("a")]).await,
        hub.client().subscribe(&[exact("a")]).await,
    ];
    let answer = hub.client().get(&format!("{HUB_PATH}?match=a")).await;
    assert_eq!(answer.status, 429);
    refused(&hub, "limit_exceeded").await;
    let limit = [("hub", "default"), ("limit", "max_streams_per_address")];
    let scrape = until(&hub, "talaria_limit_refusals_total", &limit, 1.0).await;
    assert_eq!(scrape.value("talaria_limit_used", &limit), 2.0);
    assert_eq!(scrape.value("talaria_limit_bound", &limit), 2.0);
    let all = [("hub", "default"), ("limit", "max_streams")];
    assert_eq!(scrape.value("talaria_limit_used", &all), 2.0);
    assert_eq!(scrape.value("talaria_limit_bound", &all), 10.0);
    // A browser gets a stream that ends, and is counted as well.
    let browser = hub.client().header("accept", "text/event-stream");
    assert_eq!(
        browser.get(&format!("{HUB_PATH}?match=a")).await.status,
        200
    );
    until(&hub, "talaria_limit_refusals_total", &limit, 2.0).await;
}

/// What does not reach a site is counted for the program.
#[tokio::test]
async fn heads() {
    let hub = start("", "max_header_size 8KiB\nheader_timeout 1s");
    let requests: [(&str, String); 8] = [
        ("target", "GET /a\u{1}b HTTP/1.1\r\n\r\n".to_owned()),
        (
            "fragment",
            "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        ),
        ("not_a_method", "\u{1}\u{2} nonsense\r\n\r\n".to_owned()),
        (
            "http_version",
            "GET / HTTP/9.1\r\nHost: a\r\n\r\n".to_owned(),
        ),
        (
            "connect",
            "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n".to_owned(),
        ),
        (
            "head_too_large",
            format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(10_000)),
        ),
        ("host_missing", "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (
            "misdirected",
            "GET / HTTP/1.1\r\nHost: other.example\r\n\r\n".to_owned(),
        ),
    ];
    for (reason, request) in requests {
        raw::head(hub.address, request).await;
        until(
            &hub,
            "talaria_requests_refused_total",
            &[("reason", reason)],
            1.0,
        )
        .await;
        hub.logs(0, &format!("reason=\"{reason}\""));
    }
    let limit = [("limit", "max_header_size")];
    let scrape = until(&hub, "talaria_limit_refusals_total", &limit, 1.0).await;
    assert_eq!(scrape.value("talaria_limit_bound", &limit), 8192.0);
    // Half a head.
    raw::head(hub.address, "GET / HT").await;
    let late = [("reason", "head_timeout")];
    until(&hub, "talaria_requests_refused_total", &late, 1.0).await;
}

/// Connections beyond the bound are counted.
#[tokio::test]
async fn connections() {
    let hub = start("", "max_connections_per_address 2");
    let _streams = [
        hub.client().subscribe(&[exact("a")]).await,
        hub.client().subscribe(&[exact("a")]).await,
    ];
    let answer = hub.client().get(&format!("{HUB_PATH}?match=a")).await;
    assert_eq!(answer.status, 503);
    let reason = [("reason", "max_connections_per_address")];
    let scrape = until(&hub, "talaria_connections_refused_total", &reason, 1.0).await;
    let limit = [("limit", "max_connections_per_address")];
    assert_eq!(scrape.value("talaria_limit_refusals_total", &limit), 1.0);
    assert_eq!(scrape.value("talaria_limit_used", &limit), 2.0);
    let full = [("reason", "max_connections_per_address")];
    assert_eq!(scrape.value("talaria_requests_refused_total", &full), 1.0);
}

/// A connection that an idle one makes room for is served, and not counted.
#[tokio::test]
async fn connections_that_wait_for_a_place_are_not_refused() {
    let hub = start("", "max_connections_per_address 2");
    let mut kept = Vec::new();
    for _ in 0..2 {
        let mut idle = silent(hub.address, Ipv4Addr::LOCALHOST.into()).await;
        let head = raw::begin(&mut idle, HEALTH).await;
        assert_eq!(raw::status(&head), 200);
        kept.push(idle);
    }
    // Those that were active a moment ago stay.
    let mut refused = 0.0;
    while hub.client().get("/robots.txt").await.status != 200 {
        refused += 1.0;
    }
    let reason = [("reason", "max_connections_per_address")];
    until(&hub, "talaria_connections_refused_total", &reason, refused).await;
}

/// A subscriber that needs a token and presents none.
#[tokio::test]
async fn subscribers_without_a_token() {
    let text = caddyfile("", &format!("subscriber_jwt \"{SUBSCRIBER_KEY}\""));
    let hub = Running::start(&text.replace("anonymous\n", ""), &[]);
    let answer = hub.client().get(&format!("{HUB_PATH}?match=a")).await;
    assert_eq!(answer.status, 401);
    refused(&hub, "no_token").await;
    let scrape = Scrape::of(&hub).await;
    assert_eq!(scrape.value("mercure_subscribers_total", &[]), 0.0);
}

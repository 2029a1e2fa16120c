//! The operations view on the admin listener: its page, who may read it, and what it says that no metric can hold.

use std::time::Instant;

use serde_json::{Value, json};
use talaria_conformance::client::Client;
use talaria_conformance::hub::PUBLISHER_KEY;
use talaria_conformance::token::{Token, exact};
use talaria_conformance::{HUB_PATH, PATIENCE};

use crate::running::{Running, caddyfile};

const STATE: &str = "/operations/state";

fn ordinary() -> Running {
    Running::start(&caddyfile("", ""), &[])
}

/// The state beside the page.
async fn state(hub: &Running) -> Value {
    let answer = hub.admin().get(STATE).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    // What it says is bounded, whatever clients do.
    assert!(answer.text.len() < 64 * 1024, "{} bytes", answer.text.len());
    serde_json::from_str(&answer.text).unwrap()
}

fn audience(hub: &Running) -> String {
    format!("http://{}{HUB_PATH}", hub.address)
}

/// A client that may publish to these topics, several updates at once.
fn publisher(hub: &Running, topic: &str) -> Client {
    let token = Token::new(&audience(hub)).grant("publish", &[exact(topic)]);
    let client = hub.client().bearer(&token.sign(PUBLISHER_KEY));
    client.header("content-type", "application/x-ndjson")
}

fn batch(topics: impl Iterator<Item = String>) -> String {
    topics
        .map(|topic| format!("{}\n", json!({ "topic": topic, "data": "<b>data</b>" })))
        .collect()
}

/// The page, its files and the way to it; what is not there, and what reads nothing.
#[tokio::test]
async fn the_page_is_complete_and_strict() {
    let hub = ordinary();
    for path in ["/", "/operations"] {
        let answer = hub.admin().get(path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("location")),
            (302, "/operations/")
        );
    }
    let page = hub.admin().get("/operations/").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    for (name, part) in [
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'",
        ),
        ("content-security-policy", "frame-ancestors 'none'"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
    ] {
        assert!(
            page.header(name).contains(part),
            "{name}: {}",
            page.header(name)
        );
    }
    // Neither script nor style within the page, which its policy would refuse.
    for part in [
        "<style",
        " style=",
        "<script>",
        " onclick=",
        " onload=",
        "javascript:",
        "http:",
        "https:",
    ] {
        assert!(!page.text.contains(part), "{part}");
    }
    for (name, kind) in [
        ("style.css", "text/css; charset=utf-8"),
        ("page.js", "text/javascript; charset=utf-8"),
    ] {
        assert!(page.text.contains(&format!("\"{name}\"")), "{name}");
        let file = hub.admin().get(&format!("/operations/{name}")).await;
        assert_eq!(
            (file.status.as_u16(), file.header("content-type")),
            (200, kind)
        );
    }
    let head = hub.admin().send("HEAD", "/operations/", "").await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
    for path in ["/operations/../config/", "/operations/x", "/operationsx"] {
        assert_eq!(hub.admin().get(path).await.status, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        for path in ["/operations/", STATE] {
            let answer = hub.admin().send(method, path, "").await;
            assert_eq!(
                (answer.status.as_u16(), answer.header("allow")),
                (405, "GET, HEAD")
            );
        }
    }
}

/// The modules that the page loads are served, and they import no other address.
#[tokio::test]
async fn every_module_is_served() {
    let hub = ordinary();
    let mut wanted = vec!["page.js".to_owned()];
    let mut seen: Vec<String> = Vec::new();
    while let Some(name) = wanted.pop() {
        let file = hub.admin().get(&format!("/operations/{name}")).await;
        assert_eq!(file.status, 200, "{name}");
        assert!(
            !file.text.contains("innerHTML") && !file.text.contains("eval("),
            "{name}"
        );
        for line in file.text.lines().filter(|line| line.starts_with("import ")) {
            let from = line.rsplit('"').nth(1).unwrap();
            let module = from.strip_prefix("./").unwrap_or_else(|| panic!("{line}"));
            if !seen.iter().any(|known| known == module) {
                wanted.push(module.to_owned());
            }
        }
        seen.push(name);
    }
    assert!(seen.len() >= 5, "{seen:?}");
}

/// Pages of other origins, and names that another machine chose, get neither the page nor the state (B-097).
#[tokio::test]
async fn other_origins_are_kept_away() {
    let hub = ordinary();
    for path in ["/operations/", "/operations/page.js", STATE] {
        for (client, status) in [
            (hub.admin().header("origin", "http://evil.example"), 403),
            (hub.admin().header("sec-fetch-site", "cross-site"), 403),
            (hub.admin().header("sec-fetch-mode", "no-cors"), 400),
            (hub.admin().naming("evil.example"), 403),
            (hub.admin().header("sec-fetch-site", "same-origin"), 200),
        ] {
            assert_eq!(client.get(path).await.status, status, "{path}");
        }
    }
    // No site of the hub has it.
    assert_eq!(hub.client().get(STATE).await.status, 404);
    let refusals = state(&hub).await["refusals"].clone();
    let guarded = refusals
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["reason"] == "admin_guard");
    assert_eq!(guarded.unwrap()["hub"], Value::Null);
}

/// Where updates are kept, and the version.
#[tokio::test]
async fn the_state_says_what_serves() {
    let hub = ordinary();
    let state = state(&hub).await;
    assert!(state["version"].as_str().unwrap().contains('.'), "{state}");
    assert!(state["started"].as_f64().unwrap() <= state["now"].as_f64().unwrap());
    let [served] = state["hubs"].as_array().unwrap().as_slice() else {
        panic!("{state}");
    };
    assert_eq!(
        (&served["name"], &served["busiest"]),
        (&json!("default"), &Value::Null)
    );
    assert!(
        served["storage"][0].as_str().unwrap().contains("in memory"),
        "{served}"
    );
}

/// However many requests are refused, and whatever is in them, the list is bounded, repeats no path, topic, query or
/// token, and counts all of them.
#[tokio::test]
async fn ten_thousand_refusals_are_a_short_list() {
    let hub = ordinary();
    let nasty = |number: usize| {
        format!("https://secret.example/<script>alert({number})</script>?q=\u{1f4a9}")
    };
    let body = batch((0..10_000).map(nasty));
    let answer = publisher(&hub, "granted")
        .send("POST", HUB_PATH, body)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let secret = "secret-in-a-query";
    hub.client()
        .get(&format!("{HUB_PATH}/{secret}?{secret}={secret}"))
        .await;
    hub.client()
        .get(&format!("{HUB_PATH}?match=a%00{secret}"))
        .await;
    let algorithm = "<img src=x onerror=alert(1)>";
    let token = Token::new(&audience(&hub))
        .parameter("alg", json!(algorithm))
        .sign(PUBLISHER_KEY);
    hub.client().bearer(&token).publish(&[("topic", "a")]).await;
    hub.client().send("GET", &format!("/{secret}#"), "").await;
    let state = state(&hub).await;
    let refusals = state["refusals"].as_array().unwrap();
    assert!((3..=50).contains(&refusals.len()), "{refusals:?}");
    let text = state.to_string();
    for part in [secret, "secret.example", token.as_str(), "%00"] {
        assert!(!text.contains(part), "{part} in {text}");
    }
    let of = |reason: &'static str| refusals.iter().filter(move |one| one["reason"] == reason);
    let counted = of("insufficient_scope").map(|one| one["count"].as_u64().unwrap());
    assert_eq!(counted.sum::<u64>(), 10_000);
    let first: Value = serde_json::from_str(answer.text.lines().next().unwrap()).unwrap();
    let scope = of("insufficient_scope").next().unwrap();
    assert_eq!(
        (&scope["status"], &scope["hub"]),
        (&first["status"], &json!("default"))
    );
    assert!(
        scope["sentence"].as_str().unwrap().contains("publish"),
        "{scope}"
    );
    assert_eq!(of("not_found").count(), 1);
    assert_eq!(of("malformed").count(), 1);
    // What a token says of itself is in the sentence, as in the log.
    let unknown = of("alg_not_allowed").next().unwrap();
    assert!(
        unknown["sentence"].as_str().unwrap().contains(algorithm),
        "{unknown}"
    );
}

/// With `busiest_topics`, the topics that were published to most are found among many; without it none is counted.
#[tokio::test]
async fn the_busiest_topics_are_found() {
    let hub = Running::start(&caddyfile("", "busiest_topics"), &[]);
    assert_eq!(state(&hub).await["hubs"][0]["busiest"]["topics"], json!([]));
    let busy = "busy/<script>\u{1f4a9}";
    let topics = (0..1_000).flat_map(|number| {
        let busy = (number % 2 == 0).then(|| busy.to_owned());
        [Some(format!("stray/{number}/{}", "x".repeat(1_000))), busy]
            .into_iter()
            .flatten()
    });
    let answer = publisher(&hub, "*")
        .send("POST", HUB_PATH, batch(topics))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let state = state(&hub).await;
    let busiest = &state["hubs"][0]["busiest"];
    let topics = busiest["topics"].as_array().unwrap();
    assert_eq!((topics.len(), &topics[0]["topic"]), (20, &json!(busy)));
    let number = |name: &str| topics[0][name].as_u64().unwrap();
    let (count, error) = (number("count"), number("error"));
    assert!(count >= 500 && count - error <= 500, "{busiest}");
}

/// The requests of the view are counted as those of one endpoint (B-726).
#[tokio::test]
async fn its_requests_are_counted() {
    let hub = ordinary();
    hub.admin().get("/operations/").await;
    hub.admin().get(STATE).await;
    let deadline = Instant::now() + PATIENCE;
    let line = "caddy_admin_http_requests_total{handler=\"admin\",path=\"/operations/\",code=\"200\",method=\"GET\"} 2";
    loop {
        let page = hub.admin().get("/metrics").await.text;
        if page.contains(line) {
            return;
        }
        assert!(Instant::now() < deadline, "{page}");
    }
}

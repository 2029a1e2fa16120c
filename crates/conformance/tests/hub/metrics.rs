//! The metrics: that page, endpoint and dashboards have the same series, that each moves as the page says, and that
//! Prometheus reads them.

mod bodies;
mod departures;
mod hosts;
mod pages;
mod prometheus;
mod refusals;
mod requests;
mod storage;
mod tokens;
mod unsited;

use std::time::Instant;

use serde_json::json;
use talaria_conformance::client::Client;
use talaria_conformance::hub::{PUBLISHER_KEY, SUBSCRIBER_KEY};
use talaria_conformance::token::{Token, exact};
use talaria_conformance::{HUB_PATH, PATIENCE};

use crate::running::{Running, caddyfile};

/// The series of a scrape.
struct Scrape(String);

impl Scrape {
    async fn of(hub: &Running) -> Self {
        let answer = hub.admin().get("/metrics").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        Self(answer.text)
    }

    /// The sum of the series of a name that have all of these labels; `None` if there is none.
    fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut values = self.0.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (own, rest) = series.split_once('{').unwrap_or((series, ""));
            let has =
                |(label, value): &(&str, &str)| rest.contains(&format!("{label}=\"{value}\""));
            (own == name && labels.iter().all(has)).then(|| value.parse::<f64>().unwrap())
        });
        let first = values.next()?;
        Some(first + values.sum::<f64>())
    }

    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let found = self.find(name, labels);
        found.unwrap_or_else(|| panic!("no {name} with {labels:?} in\n{}", self.0))
    }
}

/// Scrapes until a series has a value.
async fn until(hub: &Running, name: &str, labels: &[(&str, &str)], expected: f64) -> Scrape {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let scrape = Scrape::of(hub).await;
        let value = scrape.find(name, labels);
        if value == Some(expected) {
            return scrape;
        }
        assert!(
            Instant::now() < deadline,
            "{name} with {labels:?} is {value:?}, not {expected}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// A hub on a free port, with further lines in its block.
fn start(global: &str, directives: &str) -> Running {
    let keys = format!("subscriber_jwt \"{SUBSCRIBER_KEY}\"\n{directives}");
    Running::start(&caddyfile(global, &keys), &[])
}

fn audience(hub: &Running) -> String {
    format!("http://{}{HUB_PATH}", hub.address)
}

/// A client that may publish everything.
fn publisher(hub: &Running) -> Client {
    let token = Token::new(&audience(hub)).grant("publish", &[exact("*")]);
    hub.client().bearer(&token.sign(PUBLISHER_KEY))
}

/// What is published and received is counted, also over HTTP/2, and in all units.
#[tokio::test]
async fn streams_and_updates_are_counted() {
    let hub = start("", "transport memory # its positions begin with 1");
    let before = Scrape::of(&hub).await;
    assert_eq!(before.value("mercure_subscribers_total", &[]), 0.0);
    assert_eq!(before.value("mercure_updates_total", &[]), 0.0);
    let mut one = hub.client().subscribe(&[exact("a")]).await;
    let mut two = hub.client().http2().subscribe_with(&[("topic", "a")]).await;
    let other = hub.client().subscribe(&[exact("b")]).await;
    publisher(&hub)
        .published(&[("topic", "a"), ("data", "1")])
        .await;
    publisher(&hub)
        .http2()
        .published(&[("topic", "a"), ("data", "2")])
        .await;
    for stream in [&mut one, &mut two] {
        assert_eq!(stream.several::<2>().await, ["1", "2"]);
    }
    let of = |protocol| [("hub", "default"), ("protocol", protocol)];
    let scrape = until(&hub, "talaria_hub_deliveries_total", &of("HTTP/2"), 2.0).await;
    for (name, labels, value) in [
        ("mercure_subscribers_connected", vec![], 3.0),
        ("mercure_subscribers_total", vec![], 3.0),
        ("mercure_updates_total", vec![], 2.0),
        ("talaria_hub_streams", of("HTTP/1.1").to_vec(), 2.0),
        (
            "talaria_hub_streams",
            [of("HTTP/2").to_vec(), vec![("generation", "0.x")]].concat(),
            1.0,
        ),
        ("talaria_hub_publishes_total", of("HTTP/1.1").to_vec(), 1.0),
        ("talaria_hub_publishes_total", of("HTTP/2").to_vec(), 1.0),
        ("talaria_hub_publish_duration_seconds_count", vec![], 2.0),
        ("talaria_hub_deliveries_total", of("HTTP/1.1").to_vec(), 2.0),
        ("talaria_hub_interests", vec![], 2.0),
        ("talaria_history_newest_position", vec![], 2.0),
        ("talaria_history_group_updates_count", vec![], 2.0),
        ("talaria_ring_updates", vec![], 2.0),
        ("talaria_limit_used", vec![("limit", "max_streams")], 3.0),
        (
            "talaria_limit_bound",
            vec![("limit", "max_streams")],
            250_000.0,
        ),
    ] {
        assert_eq!(scrape.value(name, &labels), value, "{name} {labels:?}");
    }
    let chunks = scrape.value("talaria_hub_delivery_delay_seconds_count", &[]);
    assert!((2.0..=4.0).contains(&chunks), "{chunks} chunks");
    assert!(scrape.value("talaria_hub_delivery_bytes_total", &[]) > 4.0 * 10.0);
    assert!(scrape.value("talaria_connections", &[]) >= 3.0);
    drop((one, two, other));
    until(&hub, "talaria_hub_streams", &[("protocol", "HTTP/2")], 0.0).await;
}

/// A stream that resumes is counted by what became of that; what it missed has no time of delivery.
#[tokio::test]
async fn replays_are_counted() {
    let hub = start("", "");
    let publisher = publisher(&hub);
    let mut ids = Vec::new();
    for data in ["1", "2", "3"] {
        ids.push(publisher.published(&[("topic", "a"), ("data", data)]).await);
    }
    let mut resumed = hub
        .client()
        .last_event_id(&ids[0])
        .subscribe(&[exact("a")])
        .await;
    assert_eq!(resumed.several::<2>().await, ["2", "3"]);
    let found = [("result", "found")];
    let scrape = until(&hub, "talaria_hub_replays_total", &found, 1.0).await;
    assert_eq!(scrape.value("talaria_hub_replay_depth_sum", &[]), 2.0);
    let name = "talaria_hub_delivery_delay_seconds_count";
    assert_eq!(scrape.value(name, &[]), 0.0);
    assert_eq!(scrape.value("talaria_hub_deliveries_total", &[]), 2.0);
    publisher.published(&[("topic", "a"), ("data", "4")]).await;
    assert_eq!(resumed.data().await, "4");
    until(&hub, name, &[], 1.0).await;
    for (id, result) in [("earliest", "earliest"), ("urn:unknown", "unknown")] {
        hub.client()
            .last_event_id(id)
            .subscribe(&[exact("c")])
            .await;
        let result = [("result", result)];
        until(&hub, "talaria_hub_replays_total", &result, 1.0).await;
    }
}

/// Counters go on across a reload, also those of a hub with other options; streams that stay are in the gauge (B-725).
#[tokio::test]
async fn a_reload_keeps_the_numbers() {
    let hub = start("", "");
    let _stream = hub.client().subscribe(&[exact("a")]).await;
    publisher(&hub)
        .published(&[("topic", "a"), ("data", "1")])
        .await;
    let text = std::fs::read_to_string(hub.file()).unwrap();
    std::fs::write(
        hub.file(),
        text.replace("anonymous\n", "anonymous\nheartbeat 11s\n"),
    )
    .unwrap();
    let file = hub.file().display().to_string();
    let (code, said) = hub.verb(&["reload", "--config", &file]);
    assert_eq!(code, Some(0), "{said}");
    let scrape = Scrape::of(&hub).await;
    assert_eq!(scrape.value("mercure_updates_total", &[]), 1.0);
    assert_eq!(scrape.value("mercure_subscribers_connected", &[]), 1.0);
    publisher(&hub)
        .published(&[("topic", "a"), ("data", "2")])
        .await;
    until(&hub, "mercure_updates_total", &[], 2.0).await;
    let reload = [("path", "/load"), ("code", "200"), ("method", "POST")];
    let scrape = Scrape::of(&hub).await;
    assert_eq!(
        scrape.value("caddy_admin_http_requests_total", &reload),
        1.0
    );
    assert_eq!(
        scrape.value("caddy_config_last_reload_successful", &[]),
        1.0
    );
    hub.home.configure("wrong {");
    assert_ne!(hub.verb(&["reload", "--config", &file]).0, Some(0));
    until(&hub, "caddy_config_last_reload_successful", &[], 0.0).await;
}

/// Hubs with names are told apart, also in the names of the existing hub.
#[tokio::test]
async fn hubs_have_their_own_series() {
    let block = |name: &str| {
        format!(
            "mercure {{\nname {name}\npublisher_jwt \"{PUBLISHER_KEY}\"\nanonymous\ntransport memory\n}}"
        )
    };
    let text = format!(
        "http://127.0.0.1:0 {{\n{}\n}}\nhttp://hub.example:0 {{\n{}\n}}\n",
        block("one"),
        block("two")
    );
    let hub = Running::start(&text, &[]);
    let _one = hub.client().subscribe(&[exact("a")]).await;
    let _two = hub
        .client()
        .naming("hub.example")
        .subscribe(&[exact("a")])
        .await;
    let _again = hub
        .client()
        .naming("hub.example")
        .subscribe(&[exact("a")])
        .await;
    for (name, streams) in [("one", 1.0), ("two", 2.0)] {
        let labels = [("hub", name)];
        until(&hub, "mercure_subscribers_connected", &labels, streams).await;
        let scrape = until(&hub, "talaria_hub_streams", &labels, streams).await;
        let limit = [("hub", name), ("limit", "max_streams")];
        assert_eq!(scrape.value("talaria_limit_used", &limit), streams);
    }
}

/// Hubs without names are one series: what their stores hold is added up, and of a limit the hub is shown which is
/// nearest to it.
#[tokio::test]
async fn hubs_of_one_name_are_one_series() {
    let block = |directives: &str| {
        format!(
            "mercure {{\npublisher_jwt \"{PUBLISHER_KEY}\"\nanonymous\nprotocol_version_compatibility 7\n{directives}\n}}"
        )
    };
    let text = format!(
        "http://127.0.0.1:0 {{\n{}\n}}\nhttp://hub.example:0 {{\n{}\n}}\n",
        block("transport memory # its positions begin with 1\nmax_streams 10"),
        block("transport bolt\nmax_streams 100"),
    );
    let hub = Running::start(&text, &[]);
    let token = Token::older(json!({ "publish": ["*"] })).sign(PUBLISHER_KEY);
    let one = hub.client().bearer(&token);
    let other = one.clone().naming("hub.example");
    let topic = [("topic", "a")];
    let _streams = [
        one.subscribe_with(&topic).await,
        other.subscribe_with(&topic).await,
        other.subscribe_with(&topic).await,
    ];
    for client in [&one, &other, &other] {
        client.published(&[("topic", "a"), ("data", "1")]).await;
    }
    let name = [("hub", "default")];
    let scrape = until(&hub, "talaria_history_newest_position", &name, 3.0).await;
    for (series, value) in [
        ("talaria_history_group_updates_count", 3.0),
        ("talaria_ring_updates", 3.0),
        ("talaria_hub_interests", 2.0),
    ] {
        assert_eq!(scrape.value(series, &name), value, "{series}");
    }
    assert!(scrape.value("talaria_history_segments", &name) >= 1.0);
    let limit = [("hub", "default"), ("limit", "max_streams")];
    assert_eq!(scrape.value("talaria_limit_used", &limit), 1.0);
    assert_eq!(scrape.value("talaria_limit_bound", &limit), 10.0);
}

/// Requests that revoke tokens are counted under one path, whatever hub they name.
#[tokio::test]
async fn revocations_are_requests_of_one_path() {
    let hub = start("", "");
    for path in [
        "/mercure/revoke",
        "/mercure/default/revoke",
        "/mercure/invented/revoke",
    ] {
        hub.admin().send("POST", path, "{}").await;
    }
    let revoke = [("path", "/mercure/revoke"), ("method", "POST")];
    until(&hub, "caddy_admin_http_requests_total", &revoke, 3.0).await;
}

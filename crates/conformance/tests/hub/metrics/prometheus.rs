//! Prometheus from its package scrapes a hub under load, and knows what the hub knows.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use talaria_conformance::client::Client;
use talaria_conformance::hub::Home;
use talaria_conformance::token::exact;
use talaria_conformance::{PATIENCE, free_port};

use super::{publisher, start};

/// A Prometheus; dropping it kills it.
struct Prometheus {
    child: Child,
    client: Client,
    _home: Home,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// One that scrapes this address four times a second and has our alerts; `None` if it is not installed.
    fn start(target: &str) -> Option<Self> {
        let home = Home::new();
        let rules = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../deploy/prometheus/talaria.rules.yml"
        );
        let text = format!(
            "global:\n  scrape_interval: 250ms\n  scrape_timeout: 250ms\n  evaluation_interval: 250ms\nrule_files: ['{rules}']\nscrape_configs:\n  - job_name: talaria\n    static_configs:\n      - targets: ['{target}']\n"
        );
        let file = home.path().join("prometheus.yml");
        std::fs::write(&file, text).unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                home.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        Some(Self {
            child,
            client: Client::new(address.parse().unwrap(), &address),
            _home: home,
        })
    }

    /// The value of an expression, which has one series.
    async fn ask(&self, expression: &str) -> Option<f64> {
        let encoded: String = expression
            .bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect();
        let target = format!("/api/v1/query?query={encoded}");
        let answer = self.client.try_send("GET", &target, "").await?;
        let answer: Value = serde_json::from_str(&answer.text).ok()?;
        let value = &answer["data"]["result"][0]["value"][1];
        value.as_str()?.parse().ok()
    }

    /// Waits until an expression is as it should be.
    async fn until(&self, expression: &str, is_right: impl Fn(f64) -> bool) -> f64 {
        let deadline = Instant::now() + 2 * PATIENCE;
        loop {
            let value = self.ask(expression).await;
            if let Some(value) = value.filter(|value| is_right(*value)) {
                return value;
            }
            assert!(Instant::now() < deadline, "{expression} is {value:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Streams, updates, rates, quantiles and alerts, by the interface that dashboards use. Without the package there is
/// nothing to ask.
#[tokio::test(flavor = "multi_thread")]
async fn prometheus_knows_what_the_hub_does() {
    let hub = start("", "max_streams_per_address 40");
    let Some(prometheus) = Prometheus::start(&hub.admin.to_string()) else {
        assert!(
            !talaria_conformance::full(),
            "install the package prometheus"
        );
        return;
    };
    let mut streams = Vec::new();
    for number in 0..38 {
        let client = match number % 2 {
            0 => hub.client(),
            _ => hub.client().http2(),
        };
        streams.push(client.subscribe(&[exact("a")]).await);
    }
    prometheus.until("up", |up| up == 1.0).await;
    prometheus
        .until("mercure_subscribers_connected", |streams| streams == 38.0)
        .await;
    let readers = streams.into_iter().map(|mut stream| {
        tokio::spawn(async move { while let Ok(Some(_)) = stream.try_event().await {} })
    });
    let readers: Vec<_> = readers.collect();
    let sender = publisher(&hub);
    let load = tokio::spawn(async move {
        let mut publisher = sender.keep().await;
        loop {
            publisher.publish(&[("topic", "a"), ("data", "x")]).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    for expression in [
        "sum(rate(mercure_updates_total[2s]))",
        "sum(rate(talaria_hub_deliveries_total{protocol=\"HTTP/1.1\"}[2s]))",
        "sum(rate(talaria_hub_deliveries_total{protocol=\"HTTP/2\"}[2s]))",
        "histogram_quantile(0.99, sum by (le) (rate(talaria_hub_publish_duration_seconds_bucket[2s])))",
        "histogram_quantile(0.99, sum by (le) (rate(talaria_hub_delivery_delay_seconds_bucket[2s])))",
        "sum(rate(process_cpu_seconds_total[2s]))",
        "process_resident_memory_bytes",
        "process_open_fds",
        "talaria_ring_bytes",
    ] {
        prometheus.until(expression, |value| value > 0.0).await;
    }
    let ratio = "sum(talaria_hub_deliveries_total) / sum(mercure_updates_total)";
    prometheus
        .until(ratio, |ratio| (1.0..=38.0).contains(&ratio))
        .await;
    // 38 of 40 are more than nine tenths.
    let alert =
        "ALERTS{alertname=\"TalariaLimitNearlyReached\", limit=\"max_streams_per_address\"}";
    prometheus.until(alert, |pending| pending == 1.0).await;
    load.abort();
    readers.iter().for_each(tokio::task::JoinHandle::abort);
    // A socket that closes with unread bytes breaks off.
    let gone = "sum(talaria_hub_disconnects_total{reason=~\"client_gone|connection_error|reset_by_client\"})";
    prometheus.until(gone, |gone| gone == 38.0).await;
    prometheus
        .until("mercure_subscribers_connected", |streams| streams == 0.0)
        .await;
}

//! `talaria bench` from end to end: it measures a hub of ours and finds nothing lost.

use std::process::Command;

use serde_json::Value;
use talaria_conformance::hub::{Hub, PUBLISHER_KEY, SUBSCRIBER_KEY, program};
use talaria_conformance::servers::{Program, Redis, Reply};

/// Hub, stalled sockets and floor in one run: exit code 0, everything delivered, once, in order.
#[test]
fn a_small_bench_is_flawless() {
    let hub = Hub::start("transport memory");
    let pid = hub.pid().to_string();
    let done = Command::new(program())
        .args(["bench", "--url", &hub.audience, "--hub-pid", &pid])
        .args(["--key", PUBLISHER_KEY, "--subscriber-key", SUBSCRIBER_KEY])
        .args(["--subscribers", "20", "--updates", "50", "--private"])
        .args(["--stalled", "2", "--baseline", "--floor", "--json"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(0), "{said}");
    let figures: Value = serde_json::from_slice(&done.stdout).unwrap();
    for variant in ["hub", "hub+stalled", "floor"] {
        let figure = |name: &str| figures[variant][name].as_f64();
        assert_eq!(figure("updates"), Some(50.0), "{variant}");
        assert_eq!(figure("deliveries"), Some(1000.0), "{variant}");
        for defect in ["lost", "duplicates", "out_of_order", "disconnected"] {
            assert_eq!(figure(defect), Some(0.0), "{defect} of {variant}");
        }
        // A load this short may take less than the clock tick in which the kernel counts CPU time.
        assert!(figure("cpu_us_per_delivery").is_some(), "CPU of {variant}");
        assert!(
            figure("rss_end_mib") > Some(1.0),
            "memory of {variant}: {:?}",
            figure("rss_end_mib")
        );
    }
}

/// The table of costs has a figure for each thing.
#[test]
fn what_clients_make_the_hub_hold_is_measured() {
    for thing in ["stream", "visit"] {
        let hub = Hub::start("anonymous\nsubscriptions\ntransport memory");
        let done = Command::new(program())
            .args([
                "bench",
                "cost",
                thing,
                "--url",
                &hub.audience,
                "--count",
                "200",
            ])
            .args(["--hub-pid", &hub.pid().to_string(), "--key", PUBLISHER_KEY])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(0), "{thing}: {said}");
        let figures: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert!(figures["count"].as_u64() >= Some(200), "{thing}: {figures}");
        assert!(
            figures["bytes_each"].as_f64() > Some(0.0),
            "{thing}: {figures}"
        );
    }
}

/// A log that two nodes share is measured, and nothing of it stays on the server.
#[test]
fn a_shared_log_is_measured() {
    let server = Redis::start(Program::Redis7);
    let done = Command::new(program())
        .args(["bench", "transport", "--json", "--seconds", "1"])
        .args(["--nodes", "2", "--publishers", "1,8", "--rate", "50"])
        .args(["--redis", &format!("redis://{}", server.address())])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(0), "{said}");
    let figures: Value = serde_json::from_slice(&done.stdout).unwrap();
    for (turn, publishers) in [1, 8].into_iter().enumerate() {
        let rate = &figures["rates"][turn];
        assert_eq!(rate["publishers"], publishers);
        let updates = rate["updates_per_s"].as_f64();
        assert!(updates.is_some_and(|updates| updates > 0.0), "{rate}");
    }
    for part in ["bare", "acknowledged", "received"] {
        let latency = figures["latency"][part]["p50_ms"].as_f64();
        assert!(latency.is_some_and(|latency| latency > 0.0), "{part}");
    }
    assert_eq!(server.ask(&["DBSIZE"]), Reply::Text("0".to_owned()));
}

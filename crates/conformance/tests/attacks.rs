//! `talaria bench attack` from end to end, apart from the other tests, which it would starve.
#![allow(clippy::unwrap_used, reason = "a failed step must stop the test")]

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Mutex;

use serde_json::Value;
use talaria_conformance::hub::{Home, PUBLISHER_KEY, SUBSCRIBER_KEY, program};
use talaria_conformance::token::ISSUER;
use talaria_conformance::{HUB_PATH, free_port};

/// Every attack of `talaria bench attack` that the command line offers.
const ATTACKS: [&str; 22] = [
    "harmless",
    "replay",
    "patterns",
    "custom-groups",
    "many-topics",
    "multiplexed",
    "churn",
    "batches",
    "readers",
    "visits",
    "idle",
    "connections",
    "streams",
    "blocked",
    "half-heads",
    "indexed-fields",
    "tiny-chunks",
    "large-queries",
    "half-requests",
    "half-handshakes",
    "resets",
    "huge-bodies",
];

/// Runs each attack for a second, beside a few honest clients: the attackers reach the hub, the hub
/// neither loses nor doubles an honest update, and the figures of the verdict exist. Several
/// attacks run at a time, since most of a run is waiting.
#[test]
fn every_attack_reaches_the_hub() {
    let done = Mutex::new(BTreeMap::new());
    let next = Mutex::new(ATTACKS.iter());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let attack = next.lock().unwrap().next();
                    let Some(attack) = attack else { break };
                    let figures = attacked(attack);
                    done.lock().unwrap().insert(*attack, figures);
                }
            });
        }
    });
    for (attack, figures) in done.into_inner().unwrap() {
        assert_eq!(figures["lost"], 0, "{attack}: {figures}");
        assert_eq!(figures["doubled"], 0, "{attack}: {figures}");
        for phase in ["alone", "harmless"] {
            for figure in [
                "publish_p99_ms",
                "delivery_p99_ms",
                "resume_p99_ms",
                "healthz_worst_ms",
            ] {
                assert!(
                    figures[phase][figure].as_f64() > Some(0.0),
                    "{attack}: {phase} {figure}: {figures}"
                );
            }
        }
        assert!(
            figures["memory_mib"]["most"].as_f64() > Some(1.0),
            "{attack}: {figures}"
        );
        let counted = |name: &str| figures["attackers"][name].as_u64().unwrap();
        assert!(
            counted("most_open") > 0 && counted("connections") > 0,
            "{attack}: {figures}"
        );
        // The hub may answer late what costs it much; these cost little.
        let cheap = ["harmless", "readers", "connections", "streams", "blocked"];
        if cheap.contains(&attack) {
            assert!(
                counted("accepted") + counted("refused") > 0,
                "{attack}: {figures}"
            );
        }
        if attack != "idle" {
            assert!(counted("sent_bytes") > 0, "{attack}: {figures}");
        }
    }
}

/// The figures of a bounded attack on a separate hub.
fn attacked(attack: &str) -> Value {
    let [http, https] = [free_port(), free_port()];
    let sites = format!("http://127.0.0.1:{http}, https://localhost:{https}");
    let hub = Home::new().start(
        &sites,
        "anonymous\nsubscriptions\ntransport memory",
        &[
            ("MERCURE_TRUSTED_ISSUERS", ISSUER),
            (
                "GLOBAL_OPTIONS",
                "skip_install_trust\nauto_https disable_redirects",
            ),
        ],
    );
    let pid = hub.as_ref().unwrap().pid().to_string();
    // Two attacks of 10,000 connections at a time would take most ports of one address.
    let addresses = if attack.starts_with("half-") {
        "4"
    } else {
        "1"
    };
    let url = format!("http://127.0.0.1:{http}{HUB_PATH}");
    let done = Command::new(program())
        .args(["bench", "attack", attack, "--url", &url, "--hub-pid", &pid])
        .args(["--key", PUBLISHER_KEY, "--subscriber-key", SUBSCRIBER_KEY])
        .args([
            "--subscribers",
            "10",
            "--stored",
            "100",
            "--baseline",
            "1",
            "--seconds",
            "1",
            "--json",
        ])
        .args(["--nice", "0", "--tls-port", &https.to_string()])
        .args(["--addresses", addresses])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    let figures = String::from_utf8_lossy(&done.stdout);
    assert_eq!(done.status.code(), Some(0), "{attack}: {said}{figures}");
    serde_json::from_slice(&done.stdout).unwrap()
}

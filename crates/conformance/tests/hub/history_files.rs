//! The files of a history: imported, exported, locked, damaged, and on a disk that is full or cannot be
//! read ("Reconnection, State Reconciliation, and Event Sourcing").

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use talaria_conformance::client::target;
use talaria_conformance::hub::Home;
use talaria_conformance::token::exact;

use crate::history::{BOLT, FIELD, after, bolt, numbers, publish, resume};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../boltdb/tests/fixtures")
}

/// The existing hub's database, where that hub has it, is imported at start exactly as it is and
/// once, is resumable from each id, and is left as it was (B-520).
#[tokio::test]
async fn a_database_of_the_existing_hub_is_imported() {
    for name in [
        "hub-0.24.2-mixed",
        "hub-0.24.2-pruned",
        "hub-1.0.0-alpha.3-mixed",
    ] {
        let home = Home::new();
        let database = home.path().join("data/caddy/mercure.db");
        fs::create_dir_all(database.parent().expect("a folder")).expect("a folder");
        let bytes = fs::read(fixtures().join(format!("{name}.db"))).expect("the fixture");
        fs::write(&database, &bytes).expect("the database");
        let json = fs::read(fixtures().join(format!("{name}.json"))).expect("the fixture");
        let entries: Vec<Value> = serde_json::from_slice(&json).expect("JSON");
        for imported in [entries.len(), 0] {
            let hub = home
                .hub("anonymous\n# transport: the default, which is a history")
                .expect("it starts");
            let said = hub.log.since(0).join("\n");
            assert!(said.contains(&format!("imported={imported} ")), "{said}");
            let everything = [exact("*")];
            let reader = hub.subscriber(&everything);
            let mut stream = reader
                .clone()
                .last_event_id("earliest")
                .subscribe(&everything)
                .await;
            for entry in &entries {
                let event = stream.event().await;
                assert_eq!(event.id, entry["id"].as_str().expect("an id"));
                assert_eq!(event.data, entry["data"].as_str().expect("data"));
                let event_type = entry["type"].as_str().filter(|text| !text.is_empty());
                assert_eq!(event.event_type, event_type.unwrap_or_default());
            }
            let mut seen = HashSet::new();
            for (index, entry) in entries.iter().enumerate() {
                let id = entry["id"].as_str().expect("an id");
                // An id that was used twice stands for the first.
                if !seen.insert(id) {
                    continue;
                }
                let client = reader.clone().last_event_id(id);
                let mut stream = client.subscribe(&everything).await;
                assert_eq!(stream.header(FIELD), id);
                if let Some(next) = entries.get(index + 1) {
                    assert_eq!(stream.event().await.id, next["id"].as_str().expect("an id"));
                }
            }
            hub.stop().await;
        }
        assert_eq!(fs::read(&database).expect("the database"), bytes);
    }
}

/// A second hub on the same history is refused with a clear message (B-074).
#[tokio::test]
async fn a_second_hub_is_refused() {
    let home = Home::new();
    let _hub = home.hub(BOLT).expect("it starts");
    let said = home.hub(BOLT).err().expect("it is refused");
    assert!(said.contains("in use by another process"), "{said}");
    assert!(said.contains("mercure.db.talaria/lock"), "{said}");
}

/// Damage below the mark fails the start with file, offset and the repair that would drop the
/// damaged part; only that repair drops it.
#[tokio::test]
async fn damage_is_refused_and_repaired_when_told() {
    let home = Home::new();
    let hub = home.hub(BOLT).expect("it starts");
    publish(&hub, 1..=20).await;
    hub.kill();
    let folder = home.path().join("data/caddy/mercure.db.talaria");
    let files = fs::read_dir(&folder).expect("the history");
    let segment = files
        .map(|file| file.expect("a file").path())
        .find(|path| {
            path.extension()
                .is_some_and(|extension| extension == "segment")
        })
        .expect("a segment");
    let mut bytes = fs::read(&segment).expect("the segment");
    bytes[1_000] ^= 1;
    fs::write(&segment, bytes).expect("the segment");
    let said = home.hub(BOLT).err().expect("it is refused");
    assert!(said.contains(&segment.display().to_string()), "{said}");
    assert!(said.contains("at offset"), "{said}");
    assert!(said.contains("talaria history repair"), "{said}");
    let verify = home.run(&["history", "verify"]);
    assert!(!verify.status.success());
    let plan = home.run(&["history", "repair"]);
    let text = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert!(text.contains("would give up bytes"), "{text}");
    assert!(home.hub(BOLT).is_err(), "a plan changes nothing");
    assert!(home.run(&["history", "repair", "--yes"]).status.success());
    assert!(home.run(&["history", "verify"]).status.success());
    let hub = home.hub(BOLT).expect("it starts");
    let mut stream = resume(&hub, "earliest").await;
    let first: u32 = stream.data().await.parse().expect("a number");
    assert!(first > 1, "what was given up is behind the cursor");
    for number in first + 1..=20 {
        assert_eq!(stream.data().await, number.to_string());
    }
}

/// An export that is imported elsewhere exports the same, and its ids resume there.
#[tokio::test]
async fn an_export_is_imported_as_it_was() {
    let home = Home::new();
    let hub = home.hub(BOLT).expect("it starts");
    let ids = publish(&hub, 1..=10).await;
    hub.stop().await;
    let exported = home.run(&["history", "export"]);
    assert!(exported.status.success());
    fs::write(home.path().join("all.ndjson"), &exported.stdout).expect("a file");
    let other = home.path().join("other.db").display().to_string();
    let imported = home.run(&["history", "import", "--path", &other, "all.ndjson"]);
    assert!(imported.status.success(), "{imported:?}");
    let again = home.run(&["history", "export", "--path", &other]);
    assert_eq!(
        String::from_utf8_lossy(&again.stdout),
        String::from_utf8_lossy(&exported.stdout)
    );
    let hub = home.hub(&bolt("path other.db")).expect("it starts");
    let mut stream = resume(&hub, &ids[7]).await;
    assert_eq!(stream.header(FIELD), ids[7]);
    assert_eq!(stream.several::<2>().await, ["9", "10"]);
    let wrong = home.path().join("wrong.ndjson");
    fs::write(&wrong, "{}\n").expect("a file");
    let refused = home.run(&["history", "import", "--path", "third.db", "wrong.ndjson"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("wrong.ndjson:1: `topics` is not a list"),
        "{said}"
    );
}

/// On a full disk, publishers get 503 and the reason, readiness is off, subscribers stay, nothing
/// acknowledged is lost, and publishing resumes without a restart.
#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let home = Home::new();
    let hub = home.hub(BOLT).expect("it starts");
    let limit = |bytes: Option<u64>| {
        let pid = i32::try_from(hub.pid()).ok().and_then(Pid::from_raw);
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(pid, Resource::Fsize, limit).expect("the limit is set");
    };
    let mut live = hub.client().subscribe(&[exact("a")]).await;
    let ids = publish(&hub, 1..=3).await;
    assert_eq!(live.several::<3>().await, ["1", "2", "3"]);
    limit(Some(1));
    let data = "x".repeat(10_000);
    let refused = hub
        .publisher()
        .publish(&[("topic", "a"), ("data", &data)])
        .await;
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert!(
        refused.text.contains("could not be written"),
        "{}",
        refused.text
    );
    assert!(!refused.header("retry-after").is_empty());
    let ready = hub.client().get("/healthz").await;
    assert_eq!(ready.status, 503);
    assert!(
        ready.text.contains("could not be written"),
        "{}",
        ready.text
    );
    limit(None);
    // The hub checks without a request whether writing works again.
    let since = Instant::now();
    while hub.client().get("/healthz").await.status != 200 {
        assert!(since.elapsed() < Duration::from_secs(10), "it stays off");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    publish(&hub, 4..=4).await;
    assert_eq!(live.data().await, "4", "the subscriber stayed");
    hub.kill();
    let hub = home.hub(BOLT).expect("it starts");
    let mut stream = resume(&hub, &ids[0]).await;
    assert_eq!(
        stream.several::<3>().await,
        ["2", "3", "4"],
        "what was refused is not there"
    );
}

/// While files of the history cannot be opened, the hub takes a kept id neither for unknown nor for
/// a later place. It tells a browser to come back, answers another client with 503, and ends a
/// reader under way, which resumes from there ("Reconnection, State Reconciliation, and Event
/// Sourcing").
#[tokio::test]
async fn a_history_that_cannot_be_read_is_not_an_empty_one() {
    let home = Home::new();
    let mut ids = Vec::new();
    for numbers in [1..=20, 21..=40] {
        let hub = home.hub(BOLT).expect("it starts");
        ids.extend(publish(&hub, numbers).await);
        hub.stop().await;
    }
    let hub = home.hub(BOLT).expect("it starts");
    let folder = home.path().join("data/caddy/mercure.db.talaria");
    let away = home.path().join("away");
    fs::create_dir(&away).expect("a directory");
    let is_log = |path: &Path| {
        let kind = path.extension().unwrap_or_default();
        kind == "segment" || kind == "index"
    };
    let move_all = |from: &Path, to: &Path| {
        for file in fs::read_dir(from).expect("a directory") {
            let path = file.expect("a file").path();
            let name = path.file_name().expect("a name");
            if is_log(&path) {
                fs::rename(&path, to.join(name)).expect("it is moved");
            }
        }
    };
    move_all(&folder, &away);
    let target = target(&[("match", "a")]);
    for id in ["mine-24", "unknown"] {
        let client = hub.client().last_event_id(id);
        let browser = client.clone().header("accept", "text/event-stream");
        let answer = browser.get(&target).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header(FIELD), id);
        assert!(
            answer
                .text
                .starts_with(": the log cannot be read now\nretry: ")
        );
        let answer = client.get(&target).await;
        assert_eq!(answer.status, 503);
        assert_eq!(answer.header("retry-after"), "2");
        assert_eq!(answer.header(FIELD), "");
    }
    // What is open may be delivered, and nothing is passed over.
    let mut earliest = resume(&hub, "earliest").await;
    let delivered = earliest.end().await;
    assert!(delivered.len() < 40 && numbers(1..=40).starts_with(&delivered));
    move_all(&away, &folder);
    assert_eq!(after(&hub, &ids[19]).await, numbers(21..=40));
    let mut found = resume(&hub, "mine-24").await;
    assert_eq!(found.header(FIELD), "mine-24");
    assert_eq!(found.data().await, "25");
}

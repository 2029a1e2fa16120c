//! "Reconnection, State Reconciliation, and Event Sourcing" on the history, which outlives the hub.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use talaria_conformance::client::target;
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::stream::EventStream;
use talaria_conformance::token::{exact, pattern};
use talaria_conformance::{count, within};

const FIELD: &str = "mercure-last-event-id";
const BOLT: &str = "anonymous\ntransport bolt";

pub fn bolt(options: &str) -> String {
    format!("{BOLT} {{\n{options}\n}}")
}

async fn publish(hub: &Hub, numbers: std::ops::RangeInclusive<u32>) -> Vec<String> {
    let mut publisher = hub.publisher().keep().await;
    let mut ids = Vec::new();
    for number in numbers {
        let data = number.to_string();
        let mine = format!("mine-{number}");
        let mut fields = vec![("topic", "a"), ("data", &*data)];
        if number % 3 == 0 {
            fields.push(("id", &mine));
        }
        ids.push(publisher.publish(&fields).await);
    }
    ids
}

async fn resume(hub: &Hub, id: &str) -> EventStream {
    let client = hub.client().last_event_id(id);
    client.subscribe(&[exact("a")]).await
}

/// The data of everything after a cursor.
async fn after(hub: &Hub, id: &str) -> Vec<String> {
    let mut stream = resume(hub, id).await;
    hub.publisher()
        .published(&[("topic", "a"), ("data", "end")])
        .await;
    stream.until("end").await
}

fn numbers(range: std::ops::RangeInclusive<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// Issue 8: what the hub acknowledged is there after a stop and after a crash, before anybody
/// publishes; every id resumes, the publishers' own and the hub's.
#[tokio::test]
async fn a_restart_loses_nothing() {
    for sync in ["always", "interval 10s", "never"] {
        let home = Home::new();
        let options = bolt(&format!("sync {sync}"));
        let hub = home.hub(&options).expect("it starts");
        let mut ids = publish(&hub, 1..=20).await;
        hub.stop().await;
        let hub = home.hub(&options).expect("it starts");
        // Before anybody publishes (the existing hub replays nothing here).
        let mut stream = resume(&hub, &ids[16]).await;
        assert_eq!(stream.header(FIELD), ids[16]);
        assert_eq!(stream.several::<3>().await, ["18", "19", "20"]);
        ids.extend(publish(&hub, 21..=40).await);
        hub.kill();
        let hub = home.hub(&options).expect("it starts");
        for (index, id) in ids.iter().enumerate() {
            let mut stream = resume(&hub, id).await;
            assert_eq!(stream.header(FIELD), id);
            for number in index + 2..=40 {
                assert_eq!(stream.data().await, number.to_string());
            }
        }
        let mut stream = resume(&hub, "earliest").await;
        assert_eq!(stream.header(FIELD), "earliest");
        for number in 1..=40 {
            assert_eq!(stream.data().await, number.to_string());
        }
    }
}

/// Issue 8: `size` is exact after every publish; a deleted id brings everything kept and the field
/// `earliest`, an unknown one what comes (B-507).
#[tokio::test]
async fn size_keeps_exactly_the_newest() {
    let home = Home::new();
    let hub = home.hub(&bolt("size 5")).expect("it starts");
    let mut ids: Vec<String> = Vec::new();
    for number in 1..=12 {
        ids.extend(publish(&hub, number..=number).await);
        let first = number.saturating_sub(4).max(1);
        let mut stream = resume(&hub, "earliest").await;
        for kept in first..=number {
            assert_eq!(stream.data().await, kept.to_string());
        }
    }
    let deleted = resume(&hub, &ids[0]).await;
    assert_eq!(deleted.header(FIELD), "earliest");
    let deleted = after(&hub, &ids[0]).await;
    assert_eq!(deleted, numbers(8..=12), "all that is kept");
    // Since then `end` is there too.
    let unknown = resume(&hub, "nobody's").await;
    assert_eq!(unknown.header(FIELD), "earliest");
    let mine = resume(&hub, "mine-3").await;
    assert_eq!(mine.header(FIELD), "earliest", "its record is gone");
    let mut unknown = unknown;
    publish(&hub, 13..=13).await;
    assert_eq!(unknown.data().await, "13", "live only");
}

/// Issue 8: `max_age` hides what is older, without a publish.
#[tokio::test]
async fn age_hides_what_is_old() {
    let home = Home::new();
    let hub = home.hub(&bolt("max_age 2s")).expect("it starts");
    let ids = publish(&hub, 1..=2).await;
    let kept = resume(&hub, &ids[0]).await;
    assert_eq!(kept.header(FIELD), ids[0]);
    let published = Instant::now();
    loop {
        let field = resume(&hub, &ids[0]).await.header(FIELD).to_owned();
        if field == "earliest" {
            break;
        }
        assert!(
            published.elapsed() < Duration::from_secs(10),
            "it is never hidden"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut stream = resume(&hub, "earliest").await;
    publish(&hub, 3..=3).await;
    assert_eq!(stream.data().await, "3", "nothing older is replayed");
}

/// Issue 8: a long replay comes in order and whole while others get what is live, and its head is
/// there before it.
#[tokio::test]
async fn a_long_replay_is_whole_and_hurts_nobody() {
    let home = Home::new();
    let hub = home
        .hub(&bolt("sync never\nring_bytes 64KiB"))
        .expect("it starts");
    let updates = count(200_000, 20_000);
    let publishers = (0..8).map(|publisher| {
        let client = hub.publisher();
        tokio::spawn(async move {
            let mut publisher_connection = client.keep().await;
            for number in 0..updates / 8 {
                let data = format!("{publisher} {number}");
                publisher_connection
                    .publish(&[("topic", "a"), ("data", &data)])
                    .await;
            }
        })
    });
    for publisher in publishers.collect::<Vec<_>>() {
        publisher.await.expect("a publisher ends");
    }
    let mut slow = hub
        .client()
        .receive_buffer(4 << 10)
        .last_event_id("earliest")
        .subscribe(&[exact("a")])
        .await;
    assert_eq!(slow.header(FIELD), "earliest");
    let mut live = hub.client().subscribe(&[exact("a")]).await;
    let mut seen = [0; 8];
    for read in 0..updates {
        let data = slow.data().await;
        let (publisher, number) = data.split_once(' ').expect("two numbers");
        let next: &mut u32 = &mut seen[publisher.parse::<usize>().expect("a number")];
        assert_eq!(number, next.to_string(), "of publisher {publisher}");
        *next += 1;
        if read == updates / 2 {
            publish(&hub, 1..=1).await;
            assert_eq!(live.data().await, "1");
        }
    }
    assert_eq!(slow.data().await, "1");
}

/// Issue 8: retention overtakes running replays: each is whole up to where it ends, and the client
/// learns of the gap when it comes back.
#[tokio::test]
async fn retention_under_running_replays_skips_nothing() {
    let home = Home::new();
    let options = bolt("sync never\nsize 500\nring_bytes 64KiB");
    // The readers stall for as long as the publisher takes.
    let directives = format!("dispatch_timeout 0s\n{options}");
    let hub = home.hub(&directives).expect("it starts");
    let data = "x".repeat(1_000);
    let mut publisher = hub.publisher().keep().await;
    let mut number = 0;
    let mut more = async |count: u32| {
        for _ in 0..count {
            number += 1;
            let data = format!("{number} {data}");
            publisher.publish(&[("topic", "a"), ("data", &data)]).await;
        }
    };
    more(500).await;
    let mut replays = Vec::new();
    for _ in 0..100 {
        let client = hub.client().receive_buffer(4 << 10);
        let client = client.last_event_id("earliest");
        replays.push(client.subscribe(&[exact("a")]).await);
    }
    more(1_500).await;
    for mut replay in replays {
        let (mut expected, mut last_id) = (1_u32, String::new());
        while let Some(event) = within("an event or the end", replay.try_event())
            .await
            .expect("an end is clean")
        {
            let got = event.data.split(' ').next().expect("a number").to_owned();
            assert_eq!(got, expected.to_string(), "nothing is skipped");
            last_id = event.id;
            expected += 1;
            if expected > 2_000 {
                break;
            }
        }
        if expected <= 2_000 {
            let again = resume(&hub, &last_id).await;
            assert_eq!(again.header(FIELD), "earliest", "the gap is said");
        }
    }
}

fn bytes_of(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).expect("the history");
    let files = files.map(|file| file.and_then(|file| file.metadata()));
    files
        .map(|metadata| metadata.map_or(0, |file| file.len()))
        .sum()
}

/// Issue 8: a history that saw many updates occupies at most twice its live bytes.
#[tokio::test]
async fn space_is_given_back() {
    let home = Home::new();
    let (updates, size) = count((1_000_000, 10_000), (40_000, 4_000));
    let directives = bolt(&format!("sync never\nsize {size}"));
    let hub = home.hub(&directives).expect("it starts");
    let publishers = (0..32).map(|_| {
        let client = hub.publisher();
        tokio::spawn(async move {
            let mut publisher = client.keep().await;
            for _ in 0..updates / 32 {
                let data = "x".repeat(100);
                publisher.publish(&[("topic", "a"), ("data", &data)]).await;
            }
        })
    });
    for publisher in publishers.collect::<Vec<_>>() {
        publisher.await.expect("a publisher ends");
    }
    hub.stop().await;
    let exported = home.run(&["history", "stat"]);
    let text = String::from_utf8(exported.stdout).expect("UTF-8");
    assert!(text.contains(&format!("updates: {size}\n")), "{text}");
    // A record of such an update, the hub's id and topic included.
    let live = size * 250;
    let occupied = bytes_of(&home.path().join("data/caddy/mercure.db.talaria"));
    assert!(occupied <= 2 * live, "{occupied} bytes for {live}");
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../boltdb/tests/fixtures")
}

/// Issue 8, B-520: the existing hub's database, where that hub has it, is imported at start exactly
/// as it is, resumable from each id, once, and left as it is.
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
            let hub = home.hub("anonymous").expect("it starts");
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

/// B-074: a second hub on the same history is refused with a clear message.
#[tokio::test]
async fn a_second_hub_is_refused() {
    let home = Home::new();
    let _hub = home.hub(BOLT).expect("it starts");
    let said = home.hub(BOLT).err().expect("it is refused");
    assert!(said.contains("in use by another process"), "{said}");
    assert!(said.contains("mercure.db.talaria/lock"), "{said}");
}

/// Issue 8: damage below the mark refuses to start with file, offset and the repair that would drop
/// it, and drops it only when told.
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

/// Issue 8: an export imported elsewhere exports the same; ids resume there.
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
        said.contains("wrong.ndjson:1: `topics` is no list"),
        "{said}"
    );
}

/// Issue 8: a file that may not grow: publishers get 503 and the reason, readiness is off,
/// subscribers stay, nothing acknowledged is lost, and publishing resumes without a restart.
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
    // It looks by itself whether writing works again.
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

/// A subscriber of a pattern and one of exact topics resume from the same history alike.
#[tokio::test]
async fn patterns_and_exact_topics_resume_alike() {
    let home = Home::new();
    let hub = home
        .hub(&bolt("sync never\nring_bytes 64KiB"))
        .expect("it starts");
    let mut publisher = hub.publisher().keep().await;
    let mut first = String::new();
    for number in 0..3_000 {
        let topic = format!("https://example.com/{}", number % 50);
        let data = number.to_string();
        let id = publisher
            .publish(&[("topic", &topic), ("data", &data)])
            .await;
        if number == 0 {
            first = id;
        }
    }
    let matchers = [
        vec![
            exact("https://example.com/7"),
            exact("https://example.com/9"),
        ],
        vec![pattern("https://example.com/(7|9)")],
    ];
    for matchers in matchers {
        let client = hub.client().last_event_id(&first);
        let mut stream = client.subscribe(&matchers).await;
        for round in 0..60 {
            assert_eq!(stream.data().await, (round * 50 + 7).to_string());
            assert_eq!(stream.data().await, (round * 50 + 9).to_string());
        }
    }
}

/// "Reconnection, State Reconciliation, and Event Sourcing": while files of the history cannot be
/// opened, a kept id is not unknown and no later place. A browser is told to come back, another
/// client gets 503, and a reader under way ends where it is and resumes there.
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
    for id in ["mine-24", "nobody's"] {
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

//! `talaria history`: numbers for people and for programs, ages that an export keeps, and bars at terminals.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use talaria_conformance::hub::{Home, program};
use talaria_conformance::token::{exact, now};

const BOLT: &str = "anonymous\ntransport bolt {\npath h.db\n}";

fn stdout(home: &Home, arguments: &[&str]) -> String {
    let output = home.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// `stat` speaks of sizes and dates; with --json it has the exact numbers under names that stay.
#[tokio::test]
async fn stat() {
    let home = Home::new();
    let hub = home.hub(BOLT).expect("it starts");
    let data = "x".repeat(1_000);
    for _ in 0..3 {
        hub.publisher()
            .published(&[("topic", "a"), ("data", &data)])
            .await;
    }
    hub.stop().await;
    let text = stdout(&home, &["history", "stat", "--path", "h.db"]);
    for part in [
        "updates: 3\n",
        "oldest: ",
        ", here ",
        " KiB (",
        " bytes) in 1 segments\n",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    let exact = stdout(&home, &["history", "stat", "--path", "h.db", "--json"]);
    let exact: Value = serde_json::from_str(&exact).expect("JSON");
    let names: Vec<&String> = exact.as_object().expect("an object").keys().collect();
    let stable = [
        "bytes",
        "damaged_places",
        "deleted_up_to",
        "format",
        "given_up",
        "last_imported",
        "newest_position",
        "newest_time",
        "oldest_time",
        "runs",
        "segments",
        "updates",
    ];
    assert_eq!(names, stable);
    assert_eq!(exact["updates"], 3);
    assert_eq!(exact["given_up"], json!([]));
    let newest = exact["newest_time"].as_u64().expect("a time");
    assert!(newest.abs_diff(now() * 1_000) < 60_000, "{newest}");
    assert!(exact["bytes"].as_u64().is_some_and(|it| it > 3_000));
}

/// An export keeps the times, so that after an import the ages are the old ones, and `max_age` counts from
/// them.
#[tokio::test]
async fn an_import_keeps_ages() {
    let home = Home::new();
    let hour = 3_600_000;
    let begun = now() * 1_000;
    let line = |age: u64, data: &str| {
        let id = format!("urn:{data}");
        format!(
            "{}\n",
            json!({ "topics": ["a"], "id": id, "data": data, "time": begun - age })
        )
    };
    let lines = line(3 * hour, "old") + &line(2 * hour, "older than an hour") + &line(0, "new");
    std::fs::write(home.path().join("lines"), lines).unwrap();
    stdout(&home, &["history", "import", "--path", "first.db", "lines"]);
    let exported = stdout(&home, &["history", "export", "--path", "first.db"]);
    std::fs::write(home.path().join("exported"), &exported).unwrap();
    stdout(
        &home,
        &["history", "import", "--path", "second.db", "exported"],
    );
    let times = |text: &str| -> Vec<u64> {
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| line["time"].as_u64().unwrap()).collect()
    };
    let again = stdout(&home, &["history", "export", "--path", "second.db"]);
    assert_eq!(times(&again), times(&exported));
    assert_eq!(times(&again)[0], begun - 3 * hour);

    let bounded = "anonymous\ntransport bolt {\npath second.db\nmax_age 1h\n}";
    let hub = home.hub(bounded).expect("it starts");
    let reader = hub.client().last_event_id("earliest");
    let mut stream = reader.subscribe(&[exact("a")]).await;
    assert_eq!(stream.data().await, "new");
}

/// A bar appears at a terminal after a second, on standard error alone; without a terminal there is none.
#[test]
fn bars_are_for_terminals() {
    let home = Home::new();
    // The last line is wrong, so that the check of the file is all that happens.
    let wrong = "error: lines:";
    let line = format!(
        "{}\n",
        json!({ "topics": ["a"], "id": "urn:a", "data": "x".repeat(300) })
    );
    let mut count = 50_000;
    loop {
        let lines = line.repeat(count) + "wrong\n";
        std::fs::write(home.path().join("lines"), lines).unwrap();
        let begun = Instant::now();
        let (screen, out) = at_terminal(&home);
        let is_long = begun.elapsed() > Duration::from_secs(1);
        assert!(screen.contains(wrong) && out.is_empty(), "{screen}{out}");
        let is_shown = screen.contains("checking");
        assert!(
            is_long || !is_shown,
            "a bar before a second has passed: {screen}"
        );
        if is_shown {
            break;
        }
        count *= 4;
        assert!(count < 20_000_000, "no bar: {screen}");
    }
    let unwatched = home.run(&["history", "import", "--path", "h.db", "lines"]);
    let said = String::from_utf8(unwatched.stderr).unwrap();
    assert!(said.starts_with(wrong), "{said}");
    assert!(
        unwatched.stdout.is_empty() && !said.contains("checking"),
        "{said}"
    );
}

/// What an import writes to a terminal, which is its standard error, and to standard output, which is a file.
fn at_terminal(home: &Home) -> (String, String) {
    let import = format!(
        "'{}' history import --path h.db lines > out",
        program().display()
    );
    let output = Command::new("script")
        .args(["-q", "-c", &import, "/dev/null"])
        .current_dir(home.path())
        .env("TERM", "xterm")
        .env("HOME", home.path())
        .stdin(Stdio::null())
        .output()
        .expect("script of bsdutils is installed");
    let out = std::fs::read_to_string(home.path().join("out")).unwrap();
    (String::from_utf8_lossy(&output.stdout).into_owned(), out)
}

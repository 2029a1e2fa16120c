//! `talaria history import --redis`: from one node to several, whose clients keep their place.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::servers::{Program, Redis};
use talaria_conformance::token::exact;
use talaria_conformance::within;

const BOLT: &str = "anonymous\ntransport bolt {\npath h.db\n}";

fn url(server: &Redis) -> String {
    format!("redis://{}", server.address())
}

fn said(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn import(home: &Home, server: &Redis, file: &str) -> String {
    said(home.run(&["history", "import", "--redis", &url(server), file]))
}

fn node(server: &Redis) -> Hub {
    let home = Home::new();
    let directives = format!("anonymous\ntransport redis {{\nurl {}\n}}", url(server));
    home.hub(&directives).expect("the node starts")
}

/// The updates in the log, each as its fields.
fn kept(server: &Redis) -> Vec<Value> {
    let entries = server.ask(&["XRANGE", "{mercure}:log", "-", "+"]);
    let entries = entries.array().iter();
    entries
        .map(|entry| {
            let fields = entry.array()[1].array().chunks(2);
            fields
                .map(|field| (field[0].text().to_owned(), json!(field[1].text())))
                .collect()
        })
        .collect()
}

fn contents(server: &Redis) -> Vec<String> {
    let kept = kept(server).into_iter();
    kept.map(|update| update["data"].as_str().unwrap().to_owned())
        .collect()
}

fn line(data: usize) -> String {
    let id = format!("urn:{data}");
    let line = json!({ "topics": ["a"], "id": id, "data": data.to_string(), "time": 1_000 + data });
    format!("{line}\n")
}

fn lines(to: usize) -> String {
    (0..to).map(line).collect()
}

fn numbers(to: usize) -> Vec<String> {
    (0..to).map(|number| number.to_string()).collect()
}

/// The history of one node goes to a cluster, by an export or directly: ids, times, order and privacy stay, and a
/// client goes on at any node from the last id that the one node gave it.
#[tokio::test]
async fn clients_keep_their_place() {
    let home = Home::new();
    let hub = home.hub(BOLT).expect("it starts");
    let publisher = hub.publisher();
    let mut ids = Vec::new();
    for number in 0..6 {
        let data = number.to_string();
        let mut fields = vec![
            ("topic", "a"),
            ("data", &*data),
            ("type", "t"),
            ("retry", "7"),
        ];
        if number == 4 {
            fields.push(("private", "on"));
        }
        ids.push(publisher.published(&fields).await);
    }
    hub.stop().await;
    let exported = said(home.run(&["history", "export", "--path", "h.db"]));
    std::fs::write(home.path().join("exported"), &exported).unwrap();

    for file in ["exported", "h.db", "h.db.talaria"] {
        let server = Redis::start(Program::Redis7);
        let done = import(&home, &server, file);
        assert_eq!(
            done,
            "imported: 6, left out because the log has their ids: 0\n"
        );
        let kept = kept(&server);
        for (line, update) in exported.lines().zip(&kept) {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(update["id"], line["id"], "from {file}");
            let stored = update["stored"].as_str().unwrap();
            let time = stored.rsplit(' ').next().unwrap();
            assert_eq!(time, line["time"].to_string());
            assert_eq!(update["data"], line["data"]);
            assert_eq!(
                (&update["type"], &update["retry"]),
                (&json!("t"), &json!("7"))
            );
            assert_eq!(update.get("private").is_some(), line["private"] == true);
        }

        let nodes = [node(&server), node(&server)];
        let mut streams = Vec::new();
        for node in &nodes {
            let client = node.client().last_event_id(&ids[2]);
            let stream = client.subscribe(&[exact("a")]).await;
            assert_eq!(stream.header("mercure-last-event-id"), ids[2]);
            streams.push(stream);
        }
        nodes[1]
            .publisher()
            .published(&[("topic", "a"), ("data", "new")])
            .await;
        for mut stream in streams {
            // What is private stays so.
            assert_eq!(stream.until("new").await, ["3", "5"]);
        }
    }
}

/// An import that was killed goes on where it was, and one that is done is not done twice.
#[tokio::test]
async fn an_import_goes_on() {
    let home = Home::new();
    let server = Redis::start(Program::Redis7);
    std::fs::write(home.path().join("lines"), lines(1_500)).unwrap();
    let mut command: Command = home.program();
    command.args(["history", "import", "--redis", &url(&server), "-"]);
    let mut killed = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let mut input = killed.stdin.take().expect("a pipe");
    // The rest never comes.
    input.write_all(lines(1_200).as_bytes()).unwrap();
    within("a part is imported", async {
        while server.ask(&["XLEN", "{mercure}:log"]).text() != "1000" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    killed.kill().unwrap();
    killed.wait().unwrap();

    let done = import(&home, &server, "lines");
    assert_eq!(
        done,
        "imported: 500, left out because the log has their ids: 1000\n"
    );
    let done = import(&home, &server, "lines");
    assert_eq!(
        done,
        "imported: 0, left out because the log has their ids: 1500\n"
    );
    assert_eq!(contents(&server), numbers(1_500));
}

/// A hub goes on while its history is imported; a second import takes what came meanwhile.
#[tokio::test]
async fn a_hub_may_go_on_meanwhile() {
    let home = Home::new();
    let server = Redis::start(Program::Redis7);
    let hub = home.hub(BOLT).expect("it starts");
    let publisher = hub.publisher();
    publisher.published(&[("topic", "a"), ("data", "0")]).await;
    let done = import(&home, &server, "h.db");
    assert_eq!(
        done,
        "imported: 1, left out because the log has their ids: 0\n"
    );
    publisher.published(&[("topic", "a"), ("data", "1")]).await;
    hub.stop().await;
    let done = import(&home, &server, "h.db");
    assert_eq!(
        done,
        "imported: 1, left out because the log has their ids: 1\n"
    );
    assert_eq!(contents(&server), numbers(2));
}

/// The database of the existing hub, with its ids.
#[tokio::test]
async fn a_database_of_the_existing_hub() {
    let home = Home::new();
    let server = Redis::start(Program::Redis7);
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../boltdb/tests/fixtures/");
    std::fs::copy(
        format!("{fixtures}hub-0.24.2-mixed.db"),
        home.path().join("existing.db"),
    )
    .unwrap();
    let expected = std::fs::read_to_string(format!("{fixtures}hub-0.24.2-mixed.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let done = import(&home, &server, "existing.db");
    let kept = kept(&server);
    assert!(
        done.starts_with(&format!("imported: {}, left out", kept.len())),
        "{done}"
    );
    assert!(done.contains("fields dropped: "), "{done}");
    let text = expected.to_string();
    assert!(kept.len() > 10, "{}", kept.len());
    for update in kept {
        let id = update["id"].to_string();
        assert!(text.contains(&id), "{id} is not of the database");
    }
}

/// What cannot be imported is written with a remedy and without passwords, and nothing is stored.
#[tokio::test]
async fn what_cannot_be_imported() {
    let home = Home::new();
    let server = Redis::with(Program::Redis7, &["--requirepass", "right"]);
    std::fs::write(home.path().join("lines"), line(1)).unwrap();
    std::fs::write(home.path().join("wrong"), line(1) + "wrong\n").unwrap();
    let address = server.address();
    for (url, file, expected) in [
        (format!("redis://:s3cret@{address}"), "lines", "password"),
        (
            format!("redis://:s3cret@{address}/x"),
            "lines",
            "the database",
        ),
        (
            "http://127.0.0.1".to_owned(),
            "lines",
            "not the scheme of a Redis server",
        ),
        (
            format!("redis://:right@{address}"),
            "wrong",
            "wrong:2: this is not JSON",
        ),
        (format!("redis://:right@{address}"), "none", "none"),
        (format!("redis://:right@{address}?gob=1"), "lines", "gob"),
    ] {
        let output = home.run(&["history", "import", "--redis", &url, file]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{url} {file}: {said}");
        assert!(
            said.starts_with("error: ") && said.contains(expected),
            "{said}"
        );
        assert!(
            file == "wrong" || said.contains("\n  "),
            "there is no remedy: {said}"
        );
        assert!(
            !said.contains("s3cret") && !said.contains("right"),
            "{said}"
        );
    }
    let url = format!("redis://:right@{address}");
    assert_eq!(
        said(home.run(&["history", "import", "--redis", &url, "lines"])),
        "imported: 1, left out because the log has their ids: 0\n"
    );
}

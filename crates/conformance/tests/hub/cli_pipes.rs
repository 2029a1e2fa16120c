//! A verb whose reader has closed the pipe ends without a word, with the code that shells give to SIGPIPE.

use std::process::{Command, Stdio};

use talaria_conformance::hub::{Home, PUBLISHER_KEY};
use talaria_conformance::token::exact;

/// What shells say of a program that SIGPIPE ended.
const CLOSED: Option<i32> = Some(141);

/// Runs a verb whose standard output is closed already.
fn closed(mut command: Command, verb: &[&str]) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command
        .args(verb)
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), CLOSED, "{verb:?}: {said}");
    assert!(said.is_empty(), "{verb:?}: {said}");
}

/// Verbs that need nothing, or a file.
#[test]
fn verbs_of_this_machine() {
    let home = Home::new();
    std::fs::write(
        home.path().join("Caddyfile"),
        ":80 {\nmercure {\npublisher_jwt {env.KEY}\nanonymous\n}\n}\n",
    )
    .unwrap();
    std::fs::write(home.path().join("token"), "x.y.z").unwrap();
    for verb in [
        &["--help"][..],
        &["help", "run"],
        &["run", "--help"],
        &["--version"],
        &["version"],
        &["version", "--json"],
        &["build-info"],
        &["list-modules"],
        &["environ"],
        &["reference"],
        &["adapt"],
        &["validate"],
        &["fmt"],
        &["fmt", "--diff"],
        &["token", "--dev"],
        &["token", "--generation", "0.x", "--dev"],
        &["token", "check", "@token"],
        &[
            "bench",
            "floor",
            "--subscribers",
            "1",
            "--publishers",
            "1",
            "--updates",
            "10",
            "--rounds",
            "1",
        ],
        &[
            "bench",
            "floor",
            "--subscribers",
            "1",
            "--publishers",
            "1",
            "--updates",
            "10",
            "--rounds",
            "1",
            "--json",
        ],
    ] {
        let mut command = home.program();
        command
            .env("KEY", PUBLISHER_KEY)
            .env_remove("GLOBAL_OPTIONS");
        closed(command, verb);
    }
}

/// Verbs that ask a hub, and those that read a history.
#[tokio::test]
async fn verbs_of_a_hub_and_its_history() {
    let home = Home::new();
    let hub = home
        .hub("anonymous\ntransport bolt {\npath h.db\n}")
        .expect("it starts");
    let topic = [exact("a")];
    let token = hub.publisher_token(&topic);
    for _ in 0..3 {
        hub.publisher()
            .published(&[("topic", "a"), ("data", "x")])
            .await;
    }
    let url = format!("http://{}", hub.address);
    for verb in [
        &[
            "subscribe",
            &url,
            "--match",
            "a",
            "--last-event-id",
            "earliest",
        ][..],
        &[
            "subscribe",
            &url,
            "--match",
            "a",
            "--last-event-id",
            "earliest",
            "--json",
        ],
        &["publish", &url, "--topic", "a", "--token", &token],
        &["doctor", &url],
        &["doctor", &url, "--json"],
        &["history", "stat", "--path", "h.db"],
        &["history", "stat", "--path", "h.db", "--json"],
        &["history", "export", "--path", "h.db"],
        &["history", "verify", "--path", "h.db"],
    ] {
        let command = home.program();
        let verb: Vec<String> = verb.iter().map(|&word| word.to_owned()).collect();
        let run = tokio::task::spawn_blocking(move || {
            let verb: Vec<&str> = verb.iter().map(String::as_str).collect();
            closed(command, &verb);
        });
        run.await.expect("it ends as it should");
    }
    hub.stop().await;
    closed(home.program(), &["history", "repair", "--path", "h.db"]);
    std::fs::write(home.path().join("lines"), "").unwrap();
    closed(
        home.program(),
        &["history", "import", "--path", "h.db", "lines"],
    );
}

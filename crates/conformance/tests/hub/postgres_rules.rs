//! By which rules hubs on `transport postgres` judge what is published by SQL, and which schemas they take.

use std::time::{Duration, Instant};

use talaria_conformance::PATIENCE;
use talaria_conformance::hub::Home;
use talaria_conformance::servers::{Postgres, Postgresql};
use talaria_conformance::token::exact;
use tokio::time::sleep;

use crate::postgres::on;
use crate::running::{Running, caddyfile};

/// What is published by SQL is judged by the rules of the hub: its size, its namespace and its generation.
#[tokio::test]
async fn updates_by_sql_keep_the_rules_of_the_hub() {
    let server = Postgres::start(Postgresql::V15);
    let rules = "max_request_body_size 2000\n\
                 resource_identifier https://hub.example/app/.well-known/mercure";
    let directives = format!("{}\n{rules}", on(&server, ""));
    let hub = Home::new().hub(&directives).expect("it starts");
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    server.run_sql(
        "SELECT talaria.publish('{a}', repeat('x', 3000));
         SELECT talaria.publish('{/app/.well-known/mercure/x}', 'reserved');
         SELECT talaria.publish('{*}', 'of 0.x');
         SELECT talaria.publish('{a}', repeat('x', 1000))",
    );
    assert_eq!(stream.data().await.len(), 1_000);
    let rejected = server.ask("SELECT reason FROM talaria.rejected ORDER BY k");
    let reasons: Vec<&str> = rejected.lines().collect();
    assert_eq!(reasons.len(), 3, "{rejected}");
    for (reason, expected) in reasons.iter().zip([
        "more than the 2000 of one publish",
        "reserved for the hub",
        "the wildcard of matchers",
    ]) {
        assert!(reason.contains(expected), "{expected}: {reason}");
    }
}

/// A hub of Mercure 0.x takes by SQL what it takes from its publishers, by default also 2 MB.
#[tokio::test]
async fn updates_by_sql_keep_the_rules_of_an_older_hub() {
    let server = Postgres::start(Postgresql::V15);
    let hub = Home::new().start("http://127.0.0.1:0", &on(&server, ""), &[]);
    let hub = hub.expect("it starts");
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    server.run_sql(
        "SELECT talaria.publish('{*,a}', 'of 0.x');
         SELECT talaria.publish('{a}', repeat('x', 2000000))",
    );
    assert_eq!(stream.data().await, "of 0.x");
    assert_eq!(stream.data().await.len(), 2_000_000);
}

/// The rules follow a reload, though the log stays open.
#[tokio::test]
async fn the_rules_of_updates_by_sql_follow_a_reload() {
    let server = Postgres::start(Postgresql::V15);
    let with = |rules: &str| caddyfile("", &format!("{}\n{rules}", on(&server, "")));
    let hub = Running::start(&with(""), &[]);
    let publish = "SELECT talaria.publish('{a}', repeat('x', 3000))";
    let at_rest = || async {
        let waiting = "SELECT count(*) FROM talaria.outbox";
        let deadline = Instant::now() + PATIENCE;
        while server.ask(waiting) != "0" {
            assert!(Instant::now() < deadline, "the update still waits");
            sleep(Duration::from_millis(20)).await;
        }
        server.ask("SELECT (SELECT count(*) FROM talaria.log WHERE NOT by_hub), count(*) FROM talaria.rejected")
    };
    server.run_sql(publish);
    assert_eq!(at_rest().await, "1|0");
    for (rules, expected) in [("max_request_body_size 2000", "1|1"), ("", "2|1")] {
        let media_type = hub.admin().header("content-type", "text/caddyfile");
        let loaded = media_type.send("POST", "/load", with(rules)).await;
        assert_eq!(loaded.status, 200, "{}", loaded.text);
        server.run_sql(publish);
        assert_eq!(at_rest().await, expected, "{rules}");
    }
}

/// The SQL of a schema that no hub can use is not printed.
#[test]
fn a_schema_that_no_log_can_have_is_not_printed() {
    let long = "a".repeat(70);
    for (name, expected) in [
        (
            "a{schema}$talaria$",
            "lowercase letters, digits and underscores",
        ),
        ("pg_x", "not `pg_` at the beginning"),
        (&*long, "at most 63"),
        ("", "for example `--schema talaria`"),
        ("public", "applications have tables and functions there"),
        ("information_schema", "choose another name"),
    ] {
        let output = Home::new().run(&["postgres", "schema", "--schema", name, "hub"]);
        assert_eq!(output.status.code(), Some(1), "{name}: {output:?}");
        assert!(output.stdout.is_empty(), "{name}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("cannot name the schema of a log"), "{said}");
        assert!(said.contains(expected), "{name}: {said}");
    }
}

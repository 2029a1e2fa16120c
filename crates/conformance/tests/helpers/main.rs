//! The servers that tests start do what tests rely on.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a failed step must stop the test, and a test waits for a server by the real clock"
)]

use std::time::{Duration, Instant};

use talaria_conformance::servers::{PgBouncer, Postgres, Postgresql, WITH_PASSWORD};

fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Data survive a kill, an orderly end and a halt; a pooler leads to the server.
#[test]
fn a_server_ends_and_comes_back() {
    for program in Postgresql::ALL {
        let mut server = Postgres::start(program);
        server.run_sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)");
        server.kill();
        assert!(server.try_ask("SELECT 1").is_err(), "{program:?} answers");
        server.restart();
        assert_eq!(server.ask("SELECT n FROM kept"), "1", "{program:?}");
        server.stop();
        server.restart();
        server.suspend();
        server.resume();
        server.set("synchronous_commit", "local");
        eventually("the setting", || {
            server.ask("SHOW synchronous_commit") == "local"
        });
        let pooler = PgBouncer::start(&server, &["postgres"], 4);
        assert_ne!(pooler.address(), server.address());
    }
}

/// A standby has what the primary acknowledged, and takes its place; the old primary follows it then.
#[test]
fn a_standby_takes_over() {
    for program in Postgresql::ALL {
        let mut primary = Postgres::start(program);
        let standby = primary.standby();
        primary.wait_for_standbys(true);
        primary.run_sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)");
        primary.kill();
        standby.promote();
        standby.wait_for_standbys(false);
        assert_eq!(standby.ask("SELECT n FROM kept"), "1", "{program:?}");
        standby.run_sql("INSERT INTO kept VALUES (2)");
        primary.follow(&standby);
        eventually("the new standby", || {
            primary.ask("SELECT count(*) FROM kept") == "2"
        });
    }
}

/// A full disk refuses writes, and takes them again once there is room; some roles need a password.
#[test]
fn a_disk_is_filled() {
    let mut server = Postgres::on_disk(Postgresql::V15, 96, &[]);
    server.run_sql("CREATE TABLE kept (t text)");
    server.fill_disk();
    let grow = "INSERT INTO kept SELECT repeat(md5(n::text), 50) FROM generate_series(1, 10000) n";
    eventually("a refusal", || server.try_ask(grow).is_err());
    server.empty_disk();
    eventually("room", || {
        server.try_ask("INSERT INTO kept VALUES ('x')").is_ok()
    });
    server.run_sql(&format!(
        "CREATE ROLE {WITH_PASSWORD}; CREATE ROLE app LOGIN PASSWORD 'x' IN ROLE {WITH_PASSWORD}"
    ));
    let said = server.ask_as("app", "postgres", "SELECT 1").unwrap_err();
    assert!(said.contains("no password supplied"), "{said}");
}

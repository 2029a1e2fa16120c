//! The tables and functions over time: dumps, printed SQL, and those of another version.

use std::process::Command;

use talaria_conformance::servers::Postgresql;
use talaria_postgres::{Postgres, schema_sql};
use talaria_transport::Position;
use talaria_transport::shared::Backend as _;
use talaria_transport::shared::backend::{BackendError, Member};

use crate::session::SUPERUSER;
use crate::site::{Kind, Site};
use crate::support::{Node, contents, on, tests_on};

tests_on!(Direct:
    a_dump_that_is_loaded_gives_no_position_twice,
    what_is_printed_mends_a_log_that_exists,
    functions_of_an_older_version_are_replaced,
);

/// The schema, as `pg_dump` writes it.
fn dump(site: &Site) -> String {
    let address = site.address();
    let dumped = Command::new(Postgresql::V15.bin().join("pg_dump"))
        .args(["--host", &address.ip().to_string()])
        .args(["--port", &address.port().to_string()])
        .args(["--username", SUPERUSER, "--schema", "talaria", "--inserts"])
        .output()
        .expect("pg_dump starts");
    assert!(dumped.status.success(), "{dumped:?}");
    let text = String::from_utf8(dumped.stdout).expect("UTF-8");
    // Commands of psql that guard a dump from a stranger.
    let lines = text.lines().filter(|line| !line.starts_with('\\'));
    lines.collect::<Vec<_>>().join("\n")
}

async fn a_dump_that_is_loaded_gives_no_position_twice(kind: Kind) {
    let site = Site::start(kind);
    let mut node = Node::enter(on(&site), 1).await;
    node.publish(&["a"]).await;
    let dumped = dump(&site);
    let lost = node.publish(&["b", "c"]).await;
    site.run_sql("DROP SCHEMA talaria CASCADE");
    site.run_sql(&dumped);
    // A node that was not there when the others were published.
    let mut other = Node::enter(on(&site), 2).await;
    let next = other.publish(&["d"]).await[0];
    assert!(next > lost[1], "{next:?} after {lost:?}");
    other.read = Position::ORIGIN;
    let records = other.tail(2).await;
    assert_eq!(contents(&records), ["a", "d"]);
    assert_eq!(records[1].run_before, Some(records[0].position));
}

async fn what_is_printed_mends_a_log_that_exists(kind: Kind) {
    let site = Site::start(kind);
    site.run_sql("CREATE ROLE hub LOGIN");
    let mut options = on(&site);
    Node::enter(options.clone(), 1).await.publish(&["a"]).await;
    options.user = "hub".to_owned();
    let printed = schema_sql(&options, "hub");
    site.run_sql(&printed);
    site.run_sql("REVOKE DELETE ON talaria.outbox FROM hub; DROP FUNCTION talaria.ring()");
    site.run_sql(&printed);
    let mut node = Node::enter(options, 2).await;
    assert_eq!(node.publish(&["b"]).await[0], node.read.next());
}

async fn functions_of_an_older_version_are_replaced(kind: Kind) {
    let site = Site::start(kind);
    Node::enter(on(&site), 1).await;
    site.run_sql("CREATE ROLE hub LOGIN");
    let mut options = on(&site);
    options.user = "hub".to_owned();
    site.run_sql(&schema_sql(&options, "hub"));
    site.run_sql(
        "UPDATE talaria.state SET revision = 0; CREATE OR REPLACE FUNCTION talaria.ring() RETURNS void \
         LANGUAGE sql AS 'SELECT 1'",
    );
    let backend = Postgres::new(options.clone()).expect("the options can be used");
    let refused = backend.attach(Member(2), Position::ORIGIN).await;
    let Err(BackendError::Fatal { problem, remedy }) = refused else {
        panic!("{refused:?}");
    };
    assert!(problem.contains("older version"), "{problem}");
    assert!(remedy.contains("talaria postgres schema"), "{remedy}");
    Node::enter(on(&site), 3).await;
    let source = "SELECT prosrc LIKE '%pg_notify%' FROM pg_proc WHERE proname = 'ring'";
    assert_eq!(site.ask(source), "t");
    // One that is newer than ours stays.
    site.run_sql(
        "UPDATE talaria.state SET revision = 1000000; CREATE OR REPLACE FUNCTION talaria.ring() RETURNS void \
         LANGUAGE sql AS 'SELECT 2'",
    );
    Node::enter(options, 4).await;
    assert_eq!(site.ask(source), "f");
}

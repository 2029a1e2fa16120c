//! Hubs on `transport postgres`: several share one log in a database, which takes updates by SQL too.

use rustix::process::Signal;
use talaria_conformance::hub::{Home, Hub};
use talaria_conformance::servers::{PgBouncer, Postgres, Postgresql, WITH_PASSWORD};
use talaria_conformance::token::{Token, exact};

use crate::history::{FIELD, publish, resume};
use crate::redis::Starting;
use crate::running::{Running, caddyfile};

/// The lines of the `mercure` block of a hub on this server, with these options of the transport.
pub(crate) fn on(server: &Postgres, options: &str) -> String {
    let address = server.address();
    format!(
        "anonymous\ntransport postgres {{\nurl postgres://postgres@{address}/postgres\n{options}\n}}"
    )
}

/// A role that may do nothing yet, and signs in with this password.
pub(crate) const PASSWORD: &str = "S3CR3T";

/// Makes the role `hub`, which needs [`PASSWORD`].
pub(crate) fn make_role(server: &Postgres) {
    server.run_sql(&format!(
        "CREATE ROLE {WITH_PASSWORD}; CREATE ROLE hub LOGIN PASSWORD '{PASSWORD}' IN ROLE {WITH_PASSWORD}"
    ));
}

/// The SQL that the program prints for a role.
pub(crate) fn schema(arguments: &[&str]) -> String {
    let output = Home::new().run(&[&["postgres", "schema"], arguments].concat());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// What one node takes reaches the subscribers of the other, once and in one order; a client goes on at the other.
#[tokio::test]
async fn two_hubs_share_one_log() {
    let server = Postgres::start(Postgresql::V18);
    let homes = [Home::new(), Home::new()];
    let [one, two] = homes.map(|home| home.hub(&on(&server, "")).expect("it starts"));
    let mut streams = [
        one.client().subscribe(&[exact("a")]).await,
        two.client().subscribe(&[exact("a")]).await,
    ];
    let ids = publish(&one, 1..=3).await;
    publish(&two, 4..=6).await;
    for stream in &mut streams {
        assert_eq!(stream.several::<6>().await, ["1", "2", "3", "4", "5", "6"]);
    }
    one.kill();
    let mut resumed = resume(&two, &ids[0]).await;
    assert_eq!(resumed.header(FIELD), ids[0]);
    assert_eq!(
        resumed.several::<5>().await,
        ["2", "3", "4", "5", "6"],
        "the other node has the ids of the first"
    );
    // The history outlives both, and the next hub begins with it.
    two.stop().await;
    let three = Home::new().hub(&on(&server, "")).expect("it starts");
    let mut all = resume(&three, "earliest").await;
    assert_eq!(all.several::<6>().await, ["1", "2", "3", "4", "5", "6"]);
}

/// An update that is published by SQL is sent if its transaction commits, with the id that the function gave.
#[tokio::test]
async fn updates_are_published_by_sql() {
    let server = Postgres::start(Postgresql::V15);
    let pooler = PgBouncer::start(&server, &["postgres"], 20);
    let one = Home::new().hub(&on(&server, "")).expect("it starts");
    let pooled = format!(
        "anonymous\ntransport postgres {{\nurl postgres://postgres@{}/postgres\n}}",
        pooler.address()
    );
    let two = Home::new().hub(&pooled).expect("it starts");
    let mut streams = [
        one.client().subscribe(&[exact("a")]).await,
        two.client().subscribe(&[exact("a")]).await,
    ];
    let publish =
        |data: &str| format!("SELECT talaria.publish(topics => ARRAY['a'], data => '{data}')");
    let id = server.ask(&publish("1"));
    server.run_sql(&format!("BEGIN; {}; ROLLBACK", publish("never")));
    server.run_sql(&format!(
        "BEGIN; {}; {}; COMMIT",
        publish("2"),
        publish("3")
    ));
    server
        .run_sql("SELECT talaria.publish(ARRAY['a'], '4', id => 'urn:x', type => 't', retry => 7)");
    // What the rules of the hub refuse holds up nothing that follows.
    server.run_sql("SELECT talaria.publish(ARRAY[]::text[], 'refused')");
    server.run_sql(&publish("5"));
    for stream in &mut streams {
        let first = stream.event().await;
        assert_eq!((&*first.data, &*first.id), ("1", &*id));
        assert_eq!(stream.several::<2>().await, ["2", "3"]);
        let fourth = stream.event().await;
        assert_eq!((&*fourth.data, &*fourth.id), ("4", "urn:x"));
        assert_eq!(fourth.event_type, "t");
        assert_eq!(stream.data().await, "5");
    }
    let rejected = server.ask("SELECT data || ': ' || reason FROM talaria.rejected");
    assert!(rejected.starts_with("refused: "), "{rejected}");
    assert_eq!(server.ask("SELECT count(*) FROM talaria.outbox"), "0");
}

/// A role without `CREATE` works with what `talaria postgres schema` prints, and an application may publish only with
/// its grant.
#[tokio::test]
async fn the_printed_schema_is_enough() {
    let server = Postgres::start(Postgresql::V15);
    make_role(&server);
    server.run_sql("CREATE ROLE app LOGIN; CREATE ROLE other LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC");
    server.run_sql(&schema(&["--schema", "news", "--publisher", "app", "hub"]));
    let directives = format!(
        "anonymous\ntransport postgres {{\nurl postgres://hub:{PASSWORD}@{}/postgres\nschema news\n}}",
        server.address()
    );
    let hub = Home::new().hub(&directives).expect("it starts");
    let mut stream = hub.client().subscribe(&[exact("a")]).await;
    publish(&hub, 1..=1).await;
    let sql = "SELECT news.publish(ARRAY['a'], '2')";
    server
        .ask_as("app", "postgres", sql)
        .expect("it may publish");
    let refused = server.ask_as("other", "postgres", sql);
    assert!(refused.is_err_and(|said| said.contains("permission denied")));
    let refused = server.ask_as("app", "postgres", "SELECT * FROM news.log");
    assert!(refused.is_err_and(|said| said.contains("permission denied")));
    assert_eq!(stream.several::<2>().await, ["1", "2"]);
    let said = hub.log_to_the_end().await.join("\n");
    assert!(!said.contains(PASSWORD), "{said}");
}

/// The report says which server there is, how many other nodes, and what an acknowledged update survives.
#[tokio::test]
async fn the_report_says_what_updates_survive() {
    let fast = Postgres::with(Postgresql::V15, &["fsync=off"]);
    let lazy = Postgres::with(Postgresql::V15, &["synchronous_commit=off"]);
    let primary = Postgres::start(Postgresql::V18);
    let _standby = primary.standby();
    primary.wait_for_standbys(true);
    for (server, expected) in [
        (
            &fast,
            [
                "one of its machine may damage the whole database; there is no standby",
                "set `fsync = on` there",
            ],
        ),
        (
            &lazy,
            [
                "acknowledged updates of a second or less",
                "set `synchronous_commit = on` there",
            ],
        ),
        (
            &primary,
            [
                "a synchronous standby has each update before it is acknowledged",
                "`synchronous_commit on`, `synchronous_standby_names *`",
            ],
        ),
    ] {
        let other = Home::new().hub(&on(server, "size 100")).expect("it starts");
        let hub = Home::new().hub(&on(server, "size 100")).expect("it starts");
        let said = hub.log_to_the_end().await.join("\n");
        let named = format!("primary {}, ", server.address());
        for expected in [
            expected[0],
            expected[1],
            &named,
            "1 other node",
            "shared log talaria: PostgreSQL 1",
        ] {
            assert!(said.contains(expected), "{expected}: {said}");
        }
        assert!(
            !said.contains("was not told that this node leaves"),
            "{said}"
        );
        drop(other);
    }
}

/// A hub that is started before its server waits for it, says so, and then serves; a signal ends the waiting.
#[tokio::test]
async fn a_hub_waits_for_its_server() {
    let mut server = Postgres::start(Postgresql::V15);
    make_role(&server);
    server.run_sql("GRANT CREATE ON DATABASE postgres TO hub");
    server.kill();
    let url = format!("postgres://hub:{PASSWORD}@{}/postgres", server.address());
    let variables = [("MERCURE_TRANSPORT_URL", url.as_str())];
    let mut ended = Starting::new(&Home::new(), "anonymous", &variables);
    let hub = Starting::new(&Home::new(), "anonymous", &variables);
    for hub in [&ended, &hub] {
        let waits = hub.says("cannot be used yet");
        assert!(waits.contains(&server.address().to_string()), "{waits}");
    }
    ended.signal(Signal::TERM);
    assert_eq!(ended.ends(), Some(0));
    server.restart();
    hub.says("listening");
    let said = hub.log.since(0).join("\n");
    assert!(!said.contains(PASSWORD), "{said}");
}

/// The password is in no answer of the admin listener, and in no file that the hub keeps.
#[tokio::test]
async fn the_password_is_never_shown() {
    let server = Postgres::start(Postgresql::V15);
    make_role(&server);
    server.run_sql("GRANT CREATE ON DATABASE postgres TO hub");
    let (address, port) = (server.address(), server.port());
    for transport in [
        format!(
            "transport postgres {{\nurl postgres://hub@{address}/postgres\npassword {PASSWORD}\n}}"
        ),
        format!("transport postgres {{\nurl postgres://hub:{PASSWORD}@{address}/postgres\n}}"),
        format!(
            "transport postgres {{\nurl \"host=127.0.0.1 port={port} user=hub password='{PASSWORD}' dbname=postgres\"\n}}"
        ),
        format!("transport_url postgres://hub@{address}/postgres?password={PASSWORD}"),
    ] {
        let hub = Running::start(&caddyfile("", &transport), &[]);
        let text = std::fs::read_to_string(hub.file()).unwrap();
        let media_type = hub.admin().header("content-type", "text/caddyfile");
        let mut said = vec![
            hub.admin().get("/config/").await.text,
            media_type.send("POST", "/adapt", text).await.text,
            hub.verb(&["validate"]).1,
            hub.log.since(0).join("\n"),
        ];
        let changed = caddyfile("", &format!("{transport}\nheartbeat 5s"));
        let loaded = media_type.send("POST", "/load", changed).await;
        assert_eq!(loaded.status, 200, "{}", loaded.text);
        said.push(hub.admin().get("/config/").await.text);
        let wrong = caddyfile("", &transport.replace(PASSWORD, "S3CR3T more"));
        let refused = media_type.send("POST", "/load", wrong).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
        said.push(refused.text);
        for said in said {
            assert!(!said.contains(PASSWORD), "{transport}: {said}");
        }
    }
}

/// The site of the corpus that needs a database delivers an update.
#[tokio::test]
async fn the_site_of_the_corpus_serves() {
    let server = Postgres::start(Postgresql::V15);
    make_role(&server);
    server.run_sql("GRANT CREATE ON DATABASE postgres TO hub");
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../config/tests/corpus/55-postgres/Caddyfile"
    );
    let home = Home::new();
    std::fs::copy(file, home.path().join("Caddyfile")).unwrap();
    let port = server.port().to_string();
    let variables = [
        ("DATABASE_HOST", "127.0.0.1"),
        ("DATABASE_PORT", port.as_str()),
        ("DATABASE", "postgres"),
        ("DATABASE_PASSWORD", PASSWORD),
        ("SERVER_NAME", "http://127.0.0.1:0"),
    ];
    let arguments = ["--address", "http://127.0.0.1:0"];
    let hub: Hub = home
        .start_with(&arguments, "", &variables)
        .expect("it starts");
    let token = Token::new(&hub.audience).grant("subscribe", &[exact("a")]);
    let subscriber = hub.sign_as_subscriber(&token);
    let client = hub.client().bearer(&subscriber);
    let mut stream = client.subscribe(&[exact("a")]).await;
    hub.publisher()
        .published(&[("topic", "a"), ("data", "1")])
        .await;
    assert_eq!(stream.data().await, "1");
    assert_eq!(
        server.ask("SELECT data FROM news.log WHERE NOT by_hub"),
        "1"
    );
}

/// An export goes into the database with its ids, once however often it is imported, and clients keep their place.
#[tokio::test]
async fn a_history_is_imported() {
    let server = Postgres::start(Postgresql::V15);
    let home = Home::new();
    let line = |n: usize| {
        format!(
            "{{\"topics\":[\"a\"],\"id\":\"urn:{n}\",\"data\":\"{n}\",\"time\":{}}}\n",
            1_000 + n
        )
    };
    let lines: String = (0..1_200).map(line).collect();
    std::fs::write(home.path().join("lines"), lines).unwrap();
    let url = format!(
        "postgres://postgres@{}/postgres?schema=moved",
        server.address()
    );
    for expected in [
        "imported: 1200, left out because the log has their ids: 0\n",
        "imported: 0, left out because the log has their ids: 1200\n",
    ] {
        let done = home.run(&["history", "import", "--postgres", &url, "lines"]);
        assert!(done.status.success(), "{done:?}");
        assert_eq!(String::from_utf8_lossy(&done.stdout), expected);
    }
    let found = server
        .ask("SELECT data || extract(epoch FROM at) * 1000 FROM moved.log WHERE id = 'urn:7'");
    assert!(found.starts_with("71007"), "{found}");
    let hub = Home::new()
        .hub(&on(&server, "schema moved"))
        .expect("it starts");
    let mut resumed = resume(&hub, "urn:1197").await;
    assert_eq!(resumed.header(FIELD), "urn:1197");
    assert_eq!(resumed.several::<2>().await, ["1198", "1199"]);
}

//! Publishing by SQL.

use talaria_postgres::Rules;
use talaria_transport::Position;
use talaria_transport::shared::Backend as _;
use talaria_transport::shared::backend::{Member, Origin};
use tokio::sync::watch;

use crate::site::{Kind, Site};
use crate::support::{Node, contents, on, tests_on, until};

tests_on!(Direct:
    an_update_is_sent_if_its_transaction_commits,
    an_open_transaction_does_not_delay_others,
    what_the_rules_refuse_is_rejected,
    what_is_large_holds_up_nothing,
    several_nodes_move_each_update_once,
    a_callers_search_path_changes_nothing,
);
tests_on!(Pooled:
    an_update_is_sent_if_its_transaction_commits,
    several_nodes_move_each_update_once,
);
tests_on!(Newest:
    an_update_is_sent_if_its_transaction_commits,
    what_the_rules_refuse_is_rejected,
    several_nodes_move_each_update_once,
    a_callers_search_path_changes_nothing,
);

async fn an_update_is_sent_if_its_transaction_commits(kind: Kind) {
    let server = Site::start(kind);
    let mut node = Node::enter(on(&server), 1).await;
    server.run_sql("BEGIN; SELECT talaria.publish('{https://example.com/a}', 'undone'); ROLLBACK");
    let id = server.ask(
        "SELECT talaria.publish(topics => '{https://example.com/a,/b}', data => 'ä', private => true, \
         type => 't', retry => 7)",
    );
    assert!(id.starts_with("urn:uuid:"), "{id}");
    let chosen = server.ask("SELECT talaria.publish('{/c}', id => 'chosen')");
    assert_eq!(chosen, "chosen");
    let records = node.tail(2).await;
    let first = &records[0].update;
    assert_eq!(first.topics, ["https://example.com/a", "/b"]);
    assert_eq!(
        (&*first.data, first.private, first.retry),
        ("ä", true, Some(7))
    );
    assert_eq!(first.event_type.as_deref(), Some("t"));
    assert_eq!(first.id.as_deref(), Some(&*id));
    assert_eq!(records[0].run_before, Some(Position::ORIGIN));
    assert_eq!(records[1].update.id.as_deref(), Some("chosen"));
    assert_eq!(records[1].position, records[0].position.next());
    assert_eq!(records[0].origin.member, Member(0));
    assert_eq!(
        node.backend.find("chosen").await,
        Ok(Some(records[1].position))
    );
    // Numbers of the log are dense, by whatever way updates come.
    assert_eq!(node.publish(&["d"]).await[0], records[1].position.next());
    assert_eq!(server.ask("SELECT count(*) FROM talaria.outbox"), "0");
}

async fn an_open_transaction_does_not_delay_others(kind: Kind) {
    let server = Site::start(kind);
    let mut node = Node::enter(on(&server), 1).await;
    let open = server.session().await;
    open.run("BEGIN; SELECT talaria.publish('{/a}', 'open')")
        .await;
    server.run_sql("SELECT talaria.publish('{/a}', 'later')");
    assert_eq!(contents(&node.tail(1).await), ["later"]);
    open.run("COMMIT").await;
    assert_eq!(contents(&node.tail(1).await), ["open"]);
}

async fn what_the_rules_refuse_is_rejected(kind: Kind) {
    let server = Site::start(kind);
    let mut options = on(&server);
    let rules = Rules {
        update_bytes: 10_000,
        ..Rules::default()
    };
    options.rules = watch::channel(rules).1;
    let mut node = Node::enter(options, 1).await;
    server.run_sql(
        "SELECT talaria.publish('{/.well-known/mercure/subscriptions/x}', 'reserved');
         SELECT talaria.publish('{}', 'no topic');
         SELECT talaria.publish('{NULL}', 'null topic');
         SELECT talaria.publish('{/a}', 'id', id => '#x');
         SELECT talaria.publish('{/a}', 'retry', retry => -1);
         SELECT talaria.publish(ARRAY[repeat('x', 5000)], 'long topic');
         SELECT talaria.publish('{/a}', repeat('x', 10001));
         SELECT talaria.publish(ARRAY[repeat('x', 80000000)], 'longer than any answer');
         SELECT talaria.publish('{{/a,/b},{/c,/d}}', 'nested');
         SELECT talaria.publish('{/a}', 'good')",
    );
    assert_eq!(contents(&node.tail(1).await), ["good"]);
    let count = || async { server.ask("SELECT count(*) FROM talaria.rejected") };
    until("they are rejected", count, |count| count == "9").await;
    let reason = server.ask("SELECT reason FROM talaria.rejected WHERE data = 'reserved'");
    assert!(reason.contains("reserved for the hub"), "{reason}");
    assert_eq!(server.ask("SELECT count(*) FROM talaria.outbox"), "0");
}

async fn what_is_large_holds_up_nothing(kind: Kind) {
    let server = Site::start(kind);
    let mut node = Node::enter(on(&server), 1).await;
    // A number that a test cleaner begins anew.
    let insert = "INSERT INTO talaria.rejected (k, reason, at, private, topics, id, data) \
                  VALUES (1, 'x', now(), false, '{}', '', '')";
    server.run_sql(insert);
    server.run_sql(
        "SELECT talaria.publish('{/a}', 'type', type => repeat('x', 40000000));
         SELECT talaria.publish('{/a}', repeat('x', 40000000));
         SELECT talaria.publish(array_fill(repeat('x', 4000), ARRAY[10000]), 'topics');
         SELECT talaria.publish('{/a}', 'good', type => '')",
    );
    let records = node.tail(1).await;
    assert_eq!(contents(&records), ["good"]);
    assert_eq!(records[0].update.event_type, None);
    let longest = "SELECT count(*), max(octet_length(data) + octet_length(topics::text) + \
                   coalesce(octet_length(type), 0)) < 100000 FROM talaria.rejected WHERE reason <> 'x'";
    assert_eq!(server.ask(longest), "3|t");
}

async fn several_nodes_move_each_update_once(kind: Kind) {
    let server = Site::start(kind);
    let mut nodes = Vec::new();
    for member in 1..=3 {
        nodes.push(Node::enter(on(&server), member).await);
    }
    server.run_sql("SELECT talaria.publish('{/a}', n::text) FROM generate_series(1, 5000) n");
    let expected: Vec<String> = (1..=5_000).map(|each: u32| each.to_string()).collect();
    let mut origins: Option<Vec<Origin>> = None;
    for node in &mut nodes {
        let records = node.tail(5_000).await;
        assert_eq!(contents(&records), expected);
        let found: Vec<Origin> = records.iter().map(|record| record.origin).collect();
        assert_eq!(origins.get_or_insert(found.clone()), &found);
    }
    // The plans were made while the outbox was empty, and still read it by its index.
    let read = || async {
        server.ask(
            "SELECT idx_tup_fetch > 0, seq_tup_read FROM pg_stat_user_tables WHERE relname = 'outbox'",
        )
    };
    let read = until("it is counted", read, |read| read.starts_with('t')).await;
    assert_eq!(read, "t|0");
}

/// Publishing runs with the rights of the owner of the tables, so it must not call what its caller made.
async fn a_callers_search_path_changes_nothing(kind: Kind) {
    let server = Site::start(kind);
    let mut node = Node::enter(on(&server), 1).await;
    server.run_sql(
        "CREATE ROLE application; CREATE SCHEMA evil AUTHORIZATION application;
         GRANT USAGE ON SCHEMA talaria TO application; GRANT EXECUTE ON FUNCTION talaria.publish TO application;
         SET ROLE application; SET search_path TO evil, pg_catalog;
         CREATE FUNCTION is(text, text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE 'called'; END$$;
         CREATE FUNCTION concat(text, text) RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE 'called'; END$$;
         CREATE FUNCTION plus(bigint, integer) RETURNS bigint LANGUAGE plpgsql AS $$BEGIN RAISE 'called'; END$$;
         CREATE FUNCTION octet_length(text) RETURNS integer LANGUAGE plpgsql AS $$BEGIN RAISE 'called'; END$$;
         CREATE FUNCTION array_to_string(text[], text) RETURNS text LANGUAGE plpgsql AS $$BEGIN RAISE 'called'; END$$;
         CREATE FUNCTION gen_random_uuid() RETURNS uuid LANGUAGE plpgsql AS $$BEGIN RAISE 'called'; END$$;
         CREATE FUNCTION now() RETURNS timestamptz LANGUAGE plpgsql AS $$BEGIN RAISE 'called'; END$$;
         CREATE OPERATOR = (LEFTARG = text, RIGHTARG = text, FUNCTION = is);
         CREATE OPERATOR <> (LEFTARG = text, RIGHTARG = text, FUNCTION = is);
         CREATE OPERATOR || (LEFTARG = text, RIGHTARG = text, FUNCTION = concat);
         CREATE OPERATOR + (LEFTARG = bigint, RIGHTARG = integer, FUNCTION = plus);
         CREATE DOMAIN int8 AS pg_catalog.int8 CHECK (value IS NULL);
         CREATE DOMAIN text AS pg_catalog.text CHECK (value IS NULL)",
    );
    let as_application = "SET ROLE application; SET search_path TO evil, pg_catalog;";
    let caught = format!(
        "{as_application} DO $$BEGIN PERFORM 'a'::pg_catalog.text || 'b'::pg_catalog.text; RAISE 'not called'; \
         EXCEPTION WHEN raise_exception THEN ASSERT SQLERRM OPERATOR(pg_catalog.=) 'called', SQLERRM; END$$"
    );
    server.run_sql(&caught);
    server.run_sql(&format!(
        "{as_application} SELECT talaria.publish(ARRAY['/a'], 'a', id => 'chosen', type => 't');
         SELECT talaria.publish(ARRAY['/a'], 'b')"
    ));
    assert_eq!(contents(&node.tail(2).await), ["a", "b"]);
    let may = "SELECT bool_or(has_table_privilege('application', relid, 'SELECT, INSERT, UPDATE, DELETE')) \
               FROM pg_stat_user_tables WHERE schemaname = 'talaria'";
    assert_eq!(server.ask(may), "f");
}

//! Applications publish by SQL while nodes are killed.

use std::sync::Arc;
use std::time::Duration;

use talaria_conformance::{count, within_time};
use tokio::task::{JoinSet, block_in_place};
use tokio::time::Instant;

use crate::kills::{Random, kill, start};
use crate::nodes::{Balancer, Node};
use crate::publishers::{Outcome, Record, end};
use crate::readers::{Reader, connected, ended};
use crate::servers::{Kind, Server, on_servers};
use crate::verdict::judge;

/// How many connections publish.
const APPLICATIONS: u64 = 4;
/// Publishes update after update, each in a transaction, until the table `over` has a row. Every third rolls back. What is
/// committed is in `sent`, with the id that the function returned, because it is committed with it.
const APPLICATION: &str = "
    CREATE TABLE sent (number bigint PRIMARY KEY, id text NOT NULL);
    CREATE TABLE undone (number bigint PRIMARY KEY);
    CREATE TABLE over ();
    CREATE SEQUENCE numbers MINVALUE 0;
    CREATE PROCEDURE publish_all() LANGUAGE plpgsql AS $$
    DECLARE
      number bigint;
    BEGIN
      WHILE NOT EXISTS (SELECT FROM over) LOOP
        number := nextval('numbers');
        INSERT INTO sent SELECT number, talaria.publish(ARRAY['https://example.com/t/' || number % 10],
          number::text, private => (number / 10) % 2 = 1);
        PERFORM pg_sleep(0.01);
        IF number % 3 = 0 THEN
          ROLLBACK;
          INSERT INTO undone VALUES (number);
        END IF;
        COMMIT;
      END LOOP;
    END
    $$";
const LIMIT: Duration = Duration::from_secs(120);

on_servers!(what_is_committed_arrives_once_although_nodes_are_killed: postgres18, pgbouncer);

/// A random node is killed every few seconds, and another one started, while applications publish by SQL. Subscribers
/// that come back with their last ids receive each update whose transaction committed once, under the id that the
/// function returned, and none that was rolled back.
async fn what_is_committed_arrives_once_although_nodes_are_killed(kind: Kind) {
    let server = Arc::new(Server::start(kind));
    let transport = server.transport();
    let mut nodes: Vec<Node> = block_in_place(|| (0..3).map(|_| Node::start(&transport)).collect());
    let balancer = Balancer::of(&nodes);
    let readers = Reader::several(&balancer, 30, "earliest");
    connected(&readers).await;
    block_in_place(|| server.postgres().run_sql(APPLICATION));
    let mut applications = JoinSet::new();
    for _ in 0..APPLICATIONS {
        let server = Arc::clone(&server);
        applications.spawn_blocking(move || server.postgres().run_sql("CALL publish_all()"));
    }
    let mut random = Random::of(0x85EB_CA6B);
    let until = Instant::now() + Duration::from_secs(count(300, 15));
    let mut kills = 0;
    while Instant::now() < until {
        // The moment is random on purpose; nothing is expected of it.
        tokio::time::sleep(Duration::from_millis(500 + random.below(2_000))).await;
        kill(&mut nodes, &balancer, &mut random);
        start(&mut nodes, &balancer, &transport);
        kills += 1;
    }
    let ask = |sql: &str| block_in_place(|| server.postgres().ask(sql));
    ask("INSERT INTO over DEFAULT VALUES");
    let stopping = async {
        while applications
            .join_next()
            .await
            .transpose()
            .unwrap()
            .is_some()
        {}
    };
    within_time(LIMIT, "the applications", stopping).await;
    let emptied = async {
        while ask("SELECT count(*) FROM talaria.outbox") != "0" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within_time(LIMIT, "the outbox to be emptied", emptied).await;
    end(&balancer).await;
    ended(&readers, LIMIT).await;

    let now = Instant::now();
    let rows =
        ask("SELECT number, id FROM sent UNION ALL SELECT number, '' FROM undone ORDER BY 1");
    let records = rows.lines().map(|row| {
        let (number, id) = row.split_once('|').expect("two columns");
        let outcome = match id {
            "" => Outcome::Refused,
            id => Outcome::Acknowledged(id.to_owned()),
        };
        let number = number.parse().expect("a number");
        Record {
            number,
            outcome,
            sent: now,
            answered: now,
        }
    });
    let counts = judge(&records.collect::<Vec<_>>(), &readers);
    println!("cluster: {kind:?}: {kills} kills while SQL published: {counts:?}");
    assert!(counts.acknowledged > 0 && counts.refused > 0, "{counts:?}");
    assert_eq!(ask("SELECT count(*) FROM talaria.rejected"), "0");
}

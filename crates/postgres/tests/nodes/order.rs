//! Under load from all sides, each node shows exactly what the log has.

use std::sync::Arc;
use std::time::Duration;

use talaria_conformance::servers::{Postgres as Server, Postgresql};
use talaria_conformance::within_time;
use talaria_transport::Transport as _;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::is_full;
use crate::node::{Node, Seen, update};
use crate::session::Session;

/// Connections that publish by SQL.
const PUBLISHERS: usize = 64;
/// Updates that each node is to append at the same time.
const APPENDERS: usize = 16;
/// How often each of them publishes, unless time is the bound.
const EACH: usize = 12;
/// How often a log without a lock may happen to skip nothing.
const ATTEMPTS: usize = 30;
const PATIENCE: Duration = Duration::from_secs(120);

/// Gives positions as a sequence does: at once, not in the order of the commits. Blocks are taken from it because the
/// positions of a batch follow each other.
const SEQUENCE: &str = "
CREATE SEQUENCE talaria.places;
SELECT setval('talaria.places', (SELECT max(position) FROM talaria.log));
CREATE OR REPLACE FUNCTION talaria.base(last bigint, known_server text, known_run bigint, read_to bigint, entries integer)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  base bigint;
BEGIN
  PERFORM pg_advisory_lock(1);
  base := nextval('talaria.places') - 1;
  PERFORM setval('talaria.places', base + entries);
  PERFORM pg_advisory_unlock(1);
  RETURN base;
END $$;
DO $$
DECLARE
  name text;
  text text;
BEGIN
  FOREACH name IN ARRAY ARRAY['append', 'move'] LOOP
    text := pg_get_functiondef(('talaria.' || name)::regproc);
    ASSERT text LIKE '%FOR UPDATE%' AND text LIKE '%base <> last%';
    EXECUTE replace(replace(text, 'FOR UPDATE', ''), 'base <> last', 'false');
  END LOOP;
END $$;";

/// A server with three nodes, which have begun the run.
struct Site {
    server: Server,
    nodes: Vec<Arc<Node>>,
}

impl Site {
    async fn start() -> Self {
        let server = Server::start(Postgresql::V15);
        let mut nodes = Vec::new();
        for _ in 0..3 {
            nodes.push(Arc::new(Node::open(&server).await));
        }
        nodes[0].log.append(update(&"first")).await.expect("stored");
        Self { server, nodes }
    }

    /// Publishes in all ways at once, until a time or until each publisher has done its part. Returns how many
    /// updates are committed or acknowledged: a server that is slow may leave some without an answer.
    async fn load(&self, end: Option<Instant>) -> usize {
        let goes_on = move |done| end.map_or(done < EACH, |end| Instant::now() < end);
        let mut tasks = JoinSet::new();
        for publisher in 0..PUBLISHERS {
            let address = self.server.address();
            tasks.spawn(async move {
                let session = Session::open(address).await;
                let mut done = 0;
                while goes_on(done) {
                    let publish = format!("SELECT talaria.publish('{{/t}}', '{publisher}-{done}')");
                    session.run(&publish).await;
                    done += 1;
                }
                done
            });
        }
        for node in &self.nodes {
            for _ in 0..APPENDERS {
                let node = Arc::clone(node);
                tasks.spawn(async move {
                    let (mut done, mut acknowledged) = (0, 0);
                    while goes_on(done) {
                        let stored = node.log.append(update(&done)).await;
                        acknowledged += usize::from(stored.is_ok());
                        done += 1;
                    }
                    acknowledged
                });
            }
        }
        within_time(PATIENCE, "all is published", tasks.join_all())
            .await
            .iter()
            .sum()
    }

    /// The positions of the log, and those that each node has shown.
    async fn positions(&self) -> (Vec<u64>, Vec<Vec<u64>>) {
        within_time(PATIENCE, "the outbox is empty", async {
            while self.server.ask("SELECT count(*) FROM talaria.outbox") != "0" {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        // What comes last is seen by all.
        let last = self.nodes[0].log.append(update(&"last")).await;
        let last = last.expect("stored").position.0;
        let positions = self
            .server
            .ask("SELECT position FROM talaria.log ORDER BY position");
        let stored = positions.lines().map(|line| line.parse().unwrap());
        let mut shown = Vec::new();
        for node in &self.nodes {
            let seen = node.has_passed(last).await;
            shown.push(seen.iter().map(|Seen { position, .. }| *position).collect());
        }
        (stored.collect(), shown)
    }
}

/// Nothing is skipped, whatever order transactions commit in.
#[tokio::test(flavor = "multi_thread")]
async fn each_node_shows_what_the_log_has() {
    let site = Site::start().await;
    let end = is_full().then(|| Instant::now() + Duration::from_secs(60));
    let published = site.load(end).await;
    let (stored, shown) = site.positions().await;
    // The first and the last are not of the load.
    assert!(stored.len() >= published + 2, "{published} published");
    for shown in shown {
        assert!(shown == stored, "{} of {}", shown.len(), stored.len());
    }
}

/// The same test finds out that a sequence in place of the lock does not do.
#[tokio::test(flavor = "multi_thread")]
async fn with_a_sequence_in_place_of_the_lock_updates_are_skipped() {
    let site = Site::start().await;
    site.server.run_sql(SEQUENCE);
    for _ in 0..ATTEMPTS {
        site.load(None).await;
        let (stored, shown) = site.positions().await;
        if shown.iter().any(|shown| shown.len() < stored.len()) {
            return;
        }
    }
    panic!("nothing was skipped");
}

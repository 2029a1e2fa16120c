//! What is shown only once replicas have it.

use talaria_conformance::servers::{Program, Proxy, Redis as Server, Way};
use talaria_conformance::within;
use talaria_redis::RedisOptions;
use talaria_transport::shared::Backend as _;
use talaria_transport::shared::backend::{BackendError, Settled};

use crate::support::{Node, always, at, contents, on, on_each, position, update};

on_each!(
    what_no_replica_has_is_not_shown,
    what_a_full_server_holds_is_shown,
    a_batch_is_given_up_only_if_a_replica_knows,
    a_place_is_named_only_if_a_replica_knows,
);

fn confirmed(mut options: RedisOptions) -> RedisOptions {
    options.replicas = 1;
    options
}

async fn what_no_replica_has_is_not_shown(program: Program) {
    let server = Server::start(program);
    let replica = server.replica(&[]);
    let mut node = Node::enter(confirmed(on(&server)), 1).await;
    node.publish(&["a"]).await;
    assert_eq!(contents(&node.tail(1).await), ["a"]);

    replica.suspend();
    let positions = node.publish(&["b", "c"]).await;
    for _ in 0..2 {
        let waiting = within("the tail answers", node.backend.tail(node.read)).await;
        assert_eq!(waiting, Err(BackendError::NotDurable));
    }
    replica.resume();
    let records = within("the replica confirms", async {
        loop {
            match node.backend.tail(node.read).await {
                Ok(records) => return records,
                Err(error) => assert_eq!(error, BackendError::NotDurable),
            }
        }
    })
    .await;
    let found: Vec<_> = records.iter().map(|record| record.position).collect();
    assert_eq!(found, positions);
    node.read = positions[1];
    node.publish(&["d"]).await;
    assert_eq!(contents(&node.tail(1).await), ["d"]);
}

async fn what_a_full_server_holds_is_shown(program: Program) {
    let server = Server::start(program);
    let _replica = server.replica(&[]);
    let mut node = Node::enter(confirmed(on(&server)), 1).await;
    node.publish(&["a"]).await;
    server.set("maxmemory", "1");
    assert_eq!(contents(&node.tail(1).await), ["a"]);
    server.set("min-replicas-to-write", "2");
    server.set("maxmemory", "0");
    assert!(
        node.backend
            .tail(node.read)
            .await
            .expect("it is read")
            .is_empty()
    );
}

async fn a_batch_is_given_up_only_if_a_replica_knows(program: Program) {
    let server = Server::start(program);
    let replica = server.replica(&[]);
    let proxy = Proxy::start(server.address()).await;
    let mut node = Node::enter(confirmed(at(proxy.address())), 1).await;
    proxy.turn(Way::RequestsLost);
    let lost = node.try_append(vec![always(update("a"))]).await;
    assert!(matches!(lost, Err(BackendError::Away(_))), "{lost:?}");
    proxy.turn(Way::Open);
    replica.suspend();
    assert_eq!(
        node.backend.settle(node.member, 1).await,
        Err(BackendError::NotDurable)
    );
    replica.resume();
    let settled = within("the replica confirms", async {
        loop {
            match node.backend.settle(node.member, 1).await {
                Err(BackendError::NotDurable) => {}
                settled => return settled,
            }
        }
    })
    .await;
    assert_eq!(settled, Ok(Settled::Never));
}

async fn a_place_is_named_only_if_a_replica_knows(program: Program) {
    let server = Server::start(program);
    let replica = server.replica(&[]);
    let mut node = Node::enter(confirmed(on(&server)), 1).await;
    let mut chosen = update("a");
    chosen.id = Some("chosen".to_owned());
    let place = position(node.append(vec![always(chosen)]).await[0]);
    assert_eq!(node.backend.find("chosen").await, Ok(Some(place)));
    replica.suspend();
    assert_eq!(
        node.backend.find("chosen").await,
        Err(BackendError::NotDurable)
    );
    replica.resume();
}

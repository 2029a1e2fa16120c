//! What is shown only once replicas have it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use talaria_conformance::servers::{Program, Proxy, Redis as Server, Way};
use talaria_conformance::within;
use talaria_redis::RedisOptions;
use talaria_transport::Position;
use talaria_transport::shared::Backend as _;
use talaria_transport::shared::backend::{BackendError, Member, Settled};
use tokio::task::JoinSet;

use crate::support::{LAST, Node, always, at, contents, on, on_each, position, until, update};

on_each!(
    what_no_replica_has_is_not_shown,
    what_a_full_server_holds_is_shown,
    a_batch_is_given_up_only_if_a_replica_knows,
    a_place_is_named_only_if_a_replica_knows,
    a_primary_without_its_replica_does_not_say_who_is_a_member,
    what_waited_for_a_replica_is_gone_with_its_log,
    many_finds_wait_for_replicas_together,
    a_server_that_forgets_its_scripts_confirms,
    a_server_that_forgets_its_scripts_under_load_shows_all_once,
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

async fn a_primary_without_its_replica_does_not_say_who_is_a_member(program: Program) {
    let server = Server::start(program);
    let replica = server.replica(&[]);
    let mut node = Node::enter(confirmed(on(&server)), 1).await;
    node.publish(&["a"]).await;
    node.publish(&["b"]).await;
    let (stranger, late) = (Member(99), Member(2));
    replica.suspend();
    let not_durable = Err(BackendError::NotDurable);
    assert_eq!(node.backend.settle(stranger, 1).await, not_durable);
    assert_eq!(node.backend.settle(node.member, 1).await, not_durable);
    let entered = node.backend.attach(late, Position::ORIGIN).await;
    assert_eq!(entered.map(drop), Err(BackendError::NotDurable));
    // What is stored is told as before: it is shown only once replicas have it.
    assert!(node.backend.settle(node.member, 2).await.is_ok());
    replica.resume();
    let settled = until(
        "the replica confirms",
        || node.backend.settle(stranger, 1),
        |settled| *settled != Err(BackendError::NotDurable),
    )
    .await;
    assert_eq!(settled, Err(BackendError::NoMember));
    let settled = node.backend.settle(node.member, 1).await;
    assert_eq!(settled, Err(BackendError::OutOfOrder));
    let entered = node.backend.attach(late, Position::ORIGIN).await;
    assert!(entered.is_ok(), "{entered:?}");
}

async fn what_waited_for_a_replica_is_gone_with_its_log(program: Program) {
    let server = Server::start(program);
    let replica = server.replica(&[]);
    let mut node = Node::enter(confirmed(on(&server)), 1).await;
    replica.suspend();
    node.publish(&["a"]).await;
    let waiting = node.backend.tail(node.read).await;
    assert_eq!(waiting, Err(BackendError::NotDurable));
    server.ask(&["FLUSHALL"]);
    replica.resume();
    let entered = until(
        "the node enters the new log",
        || node.backend.attach(node.member, node.read),
        Result::is_ok,
    )
    .await;
    assert!(entered.is_ok(), "{entered:?}");
    node.number = 0;
    node.publish(&["b"]).await;
    assert_eq!(contents(&node.tail(1).await), ["b"]);
}

async fn many_finds_wait_for_replicas_together(program: Program) {
    let server = Server::start(program);
    let replica = server.replica(&[]);
    let node = Node::enter(confirmed(on(&server)), 1).await;
    let backend = Arc::new(node.backend);
    replica.suspend();
    let mut finds = JoinSet::new();
    for _ in 0..50 {
        let backend = Arc::clone(&backend);
        finds.spawn(async move { backend.find("nothing").await });
    }
    // Reads do not wait behind them, and if each find waited for itself, most would not be answered in time.
    let page = backend.page(Position::ORIGIN, LAST, 10, 1 << 20).await;
    assert!(page.is_ok(), "{page:?}");
    let found = within("the finds end", finds.join_all()).await;
    assert_eq!(found, vec![Err(BackendError::NotDurable); 50]);
    replica.resume();
}

/// The tail that has just read records asks for the confirmation in the same breath, by a script that the server may not
/// know any more.
async fn a_server_that_forgets_its_scripts_confirms(program: Program) {
    let server = Server::start(program);
    let replica = server.replica(&[]);
    let mut node = Node::enter(confirmed(on(&server)), 1).await;
    node.publish(&["a"]).await;
    assert_eq!(contents(&node.tail(1).await), ["a"]);

    let place = node.publish(&["b"]).await[0];
    server.ask(&["SCRIPT", "FLUSH"]);
    let read = within("the tail answers", node.backend.tail(node.read)).await;
    assert_eq!(contents(&read.expect("it is confirmed")), ["b"]);
    node.read = place;

    replica.suspend();
    node.publish(&["c"]).await;
    server.ask(&["SCRIPT", "FLUSH"]);
    let waiting = within("the tail answers", node.backend.tail(node.read)).await;
    assert_eq!(waiting, Err(BackendError::NotDurable));
    replica.resume();
    let records = until(
        "the replica confirms",
        || node.backend.tail(node.read),
        |read| *read != Err(BackendError::NotDurable),
    )
    .await;
    assert_eq!(contents(&records.expect("it is confirmed")), ["c"]);
}

async fn a_server_that_forgets_its_scripts_under_load_shows_all_once(program: Program) {
    const UPDATES: usize = 300;
    let server = Arc::new(Server::start(program));
    let _replica = server.replica(&[]);
    let mut publisher = Node::enter(confirmed(on(&server)), 1).await;
    let mut reader = Node::enter(confirmed(on(&server)), 2).await;
    let (own, ended) = (Arc::clone(&server), Arc::new(AtomicBool::new(false)));
    let is_over = Arc::clone(&ended);
    let forgetting = tokio::task::spawn_blocking(move || {
        let mut count = 0;
        while !is_over.load(Ordering::Acquire) {
            own.ask(&["SCRIPT", "FLUSH"]);
            count += 1;
        }
        count
    });
    let publishing = tokio::spawn(async move {
        for number in 0..UPDATES {
            publisher.publish(&[number]).await;
        }
    });
    let read = contents(&reader.tail(UPDATES).await);
    ended.store(true, Ordering::Release);
    within("all are published", publishing)
        .await
        .expect("no panic");
    let all: Vec<_> = (0..UPDATES).map(|number| number.to_string()).collect();
    assert_eq!(read, all);
    let count = within("it ends", forgetting).await.expect("no panic");
    assert!(count > 10, "{count}");
}

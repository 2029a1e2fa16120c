//! Conditions that ride along with an update.

use std::time::Duration;

use talaria_conformance::servers::{Program, Redis as Server, Reply};
use talaria_transport::Position;
use talaria_transport::shared::Backend as _;
use talaria_transport::shared::backend::{
    BackendError, Batch, Condition, Continue, Entry, Member, Outcome, Settled,
};

use crate::support::{
    LAST, Node, always, contents, event, on, on_each, position, until, update, with,
};

on_each!(
    a_subscription_ends_once,
    a_survivor_ends_what_a_dead_member_began,
    an_update_with_a_key_is_stored_once_within_its_window,
    stored_subscriptions_are_read_in_parts,
    a_batch_that_failed_half_way_leaves_no_number_for_others,
    a_batch_that_failed_before_it_wrote_is_not_stored,
    a_run_whose_first_entry_failed_says_where_the_one_before_ended,
    an_event_is_stored_only_with_its_change,
    a_script_that_fills_the_memory_comes_to_its_end,
);

const ALICE: &str = "/.well-known/mercure/subscriptions/alice";
const BOB: &str = "/.well-known/mercure/subscriptions/bob";

fn begins(topic: &str) -> Entry {
    with(Condition::Begins, event(topic, "begun"))
}

fn ends(topic: &str) -> Entry {
    with(Condition::Ends, event(topic, "ended"))
}

async fn a_subscription_ends_once(program: Program) {
    let server = Server::start(program);
    let mut node = Node::enter(on(&server), 1).await;
    let mut other = Node::enter(on(&server), 2).await;
    let outcomes = node
        .append(vec![
            ends(ALICE),
            begins(ALICE),
            begins(BOB),
            ends(BOB),
            ends(BOB),
        ])
        .await;
    assert_eq!(outcomes[0], Outcome::Ended);
    let first = position(outcomes[1]);
    assert_eq!(position(outcomes[3]), first.next().next());
    assert_eq!(outcomes[4], Outcome::Ended);

    let kept = node
        .backend
        .subscriptions(None, &Continue::default())
        .await
        .expect("they are read");
    assert_eq!(kept.begun, [(first, event(ALICE, "begun"))]);
    assert_eq!(kept.next, None);
    let none = node
        .backend
        .subscriptions(Some(Member(2)), &Continue::default())
        .await;
    assert!(none.expect("they are read").begun.is_empty());

    // Only the member that began it ends it, while that member lives.
    assert_eq!(other.append(vec![ends(ALICE)]).await, [Outcome::Ended]);
    assert!(matches!(
        node.append(vec![ends(ALICE)]).await[..],
        [Outcome::Stored(_)]
    ));
    assert_eq!(node.append(vec![ends(ALICE)]).await, [Outcome::Ended]);
    assert_eq!(node.kept().await, ["begun", "begun", "ended", "ended"]);
}

async fn a_survivor_ends_what_a_dead_member_began(program: Program) {
    let server = Server::start(program);
    let mut dead = Node::enter(on(&server), 1).await;
    let mut survivor = Node::enter(on(&server), 2).await;
    dead.append(vec![begins(ALICE), begins(BOB)]).await;
    assert_eq!(survivor.backend.bury(Member(1), 0).await, Ok(true));
    // It has come back as another member, and announced the same subscription.
    let mut back = Node::enter(on(&server), 3).await;
    back.append(vec![begins(ALICE)]).await;

    assert!(matches!(
        back.append(vec![begins(ALICE)]).await[..],
        [Outcome::Repeated(_)]
    ));

    let beat = survivor.backend.beat(Member(2)).await.expect("a beat");
    assert_eq!(beat.buried, [Member(1)]);
    assert_eq!(survivor.append(vec![ends(ALICE)]).await, [Outcome::Ended]);
    assert!(matches!(
        survivor.append(vec![ends(BOB)]).await[..],
        [Outcome::Stored(_)]
    ));
    let beat = survivor.backend.beat(Member(2)).await.expect("a beat");
    assert!(beat.buried.is_empty());
    let kept = back
        .backend
        .subscriptions(Some(Member(3)), &Continue::default())
        .await;
    assert_eq!(kept.expect("they are read").begun.len(), 1);
}

async fn an_update_with_a_key_is_stored_once_within_its_window(program: Program) {
    let server = Server::start(program);
    let mut node = Node::enter(on(&server), 1).await;
    let mut other = Node::enter(on(&server), 2).await;
    let once = |window, data| with(Condition::Once([7; 32], window), update(data));
    let minute = Duration::from_secs(60);
    let outcomes = node
        .append(vec![
            once(minute, "a"),
            always(update("b")),
            once(minute, "c"),
        ])
        .await;
    let first = position(outcomes[0]);
    assert_eq!(outcomes[2], Outcome::Repeated(first));
    assert_eq!(
        other.append(vec![once(minute, "d")]).await,
        [Outcome::Repeated(first)]
    );
    assert_eq!(contents(&node.tail(2).await), ["a", "b"]);

    let short = |data| {
        with(
            Condition::Once([8; 32], Duration::from_millis(1)),
            update(data),
        )
    };
    node.append(vec![short("e")]).await;
    let mut number = node.number;
    let node = &node;
    until(
        "the window has passed",
        || {
            number += 1;
            let batch = Batch {
                after: Position::ORIGIN,
                member: node.member,
                number,
                entries: vec![short("f")],
            };
            async move { node.backend.append(&batch).await.expect("it is appended") }
        },
        |outcomes| matches!(outcomes[..], [Outcome::Stored(_)]),
    )
    .await;
}

async fn stored_subscriptions_are_read_in_parts(program: Program) {
    let server = Server::start(program);
    let mut all = Vec::new();
    let mut nodes = Vec::new();
    for member in 1..=4 {
        let mut node = Node::enter(on(&server), member).await;
        let topics: Vec<String> = (0..900).map(|each| format!("/{member}/{each}")).collect();
        node.append(topics.iter().map(|topic| begins(topic)).collect())
            .await;
        all.extend(topics);
        nodes.push(node);
    }
    nodes[1].backend.leave(Member(2)).await.expect("it leaves");
    let (mut from, mut found, mut parts) = (Continue::default(), Vec::new(), 0);
    loop {
        let part = nodes[0]
            .backend
            .subscriptions(None, &from)
            .await
            .expect("they are read");
        assert!(part.begun.len() <= 1_500, "{}", part.begun.len());
        found.extend(
            part.begun
                .into_iter()
                .map(|(_, update)| update.topics[0].clone()),
        );
        parts += 1;
        match part.next {
            Some(next) => from = next,
            None => break,
        }
    }
    assert!(parts > 2, "{parts}");
    found.sort();
    found.dedup();
    all.sort();
    assert_eq!(found, all);
}

async fn a_batch_that_failed_half_way_leaves_no_number_for_others(program: Program) {
    let server = Server::start(program);
    let mut node = Node::enter(on(&server), 1).await;
    node.publish(&["a"]).await;
    let own = format!("{{hub}}:subs:{}", node.member);
    server.ask(&["SET", &own, "of another type"]);
    let entries = vec![always(update("b")), begins(ALICE), always(update("c"))];
    let failed = node.try_append(entries).await;
    // Some of it may be stored, so the engine has to settle it.
    assert!(matches!(failed, Err(BackendError::Away(_))), "{failed:?}");
    server.ask(&["DEL", &own]);
    let settled = node.backend.settle(node.member, node.number).await;
    assert_eq!(settled, Ok(Settled::Partly));
    let batch = Batch {
        after: Position::ORIGIN,
        member: node.member,
        number: node.number,
        entries: vec![always(update("b"))],
    };
    let again = node.backend.append(&batch).await;
    assert_eq!(again, Err(BackendError::OutOfOrder));
    let place = node.publish(&["d"]).await[0];
    let last = node.tail(3).await.pop().expect("there are three");
    assert_eq!((last.position, last.update.data.as_str()), (place, "d"));
}

async fn a_run_whose_first_entry_failed_says_where_the_one_before_ended(program: Program) {
    let mut server = Server::start(program);
    let mut node = Node::enter(on(&server), 1).await;
    let before = node.publish(&["a"]).await[0];
    // Another process begins a run.
    server.kill();
    server.restart();
    let beat = until(
        "it answers",
        || node.backend.beat(node.member),
        Result::is_ok,
    );
    beat.await.expect("it does");
    server.ask(&["ACL", "SETUSER", "default", "-xadd"]);
    let failed = node.try_append(vec![always(update("b"))]).await;
    assert!(matches!(failed, Err(BackendError::Away(_))), "{failed:?}");
    let settled = node.backend.settle(node.member, node.number).await;
    assert_eq!(settled, Ok(Settled::Partly));
    server.ask(&["ACL", "SETUSER", "default", "+xadd"]);
    node.publish(&["c"]).await;
    let page = node
        .backend
        .page(Position::ORIGIN, LAST, usize::MAX, usize::MAX)
        .await;
    let records = page.expect("it is read").records;
    assert_eq!(contents(&records), ["a", "c"]);
    assert_eq!(records[1].run_before, Some(before));
}

/// A permission that was taken away is noticed before an event is stored whose subscription could not follow.
async fn an_event_is_stored_only_with_its_change(program: Program) {
    let server = Server::start(program);
    let mut node = Node::enter(on(&server), 1).await;
    node.append(vec![begins(ALICE)]).await;
    let own = format!("{{hub}}:subs:{}", node.member);
    for (taken, given, entry) in [
        (vec!["-hdel"], vec!["+hdel"], ends(ALICE)),
        (vec!["-hset"], vec!["+hset"], begins(BOB)),
        // All keys may be written but those of subscriptions.
        (
            vec![
                "resetkeys",
                "%R~*",
                "~{hub}:log",
                "~{hub}:meta",
                "~{hub}:ids",
                "~{hub}:events",
            ],
            vec!["~*"],
            begins(BOB),
        ),
    ] {
        server.ask(&[&["ACL", "SETUSER", "default"], &taken[..]].concat());
        let failed = node.try_append(vec![entry]).await;
        assert!(matches!(failed, Err(BackendError::Away(_))), "{failed:?}");
        server.ask(&[&["ACL", "SETUSER", "default"], &given[..]].concat());
        let settled = node.backend.settle(node.member, node.number).await;
        assert_eq!(settled, Ok(Settled::Never), "{taken:?}");
    }
    assert_eq!(server.ask(&["HLEN", &own]).text(), "1");
    let outcomes = node.append(vec![ends(ALICE), begins(BOB)]).await;
    assert!(
        matches!(outcomes[..], [Outcome::Stored(_), Outcome::Stored(_)]),
        "{outcomes:?}"
    );
    assert_eq!(node.kept().await, ["begun", "ended", "begun"]);
}

async fn a_batch_that_failed_before_it_wrote_is_not_stored(program: Program) {
    let server = Server::start(program);
    let mut node = Node::enter(on(&server), 1).await;
    let own = format!("{{hub}}:subs:{}", node.member);
    server.ask(&["SET", &own, "of another type"]);
    let failed = node
        .try_append(vec![begins(ALICE), always(update("b"))])
        .await;
    assert!(matches!(failed, Err(BackendError::Away(_))), "{failed:?}");
    let settled = node.backend.settle(node.member, node.number).await;
    assert_eq!(settled, Ok(Settled::Never));
    server.ask(&["DEL", &own]);
    assert_eq!(node.kept().await, [""; 0]);
}

/// A server whose memory becomes full within a script goes on with it, and refuses the next one before it begins: so a
/// batch does not fail half-way for that.
async fn a_script_that_fills_the_memory_comes_to_its_end(program: Program) {
    const FILL: &str =
        "#!lua\nfor _ = 1, 500 do redis.call('RPUSH', KEYS[1], string.rep('x', 10000)) end";
    let server = Server::start(program);
    let info = server.ask(&["INFO", "memory"]);
    let mut lines = info.text().lines();
    let used = lines.find_map(|line| line.strip_prefix("used_memory:"));
    let used: u64 = used.expect("a field").trim().parse().expect("a number");
    server.set("maxmemory", &(used + 1_000_000).to_string());
    let fill = ["EVAL", FILL, "1", "{hub}:filled"];
    server.ask(&fill);
    assert_eq!(
        server.ask(&["LLEN", "{hub}:filled"]),
        Reply::Text("500".to_owned())
    );
    let refused = server.ask(&fill);
    assert!(
        matches!(&refused, Reply::Error(why) if why.starts_with("OOM")),
        "{refused:?}"
    );
    assert_eq!(
        server.ask(&["LLEN", "{hub}:filled"]),
        Reply::Text("500".to_owned())
    );
}

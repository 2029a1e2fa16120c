//! Conditions that ride along with an update.

use std::time::Duration;

use talaria_transport::Position;
use talaria_transport::shared::Backend as _;
use talaria_transport::shared::backend::{Batch, Condition, Continue, Entry, Member, Outcome};

use crate::site::{Kind, Site};
use crate::support::{Node, always, contents, event, on, position, tests_on, until, update, with};

tests_on!(Direct:
    a_subscription_ends_once,
    a_survivor_ends_what_a_dead_member_began,
    an_update_with_a_key_is_stored_once_within_its_window,
    stored_subscriptions_are_read_in_parts,
    an_imported_update_is_stored_once,
    a_batch_of_which_nothing_is_stored_changes_nothing,
);
tests_on!(Pooled:
    a_survivor_ends_what_a_dead_member_began,
);
tests_on!(Newest:
    a_subscription_ends_once,
    an_imported_update_is_stored_once,
);

const ALICE: &str = "/.well-known/mercure/subscriptions/alice";
const BOB: &str = "/.well-known/mercure/subscriptions/bob";

fn begins(topic: &str) -> Entry {
    with(Condition::Begins, event(topic, "begun"))
}

fn ends(topic: &str) -> Entry {
    with(Condition::Ends, event(topic, "ended"))
}

async fn a_subscription_ends_once(kind: Kind) {
    let server = Site::start(kind);
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

async fn a_survivor_ends_what_a_dead_member_began(kind: Kind) {
    let server = Site::start(kind);
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

async fn an_update_with_a_key_is_stored_once_within_its_window(kind: Kind) {
    let server = Site::start(kind);
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

async fn stored_subscriptions_are_read_in_parts(kind: Kind) {
    let server = Site::start(kind);
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

/// What is imported is known by its id, that of an earlier entry of the same batch too.
async fn an_imported_update_is_stored_once(kind: Kind) {
    let server = Site::start(kind);
    let mut node = Node::enter(on(&server), 1).await;
    let imported = |id: Option<&str>, time, data| {
        let mut update = update(data);
        update.id = id.map(str::to_owned);
        with(Condition::Imported(time), update)
    };
    let outcomes = node
        .append(vec![
            imported(Some("a"), 1_000_000_000_000, "a"),
            imported(None, 1_000_000_000_001, "none"),
            imported(Some("a"), 1_000_000_000_002, "a again"),
            imported(Some("b"), u64::MAX, "b"),
        ])
        .await;
    let first = position(outcomes[0]);
    assert_eq!(outcomes[2], Outcome::Repeated(first));
    let again = node.append(vec![imported(Some("b"), 1, "b again")]).await;
    assert_eq!(again, [Outcome::Repeated(position(outcomes[3]))]);
    let records = node.tail(3).await;
    assert_eq!(contents(&records), ["a", "none", "b"]);
    assert_eq!(records[0].time, 1_000_000_000_000);
    assert_eq!(records[1].time, 1_000_000_000_001);
    // Not later than now.
    assert!(records[2].time < 4_000_000_000_000, "{}", records[2].time);
    assert_eq!(node.publish(&["c"]).await[0], records[2].position.next());
}

/// A batch of which nothing is stored begins no run, and the next one says where the run before ended.
async fn a_batch_of_which_nothing_is_stored_changes_nothing(kind: Kind) {
    let server = Site::start(kind);
    let mut node = Node::enter(on(&server), 1).await;
    assert_eq!(node.append(vec![ends(ALICE)]).await, [Outcome::Ended]);
    let first = node.publish(&["a"]).await[0];
    assert_eq!(node.append(vec![ends(ALICE)]).await, [Outcome::Ended]);
    assert_eq!(node.publish(&["b"]).await[0], first.next());
    assert_eq!(node.tail(2).await[0].run_before, Some(Position::ORIGIN));
}

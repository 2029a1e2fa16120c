//! Who is a member.

use talaria_transport::shared::Backend as _;
use talaria_transport::shared::backend::{BackendError, Member, Settled};

use crate::site::{Kind, Site};
use crate::support::{Node, always, on, tests_on, until, update};

tests_on!(Direct:
    a_member_that_was_buried_is_out,
    a_member_leaves,
    a_buried_members_number_is_remembered,
);
tests_on!(Pooled:
    a_member_that_was_buried_is_out,
);
tests_on!(Newest:
    a_member_that_was_buried_is_out,
);

async fn a_member_that_was_buried_is_out(kind: Kind) {
    let server = Site::start(kind);
    let mut one = Node::enter(on(&server), 1).await;
    let other = Node::enter(on(&server), 2).await;
    one.publish(&["a"]).await;
    for _ in 0..3 {
        one.backend.beat(Member(1)).await.expect("a beat");
    }
    let beat = other.backend.beat(Member(2)).await.expect("a beat");
    let mut members = beat.members;
    members.sort();
    assert_eq!(members, [(Member(1), 3), (Member(2), 1)]);

    assert_eq!(other.backend.bury(Member(1), 2).await, Ok(false));
    assert_eq!(other.backend.bury(Member(1), 3).await, Ok(true));
    assert_eq!(other.backend.bury(Member(1), 3).await, Ok(false));
    assert_eq!(
        one.backend.beat(Member(1)).await,
        Err(BackendError::NoMember)
    );
    assert_eq!(
        one.try_append(vec![always(update("b"))]).await,
        Err(BackendError::NoMember)
    );
    let again = one.backend.attach(Member(1), one.read).await;
    assert_eq!(again, Err(BackendError::NoMember));
    let beat = other.backend.beat(Member(2)).await.expect("a beat");
    assert_eq!((beat.members, beat.buried), (vec![(Member(2), 2)], vec![]));
}

async fn a_member_leaves(kind: Kind) {
    let server = Site::start(kind);
    let one = Node::enter(on(&server), 1).await;
    let other = Node::enter(on(&server), 2).await;
    one.backend.leave(Member(1)).await.expect("it leaves");
    one.backend.leave(Member(1)).await.expect("it has left");
    let beat = other.backend.beat(Member(2)).await.expect("a beat");
    assert_eq!(beat.members, [(Member(2), 1)]);
    assert_eq!(
        one.backend.beat(Member(1)).await,
        Err(BackendError::NoMember)
    );
}

async fn a_buried_members_number_is_remembered(kind: Kind) {
    let server = Site::start(kind);
    let mut one = Node::enter(on(&server), 1).await;
    let other = Node::enter(on(&server), 2).await;
    let outcomes = one.append(vec![always(update("a"))]).await;
    assert_eq!(other.backend.bury(Member(1), 0).await, Ok(true));
    assert_eq!(
        one.backend.settle(Member(1), 1).await,
        Ok(Settled::Stored(outcomes))
    );
    assert_eq!(one.backend.settle(Member(1), 2).await, Ok(Settled::Never));
    assert_eq!(one.backend.settle(Member(1), 2).await, Ok(Settled::Never));

    // After an hour it is forgotten.
    let count = "SELECT count(*) FROM talaria.members";
    assert_eq!(server.ask(count), "2");
    server.run_sql("UPDATE talaria.members SET buried = buried - interval '61 minutes'");
    until(
        "it is forgotten",
        || async { server.ask(count) },
        |count| count == "1",
    )
    .await;
    assert_eq!(
        one.backend.settle(Member(1), 2).await,
        Err(BackendError::NoMember)
    );
}

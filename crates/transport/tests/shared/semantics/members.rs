//! Members: beats, burials and the subscriptions that are left.

use talaria_transport::Position;
use talaria_transport::shared::Backend;
use talaria_transport::shared::backend::{BackendError, Condition, Continue};

use super::{ONE, TWO, attached, batch, options, second, single};

/// A beat adds one to the member's counter, and shows those of all.
#[tokio::test(start_paused = true)]
async fn beats_are_counted() {
    let (world, node) = attached(options(|_| ())).await;
    let other = second(&world).await;
    node.beat(ONE).await.unwrap();
    node.beat(ONE).await.unwrap();
    let beat = other.beat(TWO).await.unwrap();
    assert_eq!(beat.members, [(ONE, 2), (TWO, 1)]);
    assert_eq!(beat.tag, world.held().unwrap().tag);
    assert_eq!(beat.bounds, world.held().unwrap().bounds);
}

/// A member is buried only with the counter that was seen.
#[tokio::test(start_paused = true)]
async fn a_member_that_beats_is_not_buried() {
    let (world, node) = attached(options(|_| ())).await;
    let other = second(&world).await;
    node.beat(ONE).await.unwrap();
    assert_eq!(other.bury(ONE, 0).await, Ok(false));
    node.append(&single(ONE, 1)).await.expect("it is a member");
    assert_eq!(other.bury(ONE, 1).await, Ok(true));
    assert_eq!(
        other.bury(ONE, 1).await,
        Ok(false),
        "it is not a member any more"
    );
    assert_eq!(node.beat(ONE).await, Err(BackendError::NoMember));
    let refused = node.append(&single(ONE, 2)).await;
    assert_eq!(refused, Err(BackendError::NoMember));
    let again = node.attach(ONE, Position::ORIGIN).await;
    assert_eq!(again, Err(BackendError::NoMember));
}

/// The subscriptions of members that died or left are known until they have ended.
#[tokio::test(start_paused = true)]
async fn the_subscriptions_of_the_dead_are_left() {
    for leaves in [false, true] {
        let (world, node) = attached(options(|_| ())).await;
        let other = second(&world).await;
        let begin = batch(ONE, 1, &[("a", Condition::Begins)]);
        node.append(&begin).await.unwrap();
        assert_eq!(other.beat(TWO).await.unwrap().buried, []);
        if leaves {
            node.leave(ONE).await.unwrap();
        } else {
            assert_eq!(other.bury(ONE, 0).await, Ok(true));
        }
        assert_eq!(other.beat(TWO).await.unwrap().buried, [ONE]);
        let end = batch(TWO, 1, &[("a", Condition::Ends)]);
        other.append(&end).await.unwrap();
        assert_eq!(other.beat(TWO).await.unwrap().buried, []);
    }
}

/// Stored subscriptions are read in parts, of one member or of all.
#[tokio::test(start_paused = true)]
async fn subscriptions_are_read_in_parts() {
    let (world, node) = attached(options(|options| options.page_records = 2)).await;
    let other = second(&world).await;
    let begins = |topics: &[&'static str]| -> Vec<_> {
        let topics = topics.iter();
        topics.map(|topic| (*topic, Condition::Begins)).collect()
    };
    let mine = batch(ONE, 1, &begins(&["a", "c", "e", "g"]));
    node.append(&mine).await.unwrap();
    let others = batch(TWO, 1, &begins(&["b", "d"]));
    other.append(&others).await.unwrap();
    for (of, expected) in [(None, "abcdeg"), (Some(ONE), "aceg"), (Some(TWO), "bd")] {
        let (mut found, mut from) = (String::new(), Continue::default());
        loop {
            let part = node.subscriptions(of, &from).await.unwrap();
            assert!(part.begun.len() <= 2);
            found.extend(part.begun.iter().map(|(_, update)| &*update.topics[0]));
            match part.next {
                Some(next) => from = next,
                None => break,
            }
        }
        assert_eq!(found, expected, "{of:?}");
    }
}

//! The list of active subscriptions has those that were announced and whose beginning was routed.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use talaria_protocol::{MatcherType, Subscription, Update};
use talaria_transport::{Frame, Position, Ring, Route};

use super::alphabet::base;
use super::config;
use crate::engine::active::{Document, Snapshot};
use crate::engine::router::{Effort, Router};

const SUBSCRIPTIONS: usize = 4;

/// How far a subscription is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    Announced,
    /// Its beginning was routed.
    Active,
    Ended,
    /// It was withdrawn before its beginning was routed.
    Withdrawn,
}

/// What happens to a subscription next. It is left out where it cannot happen.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Announce,
    Withdraw,
    Begin,
    End,
    /// An update without the hub's mark says that it began, or ended.
    Forge(bool),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => Just(Operation::Announce),
        1 => Just(Operation::Withdraw),
        3 => Just(Operation::Begin),
        1 => Just(Operation::End),
        1 => any::<bool>().prop_map(Operation::Forge),
    ]
}

/// Does what an operation says, where it can happen. If an event is to be routed for it, returns whether
/// that is the event of the beginning.
fn apply(
    operation: Operation,
    stage: &mut Stage,
    document: &Arc<Document>,
    router: &Router,
) -> Option<bool> {
    match (operation, *stage) {
        (Operation::Announce, Stage::New) => {
            router.announce(0, Arc::clone(document));
            *stage = Stage::Announced;
            None
        }
        (Operation::Withdraw, Stage::Announced) => {
            router.withdraw(&document.topic);
            *stage = Stage::Withdrawn;
            None
        }
        (Operation::Begin, Stage::Announced) => {
            *stage = Stage::Active;
            Some(true)
        }
        (Operation::End, Stage::Active) => {
            *stage = Stage::Ended;
            Some(false)
        }
        // A withdrawn subscription is not expected, even if its events are routed after all.
        (Operation::Begin, Stage::Withdrawn) => Some(true),
        (Operation::End, Stage::Withdrawn) => Some(false),
        (Operation::Forge(active), _) => Some(active),
        _ => None,
    }
}

proptest! {
    #![proptest_config(config())]

    /// A subscription is listed from the event of its beginning to that of its end, if it was
    /// announced and not withdrawn; the cursor of the list is the newest routed update. An update of a
    /// publisher changes nothing, however much it looks like such an event.
    #[test]
    fn the_list_is_what_was_announced_and_has_begun(
        operations in vec((0..SUBSCRIPTIONS, operation()), 1..40),
    ) {
        let ring = Arc::new(Ring::new(1 << 20, Position::ORIGIN));
        let router = Router::new(ring, base(), Effort::new(1), Position::ORIGIN);
        let documents: Vec<_> = (0..SUBSCRIPTIONS).map(|number| {
            let subscription = Subscription {
                matcher_type: MatcherType::Exact,
                text: "https://example.com/books/1".to_owned(),
            };
            let subscriber = format!("urn:uuid:{number}").into();
            Arc::new(Document::new(subscription, subscriber, None, true))
        }).collect();
        let mut stages = [Stage::New; SUBSCRIPTIONS];
        let mut newest = None;
        let mut snapshots = Vec::new();
        let mut routed = 0;
        for (number, operation) in operations {
            let document = &documents[number];
            let stage = &mut stages[number];
            let event = apply(operation, stage, document, &router);
            if let Some(active) = event {
                routed += 1;
                let id = routed.to_string();
                let by_hub = !matches!(operation, Operation::Forge(_));
                let update = Update { by_hub, ..document.update(active) };
                router.route(&[Arc::new(Frame::new(Position(routed), id.clone(), update))], &mut || {});
                newest = Some(id);
            }
            let Snapshot { newest: cursor, members, digest } = router.present();
            prop_assert_eq!(digest, None, "the log is of one process");
            let cursor = cursor.map(|frame| frame.event_id.to_string());
            prop_assert_eq!(&cursor, &newest);
            let one = &documents[number].topic;
            prop_assert_eq!(members.active(one).is_some(), stages[number] == Stage::Active);
            let listed = members.from("").filter(|(_, is_active)| *is_active);
            let listed: Vec<_> = listed.map(|(document, _)| document.topic.clone()).collect();
            snapshots.push((router.present().members, listed.clone()));
            let expected: Vec<_> = documents
                .iter()
                .zip(&stages)
                .filter(|(_, stage)| **stage == Stage::Active)
                .map(|(document, _)| document.topic.clone())
                .collect();
            prop_assert_eq!(listed, expected);
        }
        // A list that is read slowly still says what was true at its cursor.
        for (members, listed) in snapshots {
            let still = members.from("").filter(|(_, is_active)| *is_active);
            let still: Vec<_> = still.map(|(document, _)| document.topic.clone()).collect();
            prop_assert_eq!(still, listed);
        }
    }
}

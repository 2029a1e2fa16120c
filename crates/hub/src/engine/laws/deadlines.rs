//! The deadlines of a stream hold in every state. The test sets the time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use talaria_protocol::event;
use talaria_transport::Position;

use super::alphabet::{Asked, Published};
use super::readers::World;
use super::{Bell, config};
use crate::engine::cursor::{Cursor, Deadlines, End, Step};
use crate::engine::drain::Drain;

#[derive(Debug, Clone)]
enum Operation {
    /// Milliseconds pass.
    Pass(u64),
    Publish(Published),
    Ask,
    /// The page that the cursor needs arrives.
    Supply,
    /// Draining begins, in a window of this many milliseconds.
    Drain(u64),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => (0..400_u64).prop_map(Operation::Pass),
        2 => Published::any().prop_map(Operation::Publish),
        8 => Just(Operation::Ask),
        1 => Just(Operation::Supply),
        1 => prop_oneof![Just(0), 0..2_000_u64].prop_map(Operation::Drain),
    ]
}

/// The deadlines that are armed, in milliseconds.
#[derive(Debug, Clone)]
struct Armed {
    heartbeat: Option<u64>,
    rotation: Option<u64>,
    expiry: Option<u64>,
}

fn armed() -> impl Strategy<Value = Armed> {
    let moment = || option::of(0..6_000_u64);
    (option::of(1..500_u64), moment(), moment()).prop_map(|(heartbeat, rotation, expiry)| Armed {
        heartbeat,
        rotation,
        expiry,
    })
}

/// A cursor, with what its driver knows.
struct Driven {
    cursor: Cursor,
    armed: Deadlines,
    /// When draining began and when it ends.
    window: Option<(Instant, Instant)>,
    sent_at: Option<Instant>,
    needed: Option<Step>,
    /// Whether the last updates were sent after the lifetime or the window was over.
    last_sent: bool,
    ended: Option<End>,
}

impl Driven {
    fn ask(&mut self, now: Instant) -> TestCaseResult {
        let step = self.cursor.next(now, &Arc::new(Bell::default()).waker());
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let drained = due(self.window.map(|(_, end)| end));
        if let Some(ended) = self.ended {
            prop_assert_eq!(step, Step::End(ended), "the end is final");
            return Ok(());
        }
        // The cursor chooses the moment within the window.
        let drains = self.window.is_some() && due(self.cursor.deadline());
        let over = drained || drains || due(self.armed.rotation);
        if over && matches!(&step, Step::Send(bytes) if bytes != event::COMMENT) {
            prop_assert!(!due(self.armed.expiry), "an update after the token's end");
            prop_assert!(!self.last_sent, "more than a last chunk");
            self.last_sent = true;
            return Ok(());
        }
        if self.last_sent {
            prop_assert!(
                matches!(step, Step::End(_)),
                "{step:?} after the last chunk"
            );
            if let Step::End(end) = step {
                self.ended = Some(end);
            }
            return Ok(());
        }
        match &step {
            Step::End(End::TokenExpired) => prop_assert!(due(self.armed.expiry), "too early"),
            _ => prop_assert!(!due(self.armed.expiry), "{step:?} after the token's end"),
        }
        match &step {
            Step::End(End::TokenExpired) => {}
            Step::End(End::Drained) => prop_assert!(self.window.is_some()),
            _ => prop_assert!(!drained, "{step:?} after the window"),
        }
        match &step {
            Step::End(End::TokenExpired | End::Drained) => {}
            Step::End(End::Rotated) => prop_assert!(due(self.armed.rotation), "too early"),
            Step::End(End::Passed | End::Unavailable) => {
                return Err(TestCaseError::fail("every page was read"));
            }
            _ => prop_assert!(!due(self.armed.rotation), "{step:?} after its lifetime"),
        }
        let heartbeat_at = self.armed.heartbeat.zip(self.sent_at);
        let heartbeat_at = heartbeat_at.map(|(silence, sent_at)| sent_at + silence);
        match step {
            Step::Send(bytes) => {
                if bytes == event::COMMENT {
                    let opening = self.sent_at.is_none();
                    prop_assert!(opening || due(heartbeat_at), "a comment without silence");
                }
                self.sent_at = Some(now);
            }
            Step::Wait => prop_assert!(!due(heartbeat_at), "silence without a comment"),
            Step::NeedPage { .. } => self.needed = Some(step),
            Step::End(end) => self.ended = Some(end),
        }
        self.check_deadline(now)
    }

    /// The deadline is the earliest that is armed, and there is one while any is armed.
    fn check_deadline(&self, now: Instant) -> TestCaseResult {
        if self.ended.is_some() || self.last_sent {
            return Ok(());
        }
        let heartbeat = self.armed.heartbeat.zip(self.sent_at);
        let armed = [
            heartbeat.map(|(silence, sent_at)| sent_at + silence),
            self.armed.rotation,
            self.armed.expiry,
        ];
        let first = armed.into_iter().flatten().min();
        let deadline = self.cursor.deadline();
        match self.window {
            None => prop_assert_eq!(deadline, first),
            Some((begin, end)) => {
                prop_assert!(deadline.is_some_and(|deadline| deadline <= end.max(begin)));
                prop_assert!(first.is_none_or(|first| deadline <= Some(first)));
                let drains = first != deadline;
                prop_assert!(!drains || deadline.is_some_and(|deadline| deadline >= begin));
            }
        }
        prop_assert!(deadline.is_none_or(|deadline| deadline > now || self.needed.is_some()));
        Ok(())
    }
}

proptest! {
    #![proptest_config(config())]

    /// A stream ends no later than the `exp` of its token, which comes before any other end and any update,
    /// even while a page is read (specification, "Subscribers"). Besides it only the lifetime and the drain
    /// window end a stream, and only a comment breaks silence (B-354, B-1022).
    #[test]
    fn deadlines_hold_in_every_state(
        armed in armed(),
        asked in Asked::any(),
        operations in vec(operation(), 1..80),
    ) {
        let mut world = World::new(2_000, 2);
        let at = |milliseconds| world.now + Duration::from_millis(milliseconds);
        let armed = Deadlines {
            heartbeat: armed.heartbeat.map(Duration::from_millis),
            rotation: armed.rotation.map(at),
            expiry: armed.expiry.map(at),
        };
        let drain = Arc::new(Drain::default());
        let membership = world.router.join(asked.selection(), 0);
        let cursor = Cursor::new(membership, drain.enter(), world.router.visible(), armed);
        let mut driven = Driven {
            cursor,
            armed,
            window: None,
            sent_at: None,
            needed: None,
            last_sent: false,
            ended: None,
        };
        for operation in operations {
            match operation {
                Operation::Pass(milliseconds) => world.now += Duration::from_millis(milliseconds),
                Operation::Publish(published) => world.publish(&[published]),
                Operation::Ask => driven.ask(world.now)?,
                Operation::Supply => {
                    if let Some(Step::NeedPage { from, up_to }) = driven.needed.take() {
                        let page = world.read(from, up_to, 3, &*driven.cursor.filter());
                        driven.cursor.supply(Ok(page));
                    }
                }
                Operation::Drain(milliseconds) => {
                    let length = Duration::from_millis(milliseconds);
                    drain.begin(world.now, length);
                    driven.window.get_or_insert((world.now, world.now + length));
                    driven.ask(world.now)?;
                }
            }
        }
    }
}

/// A scan that finds nothing lets other tasks run in between. It is silence like any other: the comment
/// comes, and the deadline is never in the past.
#[test]
fn a_long_scan_gives_way_and_breaks_the_silence() {
    const SILENCE: Duration = Duration::from_secs(1);
    let mut world = World::new(64 << 20, 1);
    let unrelated = Published::private();
    for _ in 0..100 {
        world.publish(&vec![unrelated.clone(); 100]);
    }
    let membership = world.router.join(Asked::everything_public().selection(), 0);
    let start = Position::ORIGIN;
    let deadlines = Deadlines {
        heartbeat: Some(SILENCE),
        ..Deadlines::default()
    };
    let mut cursor = Cursor::new(membership, Default::default(), start, deadlines);
    let bell = Arc::new(Bell::default());
    let comment = Step::Send(event::COMMENT.into());
    assert_eq!(cursor.next(world.now, &bell.waker()), comment);
    assert_eq!(cursor.next(world.now, &bell.waker()), Step::Wait);
    assert!(bell.rang(), "the scan goes on after others had their turn");
    assert!(cursor.position() < world.router.visible());
    world.now += SILENCE;
    assert_eq!(cursor.next(world.now, &bell.waker()), comment);
    assert!(cursor.deadline() > Some(world.now));
    let mut turns = 0;
    while cursor.next(world.now, &bell.waker()) == Step::Wait && bell.rang() {
        turns += 1;
        assert!(turns < 10, "the scan ends");
    }
    assert_eq!(cursor.position(), world.router.visible());
}

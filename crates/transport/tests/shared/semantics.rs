//! The simulated server keeps the rules of [`Backend`].

mod appends;
mod failures;
mod members;
mod reads;
mod runs;
mod starts;

use std::time::Duration;

use talaria_protocol::Update;
use talaria_transport::Position;
use talaria_transport::shared::Backend;
use talaria_transport::shared::backend::{Batch, Condition, Entry, Member, Outcome};
use talaria_transport::shared::simulated::{Simulated, SimulatedNode, SimulatedOptions};

const ONE: Member = Member(1);
const TWO: Member = Member(2);

/// Options that a test changes.
fn options(change: impl FnOnce(&mut SimulatedOptions)) -> SimulatedOptions {
    let mut options = SimulatedOptions::default();
    change(&mut options);
    options
}

/// A world, and a node in it that has entered as a member.
async fn attached(options: SimulatedOptions) -> (Simulated, SimulatedNode) {
    let world = Simulated::new(options);
    let node = world.node("one");
    node.attach(ONE, Position::ORIGIN).await.unwrap();
    (world, node)
}

/// Another node, which enters as the second member.
async fn second(world: &Simulated) -> SimulatedNode {
    let node = world.node("two");
    node.attach(TWO, Position::ORIGIN).await.unwrap();
    node
}

fn update(topic: &str) -> Update {
    Update {
        topics: vec![topic.to_owned()],
        ..Update::default()
    }
}

fn entry(topic: &str, condition: Condition) -> Entry {
    Entry {
        update: update(topic),
        condition,
    }
}

fn batch(member: Member, number: u64, entries: &[(&str, Condition)]) -> Batch {
    Batch {
        member,
        number,
        after: Position::ORIGIN,
        entries: entries
            .iter()
            .map(|(topic, condition)| entry(topic, *condition))
            .collect(),
    }
}

/// A batch of one update.
fn single(member: Member, number: u64) -> Batch {
    batch(member, number, &[("t", Condition::Always)])
}

/// Where the update of a batch of one is stored.
async fn append(node: &SimulatedNode, batch: &Batch) -> Position {
    let outcomes = node.append(batch).await.expect("it is stored");
    match outcomes[..] {
        [Outcome::Stored(position)] => position,
        _ => panic!("{outcomes:?}"),
    }
}

fn run_and_number(position: Position) -> (u64, u64) {
    (position.0 >> 32, position.0 & u64::from(u32::MAX))
}

const SECOND: Duration = Duration::from_secs(1);

//! Orphans: ends the subscriptions of processes that died, on a log that several processes append to.
//!
//! The log keeps the subscriptions beside it, and stores an end only while it does. So each is ended once,
//! although every process may try, and a process that dies half-way leaves the rest to the others (ADR 0026).

use std::time::Duration;

use talaria_protocol::Update;
use talaria_transport::{Nodes, Transport};
use tokio::time::sleep;

use super::ends::{self, Event};
use super::pause::Pause;

/// The pause after an answer without orphans, which no log should give.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Ends the subscriptions of dead processes, for ever. It can be dropped at any moment.
pub(super) async fn end_orphans(nodes: &dyn Nodes, transport: &dyn Transport) {
    let mut pause = Pause::default();
    loop {
        let begun = nodes.orphans().await;
        if begun.is_empty() {
            sleep(ASK_AGAIN).await;
            continue;
        }
        let ends: Vec<Update> = begun.into_iter().filter_map(end_of).collect();
        append(&ends, transport, &mut pause).await;
        tracing::info!(
            name: "presence_orphans_ended",
            subscriptions = ends.len(),
            "ended subscriptions that nodes left open when they died"
        );
    }
}

/// The end of a subscription. One that cannot be read is ended, too, or it would be an orphan for ever.
fn end_of(begun: Update) -> Option<Update> {
    let topic = begun.topics.first()?.clone();
    match ends::read(&topic, begun) {
        Some(Event::Beginning(end)) => Some(end),
        Some(Event::End) | None => Some(ends::bare(&topic)),
    }
}

/// Appends ends until the log holds them. After an unknown outcome they are appended again: the log stores none twice.
async fn append(ends: &[Update], transport: &dyn Transport, pause: &mut Pause) {
    let mut left = ends;
    while !left.is_empty() {
        let (some, others) = left.split_at(ends::at_once(left.iter()));
        let outcome = transport.append_all(some.to_vec()).await;
        pause.note(&outcome, "the ends of dead nodes' subscriptions");
        if outcome.is_ok() {
            left = others;
            continue;
        }
        pause.elapse().await;
        _ = pause.is_over();
    }
}

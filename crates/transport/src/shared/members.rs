//! Beats: a node shows that it lives, and sees which others do.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::backend::{Backend, BackendError, Beat, Member};
use super::contact::Part;
use super::node::{FailOnPanic, Node};
use crate::Position;

/// Between beats while the server cannot be used.
const RETRY: Duration = Duration::from_millis(500);
/// The least time between beats.
const LEAST: Duration = Duration::from_millis(100);

/// Shows that this node lives, and buries those that do not.
pub(super) async fn beat<B: Backend>(node: &Node<B>) {
    let _fail = FailOnPanic(node);
    let mut observer = Observer::default();
    let mut behind = Position::ORIGIN;
    loop {
        let member = node.member().await;
        let head = node.place().head;
        let wait = match node.backend.beat(member).await {
            Ok(beat) => {
                if beat.bounds.head < head && beat.bounds.head != behind {
                    // The log has lost what this node has read, or is another one.
                    behind = beat.bounds.head;
                    node.must_restore.store(true, Ordering::Release);
                }
                match beat.refusing {
                    Some(reason) => {
                        let error = BackendError::Refusing(reason);
                        node.contact.fails(Part::Writes, &error);
                    }
                    None => node.contact.works(Part::Writes),
                }
                note(node, &beat);
                observe(node, member, &mut observer, &beat).await;
                match beat.refusing {
                    Some(_) => RETRY,
                    None => node.options.lease / 3,
                }
            }
            Err(error) => {
                observer.lose_contact();
                node.contact.fails(Part::Writes, &error);
                if let BackendError::NoMember | BackendError::NoLog = error
                    && node.enter_again(member).await.is_ok()
                {
                    continue;
                }
                RETRY
            }
        };
        // What fails rings for a beat; the server is not to be asked without a pause for that.
        sleep(LEAST).await;
        let wait = wait - wait.mul_f64(0.1 * (node.random() % 100) as f64 / 100.0);
        // The time being over is as good as the notice.
        _ = timeout(wait, node.beat_now.notified()).await;
    }
}

/// Notes what a beat says of the log and its members.
pub(super) fn note<B: Backend>(node: &Node<B>, beat: &Beat) {
    let mut place = node.place();
    place.floor = beat.bounds.floor;
    let lag = distance(place.head, beat.bounds.head);
    drop(place);
    let measures = &node.measures;
    measures.lag.store(lag, Ordering::Relaxed);
    measures.outbox(beat.outbox);
    measures
        .members
        .store(beat.members.len() as u64, Ordering::Relaxed);
    measures
        .bytes
        .store(beat.bytes.unwrap_or(0), Ordering::Relaxed);
}

/// How many positions there are between two; within a run that is exact.
fn distance(from: Position, to: Position) -> u64 {
    let number = |position: Position| position.0 & u64::from(u32::MAX);
    match from.0 >> 32 == to.0 >> 32 {
        true => to.0.saturating_sub(from.0),
        false if from < to => number(to),
        false => 0,
    }
}

/// What a node has seen of the others, by its own clock.
#[derive(Debug, Default)]
struct Observer {
    /// Each member's counter, and since when it is unchanged.
    seen: HashMap<Member, (u64, Instant)>,
    last: Option<Instant>,
}

impl Observer {
    /// Time that passes without contact does not count.
    fn lose_contact(&mut self) {
        self.seen.clear();
        self.last = None;
    }

    /// The members that have been silent for a lease, during unbroken contact of this node.
    fn silent(&mut self, beat: &Beat, own: Member, lease: Duration) -> Vec<(Member, u64)> {
        let now = Instant::now();
        // A node that was stopped itself has not looked.
        if self.last.is_some_and(|last| now - last > lease * 2 / 3) {
            self.seen.clear();
        }
        self.last = Some(now);
        let is_member = |member: &Member| beat.members.iter().any(|(known, _)| known == member);
        self.seen.retain(|member, _| is_member(member));
        let mut silent = Vec::new();
        for (member, counter) in beat.members.iter().filter(|(member, _)| *member != own) {
            let (seen, since) = self.seen.entry(*member).or_insert((*counter, now));
            if seen != counter {
                (*seen, *since) = (*counter, now);
            } else if now - *since >= lease {
                silent.push((*member, *counter));
            }
        }
        silent
    }
}

async fn observe<B: Backend>(node: &Node<B>, own: Member, observer: &mut Observer, beat: &Beat) {
    let mut buried = Vec::new();
    for (member, counter) in observer.silent(beat, own, node.options.lease) {
        match node.backend.bury(member, counter).await {
            Ok(true) => {
                node.measures.buried.add(1);
                tracing::warn!(
                    name: "node_buried",
                    node = %member,
                    seconds = node.options.lease.as_secs_f64(),
                    "a node of the log has not shown itself; its subscriptions are ended"
                );
                buried.push(member);
            }
            Ok(false) => {}
            Err(error) => {
                observer.lose_contact();
                node.contact.fails(Part::Writes, &error);
                break;
            }
        }
    }
    // Who buries a node ends its subscriptions; the others do so only if that is not done after a lease.
    let later = Instant::now() + node.options.lease;
    node.orphans.set(&beat.buried, &buried, later);
}

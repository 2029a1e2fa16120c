//! Follows the log: what every node appended becomes visible here, and only here.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::backend::{Backend, BackendError, Record};
use super::contact::Part;
use super::identity::Identity;
use super::node::{FailOnPanic, Node};
use super::open::subscriptions;
use super::passed::{Passed, passed};
use crate::events::Event;
use crate::{Position, Route};

/// Follows the log once there is a route, until it is aborted.
pub(super) async fn follow<B: Backend>(node: &Node<B>) {
    let _fail = FailOnPanic(node);
    let route = loop {
        match node.route.get() {
            Some(route) => break Arc::clone(route),
            None => node.started.notified().await,
        }
    };
    let mut backoff = node.backoff();
    loop {
        if node.must_restore.swap(false, Ordering::AcqRel) {
            restore(node, &*route).await;
        }
        let (head, identity) = (node.place().head, node.identity());
        match node.backend.tail(head).await {
            // What was read of a log that another one has replaced meanwhile is gone.
            Ok(_) if node.identity().tag != identity.tag => {}
            Ok(records) => {
                node.contact.works(Part::Tail);
                backoff.reset();
                pass(node, &*route, &identity, records).await;
            }
            Err(error) => {
                node.contact.fails(Part::Tail, &error);
                // The beat finds out whether this node has to enter the log again.
                node.beat_now.notify_one();
                backoff.pause().await;
            }
        }
    }
}

/// Reads which subscriptions are active, and hands them on. Those that begin or end meanwhile follow as events, which
/// change nothing a second time.
async fn restore<B: Backend>(node: &Node<B>, route: &dyn Route) {
    let mut backoff = node.backoff();
    loop {
        match subscriptions(&*node.backend).await {
            Ok(begun) => {
                node.knows(&begun);
                return route.restore(&begun);
            }
            Err(error) => {
                node.contact.fails(Part::Tail, &error);
                node.beat_now.notify_one();
                backoff.pause().await;
            }
        }
    }
}

/// Makes records visible.
async fn pass<B: Backend>(
    node: &Node<B>,
    route: &dyn Route,
    identity: &Identity,
    mut records: Vec<Record>,
) {
    let head = node.place().head;
    records.retain(|record| record.position > head);
    let mut before = head;
    let mut part: Vec<Record> = Vec::new();
    for record in records {
        if let Some(end) = record.run_before {
            node.ledger.lose(end, record.position);
        }
        let follows = record.position == before.next() || record.run_before == Some(before);
        if !follows || record.run_before.is_some() {
            show(node, route, identity, std::mem::take(&mut part));
            if !follows {
                bridge(node, route, identity, before, &record).await;
            }
            if record.run_before.is_some() && !is_first(node, before, &record) {
                // What was read of stored subscriptions may have been ahead of what is shown, and lost.
                node.must_restore.store(true, Ordering::Release);
            }
            if node.must_restore.swap(false, Ordering::AcqRel) {
                restore(node, route).await;
            }
        }
        before = record.position;
        part.push(record);
    }
    show(node, route, identity, part);
}

/// Whether a record is the first of its log, and nothing was known of subscriptions before it. Whatever the log lost
/// before it, this node had neither shown it nor read which subscriptions it began, so what it knows, nothing, is how the
/// log begins.
fn is_first<B: Backend>(node: &Node<B>, before: Position, record: &Record) -> bool {
    before == Position::ORIGIN
        && record.run_before == Some(Position::ORIGIN)
        && !node.knows_subscriptions.load(Ordering::Acquire)
}

/// Deals with a record that does not follow the one before: the log has lost what was shown, or retention was faster
/// than this node, or what lies between was events that are no longer kept.
async fn bridge<B: Backend>(
    node: &Node<B>,
    route: &dyn Route,
    identity: &Identity,
    before: Position,
    record: &Record,
) {
    if let Some(end) = record.run_before
        && end < before
    {
        let lost = node.ring.cut(end);
        node.pages.clear();
        node.measures.lost.add(lost as u64);
        node.must_restore.store(true, Ordering::Release);
        // Who has just entered another log has nothing in it that could be lost.
        let is_same = node.place().log == identity.tag;
        if is_same {
            leave_what_was_lost(node).await;
        }
        tracing::error!(
            name: "log_updates_lost",
            updates = lost,
            after = end.0,
            up_to = before.0,
            "the server of the log has lost updates that this node had shown; it goes on with what follows"
        );
        return;
    }
    let mut backoff = node.backoff();
    let floor = loop {
        match node.backend.page(before, record.position, 1, 1).await {
            Ok(records) => break records.floor,
            Err(error) => {
                node.contact.fails(Part::Tail, &error);
                backoff.pause().await;
            }
        }
    };
    // Beginnings and ends of subscriptions may have been among what is gone.
    node.must_restore.store(true, Ordering::Release);
    if floor <= before {
        return;
    }
    node.ledger.skip(before, record.position);
    let gone = Position(record.position.0 - 1);
    node.ring.restart(gone);
    // Readers that are sent to the log read up to here.
    node.place().head = gone;
    route.pass_over(gone);
    tracing::warn!(
        name: "log_passed_node",
        position = before.0,
        floor = floor.0,
        "the log has deleted updates that this node had not read; readers that need them are ended"
    );
}

/// Gives the membership up and enters the log as a new member, when the log has lost what this node did: it may keep
/// subscriptions under this node that have ended. They are ended as those of a dead node, and what is open is announced
/// again (ADR 0026).
async fn leave_what_was_lost<B: Backend>(node: &Node<B>) {
    let member = node.member().await;
    let mut backoff = node.backoff();
    loop {
        let left = match node.backend.leave(member).await {
            Ok(()) | Err(BackendError::NoMember | BackendError::NoLog) => {
                node.enter_again(member).await.map(|_| ())
            }
            Err(error) => Err(error),
        };
        match left {
            Ok(()) => return,
            Err(error) => node.contact.fails(Part::Tail, &error),
        }
        backoff.pause().await;
    }
}

/// Routes records, in groups that are either events or updates and at most a quarter of the ring.
fn show<B: Backend>(node: &Node<B>, route: &dyn Route, identity: &Identity, records: Vec<Record>) {
    let most = node.options.ring_bytes / 4;
    let mut group: Vec<Passed> = Vec::new();
    let mut bytes = 0;
    for passed in passed(identity, records) {
        let weight = passed.frame.weight();
        let belongs = group.first().is_none_or(|first| {
            first.frame.by_hub == passed.frame.by_hub && bytes + weight <= most
        });
        if !belongs {
            show_group(node, route, identity, &std::mem::take(&mut group));
            bytes = 0;
        }
        bytes += weight;
        group.push(passed);
    }
    show_group(node, route, identity, &group);
}

fn show_group<B: Backend>(
    node: &Node<B>,
    route: &dyn Route,
    identity: &Identity,
    group: &[Passed],
) {
    let Some(last) = group.last() else { return };
    let frames: Vec<_> = group
        .iter()
        .map(|passed| Arc::clone(&passed.frame))
        .collect();
    {
        let mut place = node.place();
        place.head = last.frame.position;
        place.log = identity.tag;
        place.newest = Some(Arc::clone(&last.frame));
        let events = group.iter().filter(|passed| passed.frame.by_hub);
        events.for_each(|passed| {
            let frame = Arc::clone(&passed.frame);
            place.events.add(Event::new(frame, passed.time));
        });
    }
    route.route(&frames, &mut || {
        node.ledger.pass(group, &node.measures);
    });
    let gone = node.place().events.evict();
    if !gone.is_empty() {
        node.ring.forget(&gone);
    }
}

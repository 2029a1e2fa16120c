//! Recovery: ends the subscriptions that a process left open when it died, on a log of one process (ADR 0014).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::{Update, event};
use talaria_transport::{Admit, Frame, Position, ReadError, Transport, Verdict};
use tokio::time::sleep;

use super::ends::{self, Event};
use super::pause::Pause;
use crate::engine::active::event_topic;

/// The pause after a read that failed.
const READ_AGAIN: Duration = Duration::from_secs(2);
const PAGE_BYTES: usize = 256 * 1024;
/// The bytes of the ends that are held at a time. If more subscriptions are open, the log is read again.
const HELD_BYTES: usize = 32 << 20;

struct Events;

impl Admit for Events {
    fn judge(&self, frame: &Frame) -> Verdict {
        event_topic(frame).is_some().into()
    }

    fn by_hub_only(&self) -> bool {
        true
    }
}

/// Ends each subscription that begins in the log up to `head` and does not end there.
///
/// An end is appended until the log holds it. After an unknown outcome the log is read on, so that an
/// end that was stored is not stored again.
pub(super) async fn end_what_a_crash_left(transport: &dyn Transport, head: Position) {
    end_by_parts(transport, head, HELD_BYTES).await;
}

/// Does that with at most `held_bytes` bytes of ends in memory, or one end: it collects the ends of the
/// subscriptions that began first, appends them, and goes on with those that began later.
async fn end_by_parts(transport: &dyn Transport, head: Position, held_bytes: usize) {
    // Events are kept below the floor of the updates, too.
    let mut from = Position::ORIGIN;
    let mut count = 0;
    let mut pause = Pause::default();
    while from < head {
        let mut open = Open::new(held_bytes);
        let mut read = from;
        open.read(transport, &mut read, head, true).await;
        // A beginning that is there twice may have been ended with an earlier part.
        let committed = transport.bounds().head;
        open.read(transport, &mut read, committed, false).await;
        from = open.left_out_after.unwrap_or(head);
        count += open.ends.len();
        open.end(transport, read, &mut pause).await;
    }
    if count > 0 {
        tracing::info!(
            name: "presence_recovered",
            subscriptions = count,
            "ended the subscriptions that an earlier run of the hub left open"
        );
    }
}

/// The subscriptions that are open in the log, or the first of them.
struct Open {
    /// By topic, the update that ends it.
    ends: BTreeMap<String, Update>,
    /// The bytes that these take.
    bytes: usize,
    most_bytes: usize,
    /// The position before that of the first beginning that is left out.
    left_out_after: Option<Position>,
}

impl Open {
    fn new(most_bytes: usize) -> Self {
        Self {
            ends: BTreeMap::new(),
            bytes: 0,
            most_bytes,
            left_out_after: None,
        }
    }

    /// Appends the ends until the log, which was read up to `from`, holds all of them.
    async fn end(mut self, transport: &dyn Transport, mut from: Position, pause: &mut Pause) {
        while !self.ends.is_empty() {
            let some = self.ends.iter().take(ends::at_once(self.ends.values()));
            let (topics, ends): (Vec<_>, Vec<_>) = some
                .map(|(topic, end)| (topic.clone(), end.clone()))
                .unzip();
            let outcome = transport.append_all(ends).await;
            pause.note(&outcome, "the ends of an earlier run's subscriptions");
            if outcome.is_ok() {
                topics.iter().for_each(|topic| self.remove(topic));
                continue;
            }
            pause.elapse().await;
            _ = pause.is_over();
            let committed = transport.bounds().head;
            self.read(transport, &mut from, committed, false).await;
        }
    }

    /// Follows the log from a position up to another one, and moves the former there. `beginnings`:
    /// whether subscriptions that begin there are of an earlier run. While the log cannot be read, it
    /// tries again: until it can, or until retention has deleted what is damaged.
    async fn read(
        &mut self,
        transport: &dyn Transport,
        from: &mut Position,
        up_to: Position,
        beginnings: bool,
    ) {
        let mut is_told = false;
        while *from < up_to {
            let page = transport
                .read(*from, up_to, PAGE_BYTES, Arc::new(Events))
                .await;
            let page = match page {
                Ok(page) => page,
                Err(ReadError::Passed(_)) if transport.bounds().floor > *from => {
                    // Retention was faster. What it deleted does not list a subscription any more.
                    *from = transport.bounds().floor;
                    continue;
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::warn!(
                            name: "presence_unreadable",
                            %error,
                            "the history cannot be read, so the subscriptions of an earlier run stay open; the hub tries again until it can"
                        );
                    }
                    sleep(READ_AGAIN).await;
                    continue;
                }
            };
            for frame in &page.frames {
                self.note(frame, beginnings);
            }
            if page.looked_up_to <= *from {
                return;
            }
            *from = page.looked_up_to;
        }
    }

    /// Keeps the update that ends what the frame begins.
    fn note(&mut self, frame: &Frame, beginnings: bool) {
        let Some(topic) = event_topic(frame) else {
            return;
        };
        let Some((update, _)) = event::decode_update(&frame.bytes) else {
            return;
        };
        let end = match ends::read(topic, update) {
            Some(Event::Beginning(end)) => end,
            Some(Event::End) => {
                self.remove(topic);
                return;
            }
            None => return,
        };
        if !beginnings || self.left_out_after.is_some() {
            return;
        }
        if self.bytes >= self.most_bytes && !self.ends.is_empty() {
            self.left_out_after = Some(Position(frame.position.0.saturating_sub(1)));
            return;
        }
        // A beginning whose outcome was unknown may be there twice.
        self.remove(topic);
        self.bytes += ends::size(&end);
        self.ends.insert(topic.to_owned(), end);
    }

    fn remove(&mut self, topic: &str) {
        if let Some(end) = self.ends.remove(topic) {
            self.bytes -= ends::size(&end);
        }
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use talaria_protocol::{MatcherType, Subscription};
    use talaria_transport::{Memory, MemoryOptions, Ring, Route};

    use super::*;
    use crate::engine::active::Document;

    /// A router that makes updates visible and has no readers.
    struct Quiet(Arc<Ring>);

    impl Route for Quiet {
        fn route(&self, group: &[Arc<Frame>], acknowledge: &mut dyn FnMut()) {
            self.0.extend(group);
            acknowledge();
        }
    }

    async fn append(log: &Memory, updates: impl IntoIterator<Item = Update>) {
        for update in updates {
            log.append(update).await.expect("it is stored");
        }
    }

    /// The events that the log holds of each subscription: `true` is a beginning.
    async fn said(log: &Memory) -> BTreeMap<String, Vec<bool>> {
        let mut said: BTreeMap<String, Vec<bool>> = BTreeMap::new();
        let mut from = Position::ORIGIN;
        while from < log.bounds().head {
            let page = log.read(from, log.bounds().head, PAGE_BYTES, Arc::new(Events));
            let page = page.await.expect("everything is kept");
            for frame in page.frames {
                let (update, _) = event::decode_update(&frame.bytes).expect("an event");
                let of_one = said.entry(frame.topics[0].to_string()).or_default();
                of_one.push(update.data.contains("\"active\": true"));
            }
            from = page.looked_up_to;
        }
        said
    }

    /// Each open subscription is ended once, however little is held at a time: not those that ended
    /// meanwhile, nor those of this process, nor twice those whose beginning is there twice.
    #[tokio::test]
    async fn what_is_held_is_bounded_and_each_is_ended_once() {
        for held_bytes in [0, 1_000, 5_000, usize::MAX] {
            let log = Memory::open(MemoryOptions::default()).expect("threads and randomness");
            log.start(Arc::new(Quiet(Arc::clone(log.ring()))));
            let documents: Vec<_> = (0..50)
                .map(|number| {
                    let subscription = Subscription {
                        matcher_type: MatcherType::Exact,
                        text: format!("{number}"),
                    };
                    Document::new(subscription, "urn:uuid:1".into(), None, false)
                })
                .collect();
            let (old, new) = documents.split_at(40);
            append(&log, old.iter().map(|one| one.update(true))).await;
            let ended = old.iter().step_by(7);
            append(&log, ended.clone().map(|one| one.update(false))).await;
            append(
                &log,
                old.iter().skip(1).step_by(7).map(|one| one.update(true)),
            )
            .await;
            let head = log.bounds().head;
            append(&log, new.iter().map(|one| one.update(true))).await;
            end_by_parts(&log, head, held_bytes).await;
            for (topic, said) in said(&log).await {
                let is_new = new.iter().any(|one| one.topic == topic);
                let ends = said.iter().filter(|active| !**active).count();
                assert_eq!(ends, usize::from(!is_new), "{topic}: {said:?}");
            }
        }
    }
}

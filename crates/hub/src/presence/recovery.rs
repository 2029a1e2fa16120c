//! What a process that died could not say: that its subscriptions have ended (design §7).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use talaria_protocol::{Update, event};
use talaria_transport::{Admit, Frame, Position, ReadError, Transport, Verdict};
use tokio::time::sleep;

use super::pause::Pause;
use super::table::event_topic;

/// The pause after a read that failed.
const READ_AGAIN: Duration = Duration::from_secs(2);
const PAGE_BYTES: usize = 256 * 1024;
/// How many ends are appended with one commit.
const ENDS_AT_ONCE: usize = 256;

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
    let mut open = Open::default();
    let mut from = transport.bounds().floor;
    open.read(transport, &mut from, head, true).await;
    let count = open.0.len();
    let mut pause = Pause::default();
    while !open.0.is_empty() {
        let some = open.0.iter().take(ENDS_AT_ONCE);
        let (topics, ends): (Vec<_>, Vec<_>) = some
            .map(|(topic, end)| (topic.clone(), end.clone()))
            .unzip();
        let outcome = transport.append_all(ends).await;
        pause.note(&outcome, "the ends of an earlier run's subscriptions");
        if outcome.is_ok() {
            topics.iter().for_each(|topic| _ = open.0.remove(topic));
            continue;
        }
        pause.elapse().await;
        _ = pause.is_over();
        let committed = transport.bounds().head;
        open.read(transport, &mut from, committed, false).await;
    }
    if count > 0 {
        tracing::info!(
            subscriptions = count,
            "ended the subscriptions that an earlier run of the hub left open"
        );
    }
}

/// The subscriptions that are open in the log, by topic, with the update that ends each.
#[derive(Default)]
struct Open(BTreeMap<String, Update>);

impl Open {
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
                    // Retention was faster; what it deleted is nobody's presence any more.
                    *from = transport.bounds().floor;
                    continue;
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::warn!(
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
        let Ok(Value::Object(mut document)) = serde_json::from_str(&update.data) else {
            return;
        };
        if document.get("active") != Some(&Value::Bool(true)) {
            self.0.remove(topic);
            return;
        }
        if !beginnings {
            return;
        }
        document.insert("active".to_owned(), Value::Bool(false));
        let end = Update {
            topics: vec![topic.to_owned()],
            data: format!("{:#}", Value::Object(document)),
            event_type: update.event_type,
            private: true,
            by_hub: true,
            ..Update::default()
        };
        self.0.insert(topic.to_owned(), end);
    }
}

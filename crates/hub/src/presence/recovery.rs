//! What a process that died could not say: that its subscriptions have ended (design §7).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use talaria_protocol::{Update, event};
use talaria_transport::{Admit, AppendError, Frame, Position, ReadError, Transport};

use super::NAMESPACE;
use super::reconciler::AGAIN;

const PAGE_BYTES: usize = 256 * 1024;

struct Events;

impl Admit for Events {
    fn admits(&self, frame: &Frame) -> bool {
        let topic = frame.topics.first();
        frame.private && topic.is_some_and(|topic| topic.starts_with(NAMESPACE))
    }
}

/// Ends each subscription that begins in the log up to `head` and does not end there.
pub(super) async fn end_what_a_crash_left(transport: &dyn Transport, head: Position) {
    let mut open = BTreeMap::new();
    let mut is_told = false;
    let mut from = transport.bounds().floor;
    while from < head {
        let page = transport
            .read(from, head, PAGE_BYTES, Arc::new(Events))
            .await;
        let page = match page {
            Ok(page) => page,
            Err(ReadError::Passed(_)) if transport.bounds().floor > from => {
                // Retention was faster; what it deleted is nobody's presence any more.
                from = transport.bounds().floor;
                continue;
            }
            Err(error @ ReadError::Unavailable(_)) => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!(
                        %error,
                        "the subscriptions that an earlier run left open are not known yet; the history is read again each second"
                    );
                }
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            Err(error) => {
                tracing::warn!(
                    %error,
                    "subscriptions of an earlier run stay open until the next start: the history could not be read to its end"
                );
                return;
            }
        };
        for frame in &page.frames {
            note(frame, &mut open);
        }
        if page.looked_up_to <= from {
            return;
        }
        from = page.looked_up_to;
    }
    let count = open.len();
    is_told = false;
    for update in open.into_values() {
        while let Err(AppendError::Refused(reason)) = transport.append(update.clone()).await {
            if !std::mem::replace(&mut is_told, true) {
                tracing::warn!(
                    reason,
                    "the end of a subscription of an earlier run could not be stored; it is tried again each second"
                );
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
    if count > 0 {
        tracing::info!(
            subscriptions = count,
            "ended the subscriptions that an earlier run of the hub left open"
        );
    }
}

/// Keeps the update that ends what the frame begins.
fn note(frame: &Frame, open: &mut BTreeMap<String, Update>) {
    let Some(topic) = frame.topics.first() else {
        return;
    };
    let Some((update, _)) = event::decode_update(&frame.bytes) else {
        return;
    };
    let Ok(Value::Object(mut document)) = serde_json::from_str(&update.data) else {
        return;
    };
    if document.get("active") != Some(&Value::Bool(true)) {
        open.remove(&**topic);
        return;
    }
    document.insert("active".to_owned(), Value::Bool(false));
    let update = Update {
        topics: vec![topic.to_string()],
        data: format!("{:#}", Value::Object(document)),
        event_type: update.event_type,
        private: true,
        ..Update::default()
    };
    open.insert(topic.to_string(), update);
}

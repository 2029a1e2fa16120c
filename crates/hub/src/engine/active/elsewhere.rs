//! Subscriptions of this process that other processes have ended.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::document::Document;
use super::members::Serial;

/// The open subscriptions of this process that others have ended, until they are announced again. Each is there
/// at most once for each time that it was announced.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere {
    ended: Mutex<Vec<(Serial, Arc<Document>)>>,
    bell: Notify,
}

impl Elsewhere {
    /// Adds a subscription.
    pub(super) fn add(&self, serial: Serial, document: Arc<Document>) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.push((serial, document));
        drop(ended);
        self.bell.notify_one();
    }

    /// Waits until others have ended subscriptions, and takes these.
    pub(crate) async fn ended(&self) -> Vec<(Serial, Arc<Document>)> {
        loop {
            self.bell.notified().await;
            let ended = self.take();
            if !ended.is_empty() {
                return ended;
            }
        }
    }

    /// Takes the subscriptions that others have ended.
    pub(crate) fn take(&self) -> Vec<(Serial, Arc<Document>)> {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut ended)
    }
}

//! An open stream, driven by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::Instant;

use axum::body::Body;
use http::Response;
use talaria_hub::{Cursor, End, Handover, Step};

/// Counts how often it rang.
#[derive(Debug, Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// An open stream.
#[derive(Debug)]
pub(crate) struct Stream {
    cursor: Cursor,
    bell: Arc<Bell>,
    /// What it sent.
    pub(crate) sent: String,
}

impl Stream {
    pub(crate) fn of(mut response: Response<Body>) -> Self {
        assert_eq!(response.status(), 200);
        let handover: Handover = response.extensions_mut().remove().expect("a handover");
        Self {
            cursor: handover.take().expect("a cursor"),
            bell: Arc::default(),
            sent: String::new(),
        }
    }

    /// How often its bell rang since the last call.
    pub(crate) fn rang(&self) -> usize {
        self.bell.0.swap(0, Ordering::Relaxed)
    }

    /// Drives it until it waits or ends.
    pub(crate) fn drive(&mut self, now: Instant) -> Option<End> {
        let waker = Waker::from(Arc::clone(&self.bell));
        loop {
            match self.cursor.next(now, &waker) {
                Step::Send(bytes) => self.sent.push_str(&String::from_utf8_lossy(&bytes)),
                Step::Wait => return None,
                Step::End(end) => return Some(end),
                Step::NeedPage { .. } => panic!("everything is in memory"),
            }
        }
    }
}

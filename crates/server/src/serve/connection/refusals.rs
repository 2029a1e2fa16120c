//! Counts connections that are refused.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::serve::admission::Refused;
use crate::serve::counts::REFUSED_CONNECTIONS;
use crate::serve::lock::lock;

/// Between two lines of the log about one limit.
const PAUSE: Duration = Duration::from_secs(10);

/// Counts connections for which there was no room. They are logged once in a while, because they may be many.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<&'static str, Counted>>);

/// Those of one limit.
#[derive(Default)]
struct Counted {
    count: u64,
    logged: Option<Instant>,
}

/// Why there was no room for a connection at first, and where that counts if none comes.
pub(crate) struct Refusal {
    /// Why.
    pub refused: Refused,
    /// Where it counts.
    pub refusals: Arc<Refusals>,
}

impl Refusal {
    /// Counts the connection, because it is not served.
    pub(crate) fn count(&self, peer: SocketAddr) {
        self.refusals.count(peer, self.refused);
    }
}

impl Refusals {
    fn count(&self, peer: SocketAddr, refused: Refused) {
        let limit = refused.limit();
        REFUSED_CONNECTIONS.count(limit);
        let Some(count) = self.to_log(limit) else {
            return;
        };
        tracing::warn!(
            name: "connections_refused",
            reason = "limit_exceeded",
            limit,
            count,
            %peer,
            "connections were refused: {refused}"
        );
    }

    /// How many have come since the last line, if it is time for another.
    fn to_log(&self, limit: &'static str) -> Option<u64> {
        let mut limits = lock(&self.0);
        let counted = limits.entry(limit).or_default();
        counted.count += 1;
        let now = Instant::now();
        let is_time = counted.logged.is_none_or(|logged| now >= logged + PAUSE);
        is_time.then(|| {
            counted.logged = Some(now);
            std::mem::take(&mut counted.count)
        })
    }
}

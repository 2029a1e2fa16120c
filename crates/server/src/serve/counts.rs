//! What the program counts of connections and of requests that reach no hub.

use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use talaria_hub::clock::UnixTime;
use talaria_hub::statistics::RecentRefusals;

use crate::serve::clock::unix_now;

/// Counters by fixed names, for what happens seldom enough to share one line of the cache.
pub(crate) struct Named<const N: usize> {
    names: [&'static str; N],
    counts: [AtomicU64; N],
}

impl<const N: usize> Named<N> {
    const fn new(names: [&'static str; N]) -> Self {
        Self {
            names,
            counts: [const { AtomicU64::new(0) }; N],
        }
    }

    /// Counts one of a name; another name is not counted.
    pub(crate) fn count(&self, name: &str) {
        let place = self.names.iter().position(|known| *known == name);
        debug_assert!(place.is_some(), "{name} has no series");
        if let Some(count) = place.and_then(|place| self.counts.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The count of a name.
    pub(crate) fn of(&self, name: &str) -> u64 {
        let mut each = self.each();
        each.find_map(|(known, count)| (known == name).then_some(count))
            .unwrap_or(0)
    }

    /// The names and their counts.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        self.names.iter().copied().zip(counts)
    }
}

/// Connections that were served, by version of HTTP.
pub(crate) static CONNECTIONS: Named<3> = Named::new(["HTTP/1.1", "HTTP/2", "HTTP/3"]);

/// Connections that were not served, by reason.
pub(crate) static REFUSED_CONNECTIONS: Named<7> = Named::new([
    "max_connections",
    "max_connections_per_address",
    "max_connection_rate",
    "max_connection_rate_per_address",
    "max_handshakes",
    "handshake_failed",
    "handshake_timeout",
]);

/// Requests that were refused before they reached a site, by reason.
pub(crate) static REFUSED_REQUESTS: Named<29> = Named::new([
    "tls_on_plain_port",
    "plain_on_tls_port",
    "proxy_protocol",
    "not_a_method",
    "connect",
    "http_version",
    "target",
    "fragment",
    "target_too_long",
    "header_field",
    "body_length",
    "transfer_coding",
    "head_too_large",
    "head_timeout",
    "max_header_memory",
    "max_connections",
    "max_connections_per_address",
    "max_connection_rate",
    "max_connection_rate_per_address",
    "malformed_for_http2",
    "malformed_for_http3",
    "host_contradicting",
    "host_malformed",
    "host_missing",
    "host_repeated",
    "host_unreadable",
    "host_user_information",
    "misdirected",
    "admin_guard",
]);

/// The last of these requests.
pub(crate) static RECENT_REFUSALS: RecentRefusals = RecentRefusals::new();

/// Counts a request that was refused before it reached a site. The sentence, which the operator reads, repeats no path.
pub(crate) fn refuse_request(
    reason: &'static str,
    status: StatusCode,
    sentence: impl FnOnce() -> String,
) {
    REFUSED_REQUESTS.count(reason);
    let at = UnixTime::from_seconds(unix_now());
    RECENT_REFUSALS.note(at, status.as_u16(), reason, sentence);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_apart() {
        static COUNTS: Named<2> = Named::new(["a", "b"]);
        COUNTS.count("b");
        COUNTS.count("b");
        assert_eq!(COUNTS.each().collect::<Vec<_>>(), [("a", 0), ("b", 2)]);
        assert_eq!((COUNTS.of("b"), COUNTS.of("c")), (2, 0));
    }
}

//! Counts the requests of the admin listener, as the existing server does (B-726).

use std::collections::BTreeMap;
use std::sync::Mutex;

use http::{Method, StatusCode};

use super::web::{Outcome, method, status_of};
use crate::serve::lock::lock;

/// The requests of the admin listener.
#[derive(Debug, Default)]
pub(crate) struct AdminCounts(Mutex<BTreeMap<AdminRequest, u64>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AdminRequest {
    pub path: &'static str,
    pub outcome: Outcome,
}

impl AdminCounts {
    /// Counts a request for a path.
    pub(crate) fn count(&self, path: &str, asked: &Method, status: StatusCode) {
        let request = AdminRequest {
            path: endpoint(path),
            outcome: Outcome {
                status: status_of(status),
                method: method(asked),
            },
        };
        *lock(&self.0).entry(request).or_default() += 1;
    }

    pub(super) fn each(&self) -> BTreeMap<AdminRequest, u64> {
        lock(&self.0).clone()
    }
}

/// The endpoint that a path is of.
fn endpoint(path: &str) -> &'static str {
    const ENDPOINTS: [&str; 9] = [
        "/metrics",
        "/operations/",
        "/load",
        "/adapt",
        "/stop",
        "/config/",
        "/pki/",
        "/mercure/health/",
        "/mercure/revoke",
    ];
    let is_of = |endpoint: &&&str| match endpoint.strip_suffix('/') {
        Some(whole) => path == whole || path.starts_with(**endpoint),
        None => path == **endpoint,
    };
    ENDPOINTS.iter().find(is_of).copied().unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_endpoints() {
        for (path, label) in [
            ("/metrics", "/metrics"),
            ("/metrics/x", "other"),
            ("/config", "/config/"),
            ("/config/a/b", "/config/"),
            ("/configuration", "other"),
            ("/mercure/health/x/ready", "/mercure/health/"),
            ("/mercure/revoke", "/mercure/revoke"),
        ] {
            assert_eq!(endpoint(path), label, "{path}");
        }
    }
}

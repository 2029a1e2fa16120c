//! Tells the operator of handshakes that fail because there is no certificate for their name.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use talaria_protocol::error::Shown;
use tokio::time::Instant;

/// How long a name is not mentioned again.
const PAUSE: Duration = Duration::from_secs(600);
/// How many names are remembered; a further one is mentioned only once the oldest of these may be again.
const MOST: usize = 32;
/// How many served names a line repeats.
const LISTED: usize = 8;

/// The names that were mentioned lately. Anyone can connect with any name, so their number is bounded.
#[derive(Default)]
pub(super) struct Refusals(Mutex<VecDeque<(String, Instant)>>);

impl Refusals {
    /// A name that no site serves.
    pub(super) fn not_served(&self, name: &str, served: &[String]) {
        if !self.is_new(name) {
            return;
        }
        let remedy = match served.len() {
            0..=LISTED => format!(
                "for example SERVER_NAME=\"{}\"",
                [served, &[short(name)]].concat().join(", ")
            ),
            more => format!("which has {more} names already"),
        };
        tracing::warn!(
            name: "tls_name_not_served",
            reason = "name_not_served",
            name = %Shown(name),
            "TLS handshake for a name that is not served, whose client is shown another certificate; if clients should use it, add it to the site address, {remedy}"
        );
    }

    /// A name whose certificate is not there yet.
    pub(super) fn missing(&self, name: Option<&str>, why: &str) {
        let name = name.unwrap_or_default();
        if self.is_new(name) {
            tracing::warn!(
                name: "tls_no_certificate",
                reason = "no_certificate",
                name = %Shown(name),
                "TLS handshake refused, because there is no certificate yet: {why}"
            );
        }
    }

    /// Whether a name was not mentioned lately; it counts as mentioned now.
    fn is_new(&self, name: &str) -> bool {
        let now = Instant::now();
        let mut mentioned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while mentioned.front().is_some_and(|(_, at)| now >= *at + PAUSE) {
            mentioned.pop_front();
        }
        if mentioned.len() >= MOST || mentioned.iter().any(|(known, _)| known == name) {
            return false;
        }
        mentioned.push_back((name.to_owned(), now));
        true
    }
}

/// The beginning of a name, which a message can hold.
fn short(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name is mentioned once, and many names do not fill the log.
    #[tokio::test(start_paused = true)]
    async fn names_are_mentioned_once_in_a_while() {
        let refusals = Refusals::default();
        assert!(refusals.is_new("a"));
        assert!(!refusals.is_new("a"));
        let mentioned = (0..100).filter(|n| refusals.is_new(&n.to_string())).count();
        assert_eq!(mentioned, MOST - 1);
        tokio::time::advance(PAUSE).await;
        assert!(refusals.is_new("a"));
    }
}

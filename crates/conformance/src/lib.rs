//! Black-box tests of a Mercure hub: a strict client, and a hub program to point it at.
//!
//! No test here sees the inside of a hub. The event decoder, the token minting and the forms belong
//! to this crate on purpose: a mistake that hub and client shared would go unnoticed.
//!
//! Every wait is for an event and has a bound ([`PATIENCE`]); nothing sleeps for a fixed time.
//! A step that fails panics with what it waited for, since the caller is always a test.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a failed step must stop the test, and a black-box test has only the real clock"
)]

mod answer;
pub mod behind;
pub mod client;
pub mod event;
pub mod frames;
mod home;
pub mod hub;
pub mod kernel;
pub mod log;
pub mod raw;
pub mod servers;
pub mod stream;
pub mod token;

use std::future::Future;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// The path of the hub, fixed by the specification's discovery section.
pub const HUB_PATH: &str = "/.well-known/mercure";

/// How long a wait for one event may last before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for `what` at most [`PATIENCE`], and panics with its name after that.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    within_time(PATIENCE, what, future).await
}

/// Waits for `what` at most `limit`, and panics with its name after that.
pub async fn within_time<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(limit, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {limit:?} in vain for: {what}"),
    }
}

/// Returns a port that was free a moment ago. It is outside of the range from which connections are
/// made, because a load test nearby has thousands of those in use.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 10_000 + u16::try_from(std::process::id() % 200).unwrap_or(0) * 100;
    let ports = || first + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
    let is_free = |port: &u16| TcpListener::bind(("::", *port)).is_ok();
    std::iter::repeat_with(ports)
        .take(2_000)
        .find(is_free)
        .expect("there is a free port")
}

/// Whether the tests run with the full counts of an acceptance (`./test --full` sets
/// `TALARIA_FULL`).
#[must_use]
pub fn full() -> bool {
    std::env::var_os("TALARIA_FULL").is_some_and(|value| value != "0")
}

/// Returns `all` under `./test --full`, else the smaller `few`.
#[must_use]
pub fn count<T>(all: T, few: T) -> T {
    if full() { all } else { few }
}

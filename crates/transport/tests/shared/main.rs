//! Logs that several nodes share: the simulated server, and the engine on it.
#![expect(
    clippy::field_reassign_with_default,
    reason = "one field after the other says what differs"
)]
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod cluster;
mod import;
mod random;
mod semantics;
mod signal;

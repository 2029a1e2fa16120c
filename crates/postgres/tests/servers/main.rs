//! The backend against real servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed step must stop the test"
)]

mod basics;
mod conditions;
mod members;
mod retention;
mod runs;
mod server;
mod support;

//! The backend against real servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed step must stop the test"
)]

mod basics;
mod conditions;
mod discovery;
mod members;
mod outages;
mod replicas;
mod retention;
mod runs;
mod support;
mod survey;
mod tls;

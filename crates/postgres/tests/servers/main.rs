//! The backend against real servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a failed step must stop the test, at a deadline of the real clock"
)]

mod basics;
mod conditions;
mod hostile;
mod members;
mod outages;
mod outbox;
mod retention;
mod runs;
mod schema;
#[path = "../common/session.rs"]
mod session;
mod site;
mod standbys;
mod support;
mod survey;
mod tls;

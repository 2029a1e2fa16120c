//! The reader of other hubs' databases, and what a history imports from them.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod damage;
mod folder;
mod import;
mod log;
mod reader;
mod writer;

//! Several nodes on one log: each update once and in one order at every node, whatever happens to nodes and servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a failed step must stop the test, and a black-box test has only the real clock"
)]

mod database;
mod delivery;
mod failover;
mod groups;
mod kills;
mod nodes;
mod outages;
mod pair;
mod partition;
mod presence;
mod publishers;
mod readers;
mod rolling;
mod servers;
mod sql;
mod storm;
mod verdict;

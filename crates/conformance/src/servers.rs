//! Servers beside a hub, as children of a test: Redis and Valkey, alone, replicated, with sentinels, as a cluster;
//! PostgreSQL, alone, with a standby, behind PgBouncer; and a proxy that breaks connections.
//!
//! Each has its own folder and a free port. The helper asks it until it answers, and kills it with the test. If the
//! test fails, the end of its log is shown.

mod account;
mod cluster;
mod disk;
mod family;
mod pgbouncer;
mod postgres;
mod process;
mod program;
mod programs;
mod proxy;
mod redis;
mod resp;
mod sentinel;

pub use cluster::Cluster;
pub use pgbouncer::PgBouncer;
pub use postgres::Postgres;
pub use program::{Postgresql, Program};
pub use programs::WITH_PASSWORD;
pub use proxy::{Proxy, Way};
pub use redis::Redis;
pub use resp::{Reply, ask};
pub use sentinel::Sentinels;

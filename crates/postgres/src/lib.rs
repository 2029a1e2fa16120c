//! The log that several hubs share, kept in PostgreSQL (15 or newer).
//!
//! [`Postgres`] is a [`Backend`](talaria_transport::shared::Backend). All of a log lies in one schema
//! (`sql/tables.sql`, `sql/functions.sql`; [`schema_sql`] prints both, and what a role needs that owns nothing):
//!
//! | Table | Holds |
//! |---|---|
//! | `state` | one row: format, tag and key of the log; `server`, the process that began the newest run; `revision`, which functions are there; `floor`, the position up to which retention has deleted. Who changes the log locks it first |
//! | `log` | the updates and subscription events by `position` (run in the upper 32 bits, number in the lower). `updates` and `events` count both from the beginning, so that retention need not. `node`, `batch`, `entry` say who appended it; for one that was published by SQL `node` is zero and `batch` its `k`. `run_before`: where the run before ended, in the first row of a run. `data` is null if the content has a zero character; then `bytes` has it. `is_indexed`: all topics are short enough for the index `log_topics`, which is used by queries that say `is_indexed AND topics @> …` |
//! | `members` | the nodes: a counter of beats, and since when one is `buried` |
//! | `batches` | what became of the last batches of each member (`talaria_transport::shared::outcomes`; `N` for a number that is used up without a batch) |
//! | `subscriptions` | the active subscriptions: position, topic and document of the event that began each |
//! | `once` | positions of updates that must not be repeated, until when |
//! | `outbox` | what applications have published by the function `publish`, in the order of `k`, until it is moved |
//! | `rejected` | what the hub's rules refused of that, with the reason: the newest 10,000, for 7 days, long texts shortened |
//!
//! Each call is one function and so one transaction, in statements without a name, and no session has a state: a pooler
//! may give each transaction another connection. Where it does, nothing rings, and the tail looks more often.
//!
//! The end of the log is its greatest position, and what became of a batch is a new row: nothing is updated with each
//! batch, because old versions of a row stay, and are walked past, while any transaction in the server is open.
//!
//! The tail does not read what this node appended itself, if nothing of others lies before it: the answer to the append
//! says that it is committed, and where.
//!
//! What waits for a standby is a commit that holds the row of `state`, so at most one connection waits, and others give
//! up after two seconds (`lock_timeout`). No commit is ever cancelled; closing a connection does not.
//!
//! There are five connections: for writes, for reads, for finding ids, for the tail, and for the outbox and retention.
//! After a failure the next call finds the primary anew, in the order of [`PostgresOptions::servers`].
#![forbid(unsafe_code)]
#![warn(missing_debug_implementations, unreachable_pub)]

mod backend;
mod chores;
mod connection;
mod entries;
mod fault;
mod link;
mod members;
mod names;
mod options;
mod outbox;
mod own;
mod pages;
mod primary;
mod record;
mod row;
mod schema;
mod store;
mod stream;
mod survey;
mod tail;
mod tls;
mod verify;
mod writes;

pub use backend::Postgres;
pub use names::quoted;
pub use options::{Encryption, Host, Mode, PostgresOptions, ReadEncryption, Rules, Server};
pub use schema::schema_sql;
pub use survey::Survey;

//! What the start finds out about the server, and refuses.

/// What the server is, and how it keeps data.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Survey {
    /// The version of the server, as it says it.
    pub version: String,
    /// The address of the primary.
    pub primary: String,
    /// Whether the server waits for its disk (`fsync`). If not, a power loss may damage the whole database.
    pub fsync: bool,
    /// Whether the server survives pages that were written in part (`full_page_writes`).
    pub full_page_writes: bool,
    /// What a commit waits for (`synchronous_commit`), as it is for our role.
    pub synchronous_commit: String,
    /// The standbys that a commit waits for; empty if it waits for none.
    pub synchronous_standby_names: String,
    /// How many standbys are connected.
    pub standbys: u64,
    /// The bytes that the log takes; `None` if there is no log yet.
    pub bytes: Option<u64>,
    /// Whether a pooler (PgBouncer) is between us and the server, so that it cannot wake us.
    pub is_pooled: bool,
}

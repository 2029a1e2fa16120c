//! Where the server is, and how the log is kept in it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where a log is kept in Redis or Valkey, and how.
#[derive(Clone)]
#[non_exhaustive]
pub struct RedisOptions {
    /// How to find the primary.
    pub place: Place,
    /// The user to authenticate as; the server's default user if there is none.
    pub username: Option<String>,
    /// The password of that user.
    pub password: Option<String>,
    /// The user of the sentinels.
    pub sentinel_username: Option<String>,
    /// The password of the sentinels' user.
    pub sentinel_password: Option<String>,
    /// The number of the database.
    pub database: u32,
    /// Encrypts all connections.
    pub tls: Option<RedisTls>,
    /// Reads `tls` again before each connection, so that certificates may be renewed.
    pub tls_again: Option<ReadTls>,
    /// The name of the log, which begins the name of each key.
    pub stream: String,
    /// How many updates are kept; 0 keeps all.
    pub max_length: u64,
    /// How long an update is kept.
    pub max_age: Option<Duration>,
    /// How many replicas must have an update before it is shown or acknowledged.
    pub replicas: u32,
}

impl RedisOptions {
    /// A log with this name at this place; no password, all updates kept, no replica waited for.
    #[must_use]
    pub fn new(place: Place, stream: impl Into<String>) -> Self {
        Self {
            place,
            username: None,
            password: None,
            sentinel_username: None,
            sentinel_password: None,
            database: 0,
            tls: None,
            tls_again: None,
            stream: stream.into(),
            max_length: 0,
            max_age: None,
            replicas: 0,
        }
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |secret: &Option<String>| secret.as_ref().map(|_| "(hidden)");
        f.debug_struct("RedisOptions")
            .field("place", &self.place)
            .field("username", &self.username)
            .field("password", &hidden(&self.password))
            .field("sentinel_username", &self.sentinel_username)
            .field("sentinel_password", &hidden(&self.sentinel_password))
            .field("database", &self.database)
            .field("tls", &self.tls)
            .field("stream", &self.stream)
            .field("max_length", &self.max_length)
            .field("max_age", &self.max_age)
            .field("replicas", &self.replicas)
            .finish()
    }
}

/// How to find the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The primary listens on this host and port.
    Address {
        /// A name or an IP address; an IPv6 address may have brackets.
        host: String,
        /// The TCP port.
        port: u16,
    },
    /// The primary listens on this Unix socket.
    Unix(PathBuf),
    /// The sentinels know the primary.
    Sentinel {
        /// The name of the primary in the configuration of the sentinels.
        name: String,
        /// Hosts and ports of the sentinels.
        sentinels: Vec<(String, u16)>,
    },
    /// Hosts and ports of some nodes of a cluster; the primary is the owner of the log's slot.
    Cluster(Vec<(String, u16)>),
}

/// Reads how connections are encrypted, or says why it cannot. It may block.
pub type ReadTls = Arc<dyn Fn() -> Result<RedisTls, String> + Send + Sync>;

/// How connections are encrypted.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct RedisTls {
    /// The certificates of the authorities to trust, as PEM; those of the system if there are none.
    pub ca: Option<Vec<u8>>,
    /// Our own certificate with its chain, and its key, as PEM.
    pub certificate: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for RedisTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTls")
            .field("ca", &self.ca.is_some())
            .field("certificate", &self.certificate.is_some())
            .finish()
    }
}

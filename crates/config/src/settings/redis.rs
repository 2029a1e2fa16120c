//! How a log on Redis or Valkey is reached, and what it keeps.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::time::Duration;

use super::issuers::Secret;

/// The log on Redis or Valkey (B-260).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisSettings {
    /// Where the server is.
    pub place: RedisPlace,
    /// What the hub signs in with.
    pub credentials: RedisCredentials,
    /// What it signs in with at each Sentinel.
    pub sentinel_credentials: RedisCredentials,
    /// The number of the database.
    pub database: u32,
    /// How connections are encrypted; `None` for not at all.
    pub tls: Option<RedisTlsSettings>,
    /// The name of the log, which begins each of its keys.
    pub stream: String,
    /// The updates that are kept, about; `None` for all.
    pub max_length: Option<u64>,
    /// How long an update is kept; `None` for ever.
    pub max_age: Option<Duration>,
    /// How many replicas must have an update before it is acknowledged and seen.
    pub replicas: u32,
    /// Memory for the newest updates.
    pub ring_bytes: usize,
    /// How long a publish may wait for the server.
    pub publish_timeout: Duration,
    /// How long a node may be silent until the others end its subscriptions.
    pub lease: Duration,
}

impl RedisSettings {
    /// The log of a server, with every option at its default.
    pub fn new(place: RedisPlace) -> Self {
        Self {
            place,
            credentials: RedisCredentials::default(),
            sentinel_credentials: RedisCredentials::default(),
            database: 0,
            tls: None,
            stream: "mercure".to_owned(),
            max_length: None,
            max_age: None,
            replicas: 0,
            ring_bytes: 32 << 20,
            publish_timeout: Duration::from_secs(10),
            lease: Duration::from_secs(15),
        }
    }

    /// Whether both are the same log, whatever their other options are.
    pub(super) fn is_log_of(&self, other: &Self) -> bool {
        self.place == other.place && self.database == other.database && self.stream == other.stream
    }
}

/// Where a server of Redis or Valkey is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisPlace {
    /// One server.
    Address(RedisAddress),
    /// One server, at a socket in the file system.
    Unix(PathBuf),
    /// The primary that Sentinels name.
    Sentinel {
        /// What the Sentinels call it.
        name: String,
        /// The Sentinels.
        sentinels: Vec<RedisAddress>,
    },
    /// A cluster, by some of its nodes.
    Cluster(Vec<RedisAddress>),
}

impl fmt::Display for RedisPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |addresses: &[RedisAddress]| {
            let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            shown.join(", ")
        };
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
            Self::Sentinel { name, sentinels } => {
                write!(f, "the primary {name} of the Sentinels {}", list(sentinels))
            }
            Self::Cluster(addresses) => write!(f, "the cluster of {}", list(addresses)),
        }
    }
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisAddress {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse::<Ipv6Addr>() {
            Ok(ip) => write!(f, "[{ip}]:{}", self.port),
            Err(_) => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// A user and a password.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RedisCredentials {
    /// The user; `None` for the one that the server calls `default`.
    pub username: Option<String>,
    /// The password; `None` where the server asks for none.
    pub password: Option<Secret>,
}

/// How connections are encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RedisTlsSettings {
    /// The file of the authorities that are trusted; `None` for those of this machine.
    pub ca: Option<PathBuf>,
    /// The files of the hub's certificate and of its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

//! How a log on PostgreSQL is reached, and what it keeps.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::issuers::Secret;

/// The log on PostgreSQL (B-261).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresSettings {
    /// The servers, in the order in which they are asked; the hub uses the one that takes writes.
    pub servers: Vec<PostgresServer>,
    /// The role that the hub signs in as.
    pub user: String,
    /// The database.
    pub database: String,
    /// How long connecting to one server may take.
    pub connect_timeout: Duration,
    /// How connections are encrypted.
    pub tls: PostgresTlsSettings,
    /// Settings of the server for the hub's sessions, as libpq's `options`.
    pub parameters: Option<String>,
    /// What the server's views and logs call the hub.
    pub application_name: String,
    /// The schema of the tables.
    pub schema: String,
    /// The updates that are kept, about; `None` for all.
    pub size: Option<u64>,
    /// How long an update is kept; `None` for ever.
    pub max_age: Option<Duration>,
    /// Whether there is an index of topics.
    pub topic_index: bool,
    /// Memory for the newest updates.
    pub ring_bytes: usize,
    /// How long a publish may wait for the server.
    pub publish_timeout: Duration,
    /// How long a node may be silent until the others end its subscriptions.
    pub lease: Duration,
}

impl PostgresSettings {
    /// The log of a server, with every option at its default.
    pub fn new(servers: Vec<PostgresServer>, user: &str, database: &str) -> Self {
        Self {
            servers,
            user: user.to_owned(),
            database: database.to_owned(),
            connect_timeout: Duration::from_secs(2),
            tls: PostgresTlsSettings::default(),
            parameters: None,
            application_name: "talaria".to_owned(),
            schema: "talaria".to_owned(),
            size: None,
            max_age: None,
            topic_index: true,
            ring_bytes: 32 << 20,
            publish_timeout: Duration::from_secs(10),
            lease: Duration::from_secs(15),
        }
    }

    /// Whether both are the same log, whatever their other options are.
    pub(super) fn is_log_of(&self, other: &Self) -> bool {
        let is_any = |server: &PostgresServer| other.servers.iter().any(|one| one.is_at(server));
        self.servers.iter().any(is_any)
            && self.database == other.database
            && self.schema == other.schema
    }

    /// The servers, as a message names them.
    pub fn place(&self) -> String {
        let shown: Vec<String> = self.servers.iter().map(ToString::to_string).collect();
        shown.join(", ")
    }
}

/// A server of PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresServer {
    /// Where it is, and what its certificate names.
    pub host: PostgresHost,
    /// The address to connect to, if the name of the host is not to be looked up.
    pub address: Option<IpAddr>,
    /// The port, which is part of the name of a socket too.
    pub port: u16,
    /// The password there.
    pub password: Option<Secret>,
}

impl PostgresServer {
    fn is_at(&self, other: &Self) -> bool {
        self.host == other.host && self.address == other.address && self.port == other.port
    }
}

impl fmt::Display for PostgresServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            PostgresHost::Folder(path) => {
                write!(f, "{}/.s.PGSQL.{}", path.display(), self.port)
            }
            PostgresHost::Name(name) => match name.parse::<Ipv6Addr>() {
                Ok(ip) => write!(f, "[{ip}]:{}", self.port),
                Err(_) => write!(f, "{name}:{}", self.port),
            },
        }
    }
}

/// Where a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostgresHost {
    /// A name or an address in a network.
    Name(String),
    /// The folder of its socket.
    Folder(PathBuf),
}

/// How connections are encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PostgresTlsSettings {
    /// What is asked of the server.
    pub mode: PostgresTlsMode,
    /// The file of the authorities that are trusted; `None` for those of this machine.
    pub ca: Option<PathBuf>,
    /// The files of the hub's certificate and of its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// What encryption is asked of a server, as libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PostgresTlsMode {
    /// None.
    Disable,
    /// Encrypted if the server can, without a look at its certificate.
    #[default]
    Prefer,
    /// Encrypted, without a look at the certificate.
    Require,
    /// Encrypted, with a certificate of a trusted authority.
    VerifyCa,
    /// The same, and the certificate names the host.
    VerifyFull,
}

//! Where the server is, and how the log is kept in it.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::{Base, Generation, Limits};
use tokio::sync::watch;

/// Where a log is kept in PostgreSQL, and how.
#[derive(Clone)]
#[non_exhaustive]
pub struct PostgresOptions {
    /// The servers, tried in this order until one is the primary.
    pub servers: Vec<Server>,
    /// The role to log in as.
    pub user: String,
    /// The password of that role, for servers without a separate one.
    pub password: Option<String>,
    /// The name of the database.
    pub database: String,
    /// How long a connection to one server may take to be made.
    pub connect_timeout: Duration,
    /// How connections are encrypted.
    pub encryption: Encryption,
    /// Reads `encryption` again before each connection, so that certificates may be renewed.
    pub encryption_again: Option<ReadEncryption>,
    /// Parameters of the session, as libpq's `options` has them.
    pub parameters: Option<String>,
    /// The name under which the server lists the connections.
    pub application_name: String,
    /// The schema that holds the log.
    pub schema: String,
    /// How many updates are kept; 0 keeps all.
    pub size: u64,
    /// How long an update is kept.
    pub max_age: Option<Duration>,
    /// Whether a new log gets an index of topics.
    pub topic_index: bool,
    /// By which rules what is published by SQL is judged. They may change while the log is open.
    pub rules: watch::Receiver<Rules>,
}

impl PostgresOptions {
    /// A log in the schema `talaria`; no password, connections encrypted if the server offers it, all updates kept.
    #[must_use]
    pub fn new(servers: Vec<Server>, user: impl Into<String>, database: impl Into<String>) -> Self {
        Self {
            servers,
            user: user.into(),
            password: None,
            database: database.into(),
            connect_timeout: Duration::from_secs(2),
            encryption: Encryption::default(),
            encryption_again: None,
            parameters: None,
            application_name: "talaria".to_owned(),
            schema: "talaria".to_owned(),
            size: 0,
            max_age: None,
            topic_index: true,
            rules: watch::channel(Rules::default()).1,
        }
    }
}

fn hidden(secret: Option<&String>) -> Option<&'static str> {
    secret.map(|_| "(hidden)")
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("servers", &self.servers)
            .field("user", &self.user)
            .field("password", &hidden(self.password.as_ref()))
            .field("database", &self.database)
            .field("connect_timeout", &self.connect_timeout)
            .field("encryption", &self.encryption)
            .field("parameters", &self.parameters)
            .field("application_name", &self.application_name)
            .field("schema", &self.schema)
            .field("size", &self.size)
            .field("max_age", &self.max_age)
            .field("topic_index", &self.topic_index)
            .finish_non_exhaustive()
    }
}

/// By which rules an update that was published by SQL is judged: those of the hub that moves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The generation whose checks apply.
    pub checks: Generation,
    /// What topics are relative to, and whose namespace is reserved.
    pub base: Base,
    /// The maximums of fields and topics.
    pub limits: Limits,
    /// The most bytes of one update.
    pub update_bytes: usize,
}

impl Default for Rules {
    /// Those of a hub without a public URL and with the default limits.
    fn default() -> Self {
        Self {
            checks: Generation::V1,
            base: Base::synthetic(),
            limits: Limits::default(),
            update_bytes: 1 << 20,
        }
    }
}

/// A server that may be the primary.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name, or the folder of its Unix socket.
    pub host: Host,
    /// The IP address to connect to instead of looking up the name (libpq's `hostaddr`).
    pub address: Option<IpAddr>,
    /// The TCP port, which the name of a Unix socket has too.
    pub port: u16,
    /// The password for this server, as a password file may have one for each.
    pub password: Option<String>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("host", &self.host)
            .field("address", &self.address)
            .field("port", &self.port)
            .field("password", &hidden(self.password.as_ref()))
            .finish()
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) if name.contains(':') => write!(f, "[{name}]:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
            Host::Folder(folder) => write!(f, "{}/.s.PGSQL.{}", folder.display(), self.port),
        }
    }
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name or an IP address, without brackets.
    Name(String),
    /// The folder of a Unix socket.
    Folder(PathBuf),
}

/// Reads how connections are encrypted, or says why it cannot. It may block.
pub type ReadEncryption = Arc<dyn Fn() -> Result<Encryption, String> + Send + Sync>;

/// How connections are encrypted.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Encryption {
    /// What is demanded of the server.
    pub mode: Mode,
    /// The certificates of the authorities to trust, as PEM; those of the system if there are none.
    pub ca: Option<Vec<u8>>,
    /// Our own certificate with its chain, and its key, as PEM.
    pub certificate: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encryption")
            .field("mode", &self.mode)
            .field("ca", &self.ca.is_some())
            .field("certificate", &self.certificate.is_some())
            .finish()
    }
}

/// What is demanded of the server, as libpq's `sslmode` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Connections are not encrypted.
    Disable,
    /// They are if the server offers it.
    #[default]
    Prefer,
    /// They are; whose certificate the server has does not matter.
    Require,
    /// They are, and an authority that is trusted has signed the server's certificate.
    VerifyCa,
    /// As `VerifyCa`, and the certificate has the server's name.
    VerifyFull,
}

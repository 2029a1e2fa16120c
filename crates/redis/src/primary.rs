//! Finds the primary, and connects to it.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::Value;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::connection::Connection;
use crate::fault::Fault;
use crate::options::{Place, RedisOptions};
use crate::stream::Stream;
use crate::tls::Tls;
use crate::{keys, reply};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(2);
/// How long a sentinel or a node of a cluster may take to say which server is the primary, and that server to greet.
const DIRECTORY: Duration = Duration::from_secs(1);
/// How long all of that may take.
const FIND: Duration = Duration::from_secs(3);

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(String, u16),
    Unix(PathBuf),
}

impl Address {
    fn tcp(host: &str, port: u16) -> Self {
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        Self::Tcp(bare.unwrap_or(host).to_owned(), port)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Which server a directory (or the configuration) says is the primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) address: Address,
    /// How many replicas the directory knows, connected or not.
    pub(crate) replicas: Option<u64>,
}

/// A connection to the primary.
pub(crate) struct Primary {
    pub(crate) connection: Connection,
    pub(crate) named: Named,
}

/// Finds the primary.
pub(crate) struct Finder {
    options: RedisOptions,
    tls: Option<Tls>,
    /// Which sentinel or node is asked first: another one after a failure, so that a wrong answer is not asked for
    /// for ever.
    turn: AtomicUsize,
}

impl Finder {
    pub(crate) fn new(options: RedisOptions, tls: Option<Tls>) -> Self {
        Self {
            options,
            tls,
            turn: AtomicUsize::new(0),
        }
    }

    /// Connects to the primary.
    ///
    /// # Errors
    /// It cannot be found or reached, or refuses.
    pub(crate) async fn find(&self) -> Result<Primary, Fault> {
        let found = match timeout(FIND, self.connect()).await {
            Ok(found) => found,
            Err(_) => Err(Fault::Broken(
                "the primary was not found in time".to_owned(),
            )),
        };
        if found.is_err() {
            self.doubt();
        }
        found
    }

    /// Has another sentinel or node asked first.
    pub(crate) fn doubt(&self) {
        self.turn.fetch_add(1, Ordering::Relaxed);
    }

    async fn connect(&self) -> Result<Primary, Fault> {
        let named = self.name().await?;
        let greeted = self.greet(&named.address);
        let connection = if self.has_directory() {
            // One that does not answer is replaced soon, so the directory is asked again soon.
            let late = Fault::Broken(format!("{} does not answer", named.address));
            timeout(DIRECTORY, greeted).await.unwrap_or(Err(late))?
        } else {
            greeted.await?
        };
        Ok(Primary { connection, named })
    }

    /// Connects to a server and makes sure that it is a primary.
    async fn greet(&self, address: &Address) -> Result<Connection, Fault> {
        let connection = self.dial(address).await?;
        self.authenticate(&connection).await?;
        let role = connection.ask(&redis::cmd("ROLE")).await?;
        let [role] = reply::first(reply::array(role)?)?;
        if reply::text(role)? != "master" {
            return Err(Fault::Server {
                code: "READONLY".to_owned(),
                text: format!("{address} is a read-only replica"),
            });
        }
        Ok(connection)
    }

    /// Asks which server is the primary.
    ///
    /// # Errors
    /// No sentinel or node knows, or answers.
    pub(crate) async fn name(&self) -> Result<Named, Fault> {
        match &self.options.place {
            Place::Address { host, port } => Ok(Named {
                address: Address::tcp(host, *port),
                replicas: None,
            }),
            Place::Unix(path) => Ok(Named {
                address: Address::Unix(path.clone()),
                replicas: None,
            }),
            Place::Sentinel { sentinels, .. } => self.ask_each(sentinels).await,
            Place::Cluster(nodes) => self.ask_each(nodes).await,
        }
    }

    /// Whether others than the configuration say which server is the primary.
    pub(crate) fn has_directory(&self) -> bool {
        matches!(
            self.options.place,
            Place::Sentinel { .. } | Place::Cluster(_)
        )
    }

    async fn ask_each(&self, directory: &[(String, u16)]) -> Result<Named, Fault> {
        let mut worst = Fault::Missing("no address of a sentinel or node is configured".to_owned());
        let first = self.turn.load(Ordering::Relaxed) % directory.len().max(1);
        let (later, sooner) = directory.split_at(first.min(directory.len()));
        for (host, port) in sooner.iter().chain(later) {
            let address = Address::tcp(host, *port);
            let asked = match &self.options.place {
                Place::Sentinel { name, .. } => {
                    timeout(DIRECTORY, self.ask_sentinel(&address, name)).await
                }
                _ => timeout(DIRECTORY, self.ask_node(&address)).await,
            };
            let fault = match asked {
                Ok(Ok(named)) => return Ok(named),
                Ok(Err(fault)) => fault,
                Err(_) => Fault::Broken(format!("{address} does not answer")),
            };
            // An answer says more than none.
            let is_answer = !matches!(fault, Fault::Broken(_));
            if is_answer || matches!(worst, Fault::Broken(_)) || first_of(&worst) {
                worst = fault;
            }
        }
        Err(worst)
    }

    async fn ask_sentinel(&self, address: &Address, name: &str) -> Result<Named, Fault> {
        let connection = self.dial(address).await?;
        let options = &self.options;
        log_in(
            &connection,
            options.sentinel_username.as_deref(),
            options.sentinel_password.as_deref(),
        )
        .await
        .map_err(|fault| said_by(fault, address))?;
        let asked = redis::cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(name)
            .to_owned();
        let answer = connection
            .ask(&asked)
            .await
            .map_err(|fault| said_by(fault, address))?;
        let answer = reply::array(answer)?;
        if answer.is_empty() {
            return Err(Fault::Missing(format!(
                "the sentinel {address} does not know a primary of the name \"{name}\""
            )));
        }
        let [host, port] = reply::first(answer)?;
        let known = redis::cmd("SENTINEL").arg("REPLICAS").arg(name).to_owned();
        // It is needed for nothing but the report, so it may be forbidden.
        let known = connection.ask(&known).await.and_then(reply::array).ok();
        Ok(Named {
            address: Address::tcp(&reply::text(host)?, port_of(port)?),
            replicas: known.map(|replicas| replicas.len() as u64),
        })
    }

    async fn ask_node(&self, address: &Address) -> Result<Named, Fault> {
        let connection = self.dial(address).await?;
        self.log_in(&connection).await?;
        let slot = u64::from(keys::slot(&self.options.stream));
        let slots = connection.ask(redis::cmd("CLUSTER").arg("SLOTS")).await?;
        for range in reply::array(slots)? {
            let mut range = reply::array(range)?;
            let nodes = range.split_off(range.len().min(2));
            let [from, to] = reply::first(range)?;
            if !(reply::number(from)?..=reply::number(to)?).contains(&slot) {
                continue;
            }
            let replicas = Some(nodes.len().saturating_sub(1) as u64);
            let mut nodes = nodes.into_iter();
            let owner = nodes
                .next()
                .ok_or(Fault::Unexpected("the owner of a slot"))?;
            let [host, port] = reply::first(reply::array(owner)?)?;
            let host = reply::optional_text(host)?.unwrap_or_default();
            // A node that was not told its own name leaves it out.
            let host = match (host.as_str(), address) {
                ("" | "?", Address::Tcp(asked, _)) => asked.clone(),
                _ => host,
            };
            return Ok(Named {
                address: Address::tcp(&host, port_of(port)?),
                replicas,
            });
        }
        Err(Fault::Server {
            code: "CLUSTERDOWN".to_owned(),
            text: format!("{address} knows no owner of the log's slot"),
        })
    }

    /// Connects to a server; says nothing to it.
    async fn dial(&self, address: &Address) -> Result<Connection, Fault> {
        let stream = async {
            match address {
                Address::Unix(path) => UnixStream::connect(path)
                    .await
                    .map(Stream::new)
                    .map_err(|error| Fault::of_io(&error)),
                Address::Tcp(host, port) => {
                    let stream = TcpStream::connect((host.as_str(), *port))
                        .await
                        .map_err(|error| Fault::of_io(&error))?;
                    stream
                        .set_nodelay(true)
                        .map_err(|error| Fault::of_io(&error))?;
                    match &self.tls {
                        Some(tls) => tls.encrypt(host, stream).await.map(Stream::new),
                        None => Ok(Stream::new(stream)),
                    }
                }
            }
        };
        let kind = if self.tls.is_some() { "encrypted " } else { "" };
        let late = format!("no {kind}connection in time");
        let stream = timeout(CONNECT, stream)
            .await
            .unwrap_or(Err(Fault::Broken(late)));
        Connection::new(stream.map_err(|fault| fault.at(address))?).await
    }

    async fn log_in(&self, connection: &Connection) -> Result<(), Fault> {
        let options = &self.options;
        log_in(
            connection,
            options.username.as_deref(),
            options.password.as_deref(),
        )
        .await
    }

    async fn authenticate(&self, connection: &Connection) -> Result<(), Fault> {
        self.log_in(connection).await?;
        if self.options.database != 0 {
            let select = redis::cmd("SELECT").arg(self.options.database).to_owned();
            connection.ask(&select).await?;
        }
        Ok(())
    }
}

async fn log_in(
    connection: &Connection,
    username: Option<&str>,
    password: Option<&str>,
) -> Result<(), Fault> {
    if username.is_none() && password.is_none() {
        return Ok(());
    }
    let mut command = redis::cmd("AUTH");
    if let Some(username) = username {
        command.arg(username);
    }
    command.arg(password.unwrap_or_default());
    match connection.ask(&command).await {
        // This server asks for no password.
        Err(Fault::Server { code, text })
            if code == "ERR" && text.contains("without any password") =>
        {
            Ok(())
        }
        answer => answer.map(drop),
    }
}

fn port_of(port: Value) -> Result<u16, Fault> {
    let port = reply::number(port)?;
    u16::try_from(port).map_err(|_| Fault::Unexpected("a port"))
}

/// Whether no server was asked yet.
fn first_of(fault: &Fault) -> bool {
    matches!(fault, Fault::Missing(what) if what.starts_with("no address"))
}

fn said_by(fault: Fault, address: &Address) -> Fault {
    match fault {
        Fault::Server { code, text } => Fault::Server {
            code,
            text: format!("{text} (the sentinel {address})"),
        },
        fault => fault,
    }
}

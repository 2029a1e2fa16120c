//! Finds the primary, and connects to it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use talaria_transport::shared::backend::BackendError;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout};
use tokio_postgres::Config;

use crate::connection::Connection;
use crate::fault::{Fault, fatal};
use crate::options::{Host, PostgresOptions, Server};
use crate::row::read;
use crate::stream::Stream;
use crate::tls::Tls;

/// How much longer than for one server it may take to find the primary.
const LONGER: Duration = Duration::from_secs(1);
/// A connection of the server that is so much older than ours is a pooler's.
const SLACK_MS: u64 = 50;
/// The oldest version, as servers count them.
const OLDEST: i32 = 150_000;

/// What a server says of itself.
const GREETING: &str = "SELECT pg_is_in_recovery(), current_setting('server_version_num')::integer, \
    (extract(epoch FROM clock_timestamp() - backend_start) * 1000)::bigint, current_setting('server_version') \
    FROM pg_stat_activity WHERE pid = pg_backend_pid()";

/// A connection to the primary.
pub(crate) struct Primary {
    pub(crate) connection: Connection,
    pub(crate) address: String,
    pub(crate) version: String,
    /// Whether a pooler is between us and the server.
    pub(crate) is_pooled: bool,
}

/// Finds the primary.
pub(crate) struct Finder {
    options: PostgresOptions,
    tls: Tls,
    /// Which server is tried first: the one that was the primary, and another one after a failure.
    turn: AtomicUsize,
}

impl Finder {
    /// # Errors
    /// [`BackendError::Fatal`] if an option cannot be used.
    pub(crate) fn new(options: PostgresOptions) -> Result<Self, BackendError> {
        if options.servers.is_empty() {
            return Err(fatal(
                "no server is configured".to_owned(),
                "set the host of the server",
            ));
        }
        Ok(Self {
            tls: Tls::new(&options.encryption, options.encryption_again.clone())?,
            options,
            turn: AtomicUsize::new(0),
        })
    }

    /// Has another server tried first.
    pub(crate) fn doubt(&self) {
        self.turn.fetch_add(1, Ordering::Relaxed);
    }

    /// Connects to the primary.
    ///
    /// # Errors
    /// No server can be reached, or none is the primary.
    pub(crate) async fn find(&self) -> Result<Primary, Fault> {
        let late = Fault::Broken("the primary was not found in time".to_owned());
        let found = timeout(self.options.connect_timeout + LONGER, self.try_each()).await;
        let found = found.unwrap_or(Err(late));
        if found.is_err() {
            self.doubt();
        }
        found
    }

    /// Whether a server other than this one is a primary too; then that one is tried first.
    pub(crate) async fn has_another(&self, address: &str) -> bool {
        let servers = &self.options.servers;
        for (turn, server) in servers.iter().enumerate() {
            if server.to_string() == address {
                continue;
            }
            let greeted = timeout(self.options.connect_timeout, self.greet(server)).await;
            if matches!(greeted, Ok(Ok(_))) {
                self.turn.store(turn, Ordering::Relaxed);
                return true;
            }
        }
        false
    }

    async fn try_each(&self) -> Result<Primary, Fault> {
        let servers = &self.options.servers;
        let first = self.turn.load(Ordering::Relaxed);
        let mut worst = None;
        for turn in first..first + servers.len() {
            let server = &servers[turn % servers.len()];
            let greeted = timeout(self.options.connect_timeout, self.greet(server)).await;
            let late = || Err(Fault::Broken("no answer in time".to_owned()));
            match greeted.unwrap_or_else(|_| late()) {
                Ok(primary) => {
                    self.turn.store(turn, Ordering::Relaxed);
                    return Ok(primary);
                }
                Err(fault) => {
                    let fault = fault.at(server);
                    // A refusal says more than silence, and that a server is a standby less than either.
                    let weight = |fault: &Fault| match fault {
                        Fault::Standby => 0,
                        Fault::Broken(_) => 1,
                        _ => 2,
                    };
                    if worst
                        .as_ref()
                        .is_none_or(|worst| weight(worst) < weight(&fault))
                    {
                        worst = Some(fault);
                    }
                }
            }
        }
        Err(worst.unwrap_or(Fault::Standby))
    }

    /// Connects to a server and makes sure that it is a primary.
    async fn greet(&self, server: &Server) -> Result<Primary, Fault> {
        let begun = Instant::now();
        let stream = dial(server).await?;
        let (mode, encrypt) = self.tls.prepare(server).await?;
        let options = &self.options;
        let mut config = Config::new();
        config
            .user(&options.user)
            .dbname(&options.database)
            .application_name(&options.application_name)
            .ssl_mode(mode);
        if let Some(parameters) = &options.parameters {
            config.options(parameters);
        }
        let password = server.password.as_ref().or(options.password.as_ref());
        if let Some(password) = password {
            config.password(password);
        }
        let connection = Connection::new(&config, stream, encrypt).await;
        let connection = connection.map_err(|fault| lacks_password(fault, password.is_some()))?;
        let rows = connection.ask(GREETING, &[]).await?;
        let row = rows.first().ok_or(Fault::Unexpected("a greeting"))?;
        if read(row, 0)? {
            return Err(Fault::Standby);
        }
        let version: String = read(row, 3)?;
        let number: i32 = read(row, 1)?;
        if number < OLDEST {
            return Err(Fault::Server {
                code: "0A000".to_owned(),
                text: format!("PostgreSQL {version} is too old"),
            });
        }
        let age: i64 = read(row, 2)?;
        let ours = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Primary {
            connection,
            address: server.to_string(),
            version,
            is_pooled: u64::try_from(age).unwrap_or(0) > ours + SLACK_MS,
        })
    }
}

/// What the library says if the server asks for a password that is not configured.
fn lacks_password(fault: Fault, has_password: bool) -> Fault {
    match fault {
        Fault::Broken(why) if !has_password && why.contains("password") => Fault::Server {
            code: "28P01".to_owned(),
            text: "the server asks for a password, and none is configured".to_owned(),
        },
        fault => fault,
    }
}

/// Connects to a server; says nothing to it.
async fn dial(server: &Server) -> Result<Stream, Fault> {
    let broken = |error: std::io::Error| Fault::Broken(error.to_string());
    let stream = match (&server.host, server.address) {
        (Host::Folder(folder), _) => {
            let path = folder.join(format!(".s.PGSQL.{}", server.port));
            return UnixStream::connect(path)
                .await
                .map(Stream::new)
                .map_err(broken);
        }
        (_, Some(address)) => TcpStream::connect((address, server.port)).await,
        (Host::Name(name), None) => TcpStream::connect((name.as_str(), server.port)).await,
    };
    let stream = stream.map_err(broken)?;
    stream.set_nodelay(true).map_err(broken)?;
    Ok(Stream::new(stream))
}

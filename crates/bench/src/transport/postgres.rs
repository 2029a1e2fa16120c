//! PostgreSQL, and a plain connection to it.

use talaria_postgres::{Host, Mode, Postgres, PostgresOptions, Server as Place};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host as Named, SslMode};
use tokio_postgres::{Client, Config, Error, NoTls, Statement};

use super::server::Server;
use crate::error::Problem;

/// The schema of the log that is measured.
const SCHEMA: &str = "talaria_bench";
const PORT: u16 = 5432;

/// A database, and a plain connection to it.
pub(crate) struct Database {
    client: Client,
    driver: JoinHandle<()>,
    options: PostgresOptions,
    /// The insert of bare appends, once their table is there.
    insert: OnceCell<Statement>,
}

impl Drop for Database {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Database {
    /// Connects, and removes what an earlier bench has left.
    ///
    /// # Errors
    /// If the URL cannot be used, or the server does not answer.
    pub(crate) async fn connect(url: &str) -> Result<Self, Problem> {
        let unusable = |problem: &str| Problem::Postgres {
            problem: problem.to_owned(),
            error: None,
        };
        let mut config = url
            .parse::<Config>()
            .map_err(failed("not the URL of a PostgreSQL server"))?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(unusable("the bench uses no TLS"));
        }
        config.ssl_mode(SslMode::Disable);
        let options = options(&config).map_err(unusable)?;
        config
            .user(&options.user)
            .dbname(&options.database)
            .connect_timeout(options.connect_timeout);
        let connected = config.connect(NoTls).await;
        let (client, connection) = connected.map_err(failed("the server cannot be used"))?;
        // Its error is that of the call that waits for an answer.
        let driver = tokio::spawn(async move { _ = connection.await });
        let database = Self {
            client,
            driver,
            options,
            insert: OnceCell::new(),
        };
        database.remove().await?;
        Ok(database)
    }

    async fn prepare(&self) -> Result<Statement, Error> {
        let table = format!("CREATE TABLE {SCHEMA}.bare (data text NOT NULL)");
        self.client.batch_execute(&table).await?;
        let insert = format!("INSERT INTO {SCHEMA}.bare VALUES ($1)");
        self.client.prepare(&insert).await
    }
}

impl Server for Database {
    type Log = Postgres;

    fn log(&self) -> Result<Postgres, Problem> {
        Postgres::new(self.options.clone()).map_err(Problem::log)
    }

    async fn append(&self, data: &str) -> Result<(), Problem> {
        let append = async {
            let insert = self.insert.get_or_try_init(|| self.prepare()).await?;
            self.client.execute(insert, &[&data]).await
        };
        append.await.map(drop).map_err(failed(REFUSED))
    }

    async fn remove(&self) -> Result<(), Problem> {
        let removal = format!("DROP SCHEMA IF EXISTS {SCHEMA} CASCADE");
        let silent = format!("SET client_min_messages = warning; {removal}");
        let removed = self.client.batch_execute(&silent).await;
        removed.map_err(failed(REFUSED))
    }
}

const REFUSED: &str = "the server refused a statement";

fn failed(problem: &str) -> impl FnOnce(Error) -> Problem {
    |error| Problem::Postgres {
        problem: problem.to_owned(),
        error: Some(error),
    }
}

/// How a node uses the log, or what is missing.
fn options(config: &Config) -> Result<PostgresOptions, &'static str> {
    let port = |index| match config.get_ports() {
        [] => PORT,
        [port] => *port,
        ports => ports.get(index).copied().unwrap_or(PORT),
    };
    let places = config.get_hosts().iter().enumerate();
    let places = places.map(|(index, host)| Place {
        host: match host {
            Named::Tcp(name) => Host::Name(name.clone()),
            #[cfg(unix)]
            Named::Unix(folder) => Host::Folder(folder.clone()),
        },
        address: config.get_hostaddrs().get(index).copied(),
        port: port(index),
        password: None,
    });
    let places: Vec<_> = places.collect();
    if places.is_empty() {
        return Err("no host is named");
    }
    let user = config.get_user().ok_or("no user is named")?;
    let database = config.get_dbname().unwrap_or(user);
    let mut options = PostgresOptions::new(places, user, database);
    if let Some(password) = config.get_password() {
        let password = str::from_utf8(password).map_err(|_| "the password is not text")?;
        options.password = Some(password.to_owned());
    }
    options.parameters = config.get_options().map(str::to_owned);
    options.encryption.mode = Mode::Disable;
    options.schema = SCHEMA.to_owned();
    Ok(options)
}

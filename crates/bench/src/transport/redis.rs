//! Redis and Valkey, and a plain connection to one.

use redis::aio::MultiplexedConnection;
use redis::{Client, ConnectionAddr, RedisError};
use talaria_redis::{Place, Redis, RedisOptions};

use super::server::Server;
use crate::error::Problem;

/// The log that is measured.
const LOG: &str = "talaria-bench";
/// The stream of the bare appends.
const BARE: &str = "{talaria-bench}:bare";

/// A server, and a plain connection to it.
pub(crate) struct Database {
    connection: MultiplexedConnection,
    options: RedisOptions,
}

impl Database {
    /// Connects, and removes what an earlier bench has left.
    ///
    /// # Errors
    /// If the URL cannot be used, or the server does not answer.
    pub(crate) async fn connect(url: &str, replicas: u32) -> Result<Self, Problem> {
        let client = Client::open(url).map_err(|error| Problem::Redis {
            problem: "not the URL of a Redis server".to_owned(),
            error: Some(error),
        })?;
        let about = client.get_connection_info();
        let place = match about.addr() {
            ConnectionAddr::Tcp(host, port) => Place::Address {
                host: host.clone(),
                port: *port,
            },
            ConnectionAddr::Unix(path) => Place::Unix(path.clone()),
            _ => {
                return Err(Problem::Redis {
                    problem: "the bench uses no TLS".to_owned(),
                    error: None,
                });
            }
        };
        let mut options = RedisOptions::new(place, LOG);
        let login = about.redis_settings();
        options.username = login.username().map(str::to_owned);
        options.password = login.password().map(str::to_owned);
        options.database = u32::try_from(login.db()).unwrap_or_default();
        options.replicas = replicas;
        let connection = client.get_multiplexed_async_connection().await;
        let connection = connection.map_err(|error| Problem::Redis {
            problem: "the server cannot be used".to_owned(),
            error: Some(error),
        })?;
        let server = Self {
            connection,
            options,
        };
        server.remove().await?;
        Ok(server)
    }
}

impl Server for Database {
    type Log = Redis;

    fn log(&self) -> Result<Redis, Problem> {
        Redis::new(self.options.clone()).map_err(Problem::log)
    }

    async fn append(&self, data: &str) -> Result<(), Problem> {
        let mut command = redis::cmd("XADD");
        command.arg(BARE).arg("*").arg("data").arg(data);
        let mut connection = self.connection.clone();
        command
            .query_async::<String>(&mut connection)
            .await
            .map(drop)
            .map_err(refused)
    }

    async fn remove(&self) -> Result<(), Problem> {
        let mut connection = self.connection.clone();
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg("{talaria-bench}:*");
            scan.arg("COUNT").arg(1_000);
            let (next, keys): (u64, Vec<String>) =
                scan.query_async(&mut connection).await.map_err(refused)?;
            if !keys.is_empty() {
                let mut unlink = redis::cmd("UNLINK");
                unlink.arg(keys);
                unlink
                    .query_async::<u64>(&mut connection)
                    .await
                    .map_err(refused)?;
            }
            cursor = next;
            if cursor == 0 {
                return Ok(());
            }
        }
    }
}

fn refused(error: RedisError) -> Problem {
    Problem::Redis {
        problem: "the server refused a command".to_owned(),
        error: Some(error),
    }
}

//! A connection to a server, as an application has one.

use std::net::SocketAddr;

use talaria_conformance::within;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_postgres::{Client, Config, NoTls};

/// The role that may do everything, and its database.
pub(crate) const SUPERUSER: &str = "postgres";

/// A connection. What is open in it when it is dropped is rolled back.
pub(crate) struct Session {
    client: Client,
    _driver: JoinSet<()>,
}

impl Session {
    /// Connects to the server at an address.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let mut config = Config::new();
        config.user(SUPERUSER).dbname(SUPERUSER);
        let (client, connection) = within("the server answers", async {
            let stream = TcpStream::connect(address).await.expect("it listens");
            config.connect_raw(stream, NoTls).await
        })
        .await
        .expect("the server takes the connection");
        let mut driver = JoinSet::new();
        driver.spawn(async move { _ = connection.await });
        Self {
            client,
            _driver: driver,
        }
    }

    /// Runs statements; those without `BEGIN` are one transaction.
    pub(crate) async fn run(&self, sql: &str) {
        let ran = within("the server answers", self.client.batch_execute(sql)).await;
        ran.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
}

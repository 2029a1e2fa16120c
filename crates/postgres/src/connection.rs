//! One connection to one server.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::error::Severity;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, Row};

use crate::fault::Fault;
use crate::stream::{Meter, Stream};
use crate::tls::Encrypt;

/// How long an answer may take. Waits for a lock end before.
pub(crate) const ANSWER: Duration = Duration::from_secs(3);

/// A parameter of a statement, and its type: the server is asked for none.
pub(crate) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// A connection, on which several tasks may ask at once. The last of its clones closes it.
#[derive(Clone)]
pub(crate) struct Connection {
    client: Arc<Client>,
    driver: Arc<Driver>,
    heard: Arc<Heard>,
    meter: Meter,
}

/// The task that reads and writes.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What the server said without being asked.
#[derive(Default)]
struct Heard {
    bell: Notify,
    /// How many commits did not wait for their standbys to the end.
    unconfirmed: AtomicU64,
    end: OnceLock<Fault>,
}

impl Connection {
    /// Logs in over a stream.
    ///
    /// # Errors
    /// What the server refused, or why it did not answer.
    pub(crate) async fn new(
        config: &Config,
        stream: Stream,
        encrypt: Encrypt,
    ) -> Result<Self, Fault> {
        let meter = Meter::default();
        let stream = stream.measured(meter.clone());
        let connected = config.connect_raw(stream, encrypt).await;
        let (client, mut connection) = connected.map_err(|error| Fault::of(&error))?;
        let heard = Arc::new(Heard::default());
        let shared = Arc::clone(&heard);
        let driver = tokio::spawn(async move {
            loop {
                match poll_fn(|context| connection.poll_message(context)).await {
                    Some(Ok(message)) => shared.hear(&message),
                    Some(Err(error)) => {
                        _ = shared.end.set(Fault::of(&error));
                        return;
                    }
                    None => return,
                }
            }
        });
        Ok(Self {
            client: Arc::new(client),
            driver: Arc::new(Driver(driver)),
            heard,
            meter,
        })
    }

    /// Whether the connection is known to have ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.driver.0.is_finished() || self.client.is_closed()
    }

    /// Waits until the server rings.
    pub(crate) async fn rings(&self) {
        self.heard.bell.notified().await;
    }

    /// Runs one statement, which is a transaction.
    ///
    /// # Errors
    /// What the server refused, or why it did not answer. Then nothing more may be asked, except after a
    /// [`Fault::Server`].
    pub(crate) async fn ask(
        &self,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Fault> {
        self.ask_for(ANSWER, statement, parameters).await
    }

    /// Runs one statement that may take this long.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(crate) async fn ask_for(
        &self,
        time: Duration,
        statement: &str,
        parameters: &[Parameter<'_>],
    ) -> Result<Vec<Row>, Fault> {
        let unconfirmed = || self.heard.unconfirmed.load(Ordering::Acquire);
        let before = unconfirmed();
        self.meter.restart();
        // Without a name, so that a pooler may give each transaction another connection.
        let asked = self.client.query_typed(statement, parameters);
        let answer = match timeout(time, asked).await {
            Ok(answer) => answer.map_err(|error| self.broken(&error)),
            Err(_) => Err(Fault::Broken("no answer in time".to_owned())),
        };
        self.meter.restart();
        let rows = answer?;
        if unconfirmed() != before {
            return Err(Fault::Unconfirmed);
        }
        Ok(rows)
    }

    /// Runs several statements.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(crate) async fn run(&self, time: Duration, statements: &str) -> Result<(), Fault> {
        self.meter.restart();
        match timeout(time, self.client.batch_execute(statements)).await {
            Ok(ran) => ran.map_err(|error| self.broken(&error)),
            Err(_) => Err(Fault::Broken("no answer in time".to_owned())),
        }
    }

    fn broken(&self, error: &tokio_postgres::Error) -> Fault {
        let fault = Fault::of(error);
        // The task ends with the connection, and then its callers learn no more than that.
        match &fault {
            Fault::Broken(_) => self.heard.end.get().cloned().unwrap_or(fault),
            _ => fault,
        }
    }
}

impl Heard {
    fn hear(&self, message: &AsyncMessage) {
        match message {
            AsyncMessage::Notification(_) => self.bell.notify_one(),
            // Nothing that we ask for is worth a warning, except that a wait for a standby was cancelled; its SQLSTATE
            // says no more than that it is one.
            AsyncMessage::Notice(notice) if notice.parsed_severity() == Some(Severity::Warning) => {
                self.unconfirmed.fetch_add(1, Ordering::AcqRel);
            }
            _ => {}
        }
    }
}

//! One plain connection to one server.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisError, Value};
use talaria_transport::shared::backend::BackendError;
use talaria_transport::shared::flight::Flight;
use tokio::task::JoinHandle;

use crate::fault::Fault;
use crate::stream::{Meter, Stream};

/// How long an answer may take. Blocking reads and waits for replicas end before.
const ANSWER: Duration = Duration::from_secs(3);

/// A connection, on which several tasks may ask at once. The last of its clones closes it.
#[derive(Clone)]
pub(crate) struct Connection {
    handle: MultiplexedConnection,
    driver: Arc<Driver>,
    meter: Arc<Meter>,
    confirms: Arc<Flight<Result<(), BackendError>>>,
}

/// The task that reads and writes.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection {
    /// A connection over a stream; says nothing to the server.
    ///
    /// # Errors
    /// Never for a server's reasons.
    pub(crate) async fn new(stream: Stream) -> Result<Self, Fault> {
        let meter = Arc::clone(stream.meter());
        let silent = RedisConnectionInfo::default().set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(ANSWER));
        let (handle, driver) = MultiplexedConnection::new_with_config(&silent, stream, config)
            .await
            .map_err(|error| Fault::of_connection(&error))?;
        Ok(Self {
            handle,
            driver: Arc::new(Driver(tokio::spawn(driver))),
            meter,
            confirms: Arc::default(),
        })
    }

    /// Waits for replicas on this connection, once for all callers.
    pub(crate) fn confirms(&self) -> &Flight<Result<(), BackendError>> {
        &self.confirms
    }

    /// Whether the connection is known to have ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.driver.0.is_finished()
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// What the server refused, or why it did not answer. Then nothing more may be asked, except after a
    /// [`Fault::Server`].
    pub(crate) async fn ask(&self, command: &Cmd) -> Result<Value, Fault> {
        self.meter.restart();
        let answer = self.handle.clone().send_packed_command(command).await;
        self.meter.restart();
        checked(answer.map_err(|error| self.broken(&error))?)
    }

    /// Asks several at once. Each answer may be a refusal: see [`checked`].
    ///
    /// # Errors
    /// Why the server did not answer.
    pub(crate) async fn ask_all(&self, commands: &Pipeline) -> Result<Vec<Value>, Fault> {
        self.meter.restart();
        let count = commands.len();
        let mut handle = self.handle.clone();
        let answers = handle.send_packed_commands(commands, 0, count).await;
        self.meter.restart();
        let answers = answers.map_err(|error| self.broken(&error))?;
        if answers.len() == count {
            Ok(answers)
        } else {
            Err(Fault::Unexpected("one answer to each command"))
        }
    }

    fn broken(&self, error: &RedisError) -> Fault {
        // The task ends with the connection, and then its callers learn no more than that.
        let end = self.meter.end().cloned();
        end.unwrap_or_else(|| Fault::of_connection(error))
    }
}

/// An answer that is not a refusal.
///
/// # Errors
/// What the server refused.
pub(crate) fn checked(answer: Value) -> Result<Value, Fault> {
    match answer {
        Value::ServerError(error) => Err(Fault::of_server(&error)),
        answer => Ok(answer),
    }
}

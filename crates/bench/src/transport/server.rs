//! A server that keeps a log.

use talaria_transport::shared::Backend;

use crate::error::Problem;

/// The server that is measured, with a plain connection to it.
pub(crate) trait Server {
    /// What keeps the log of a node.
    type Log: Backend;

    /// A node's part of the log that is measured.
    ///
    /// # Errors
    /// If the options cannot be used.
    fn log(&self) -> Result<Self::Log, Problem>;

    /// Stores data without the engine, as simply as the server permits. The log exists.
    ///
    /// # Errors
    /// If the server refuses it.
    async fn append(&self, data: &str) -> Result<(), Problem>;

    /// Removes everything that the bench stores.
    ///
    /// # Errors
    /// If the server refuses it.
    async fn remove(&self) -> Result<(), Problem>;
}

//! The log in a server, as the engine sees it.

use talaria_transport::shared::backend::BackendError;

use crate::options::PostgresOptions;
use crate::survey::Survey;

/// A log that is kept in PostgreSQL.
#[derive(Debug)]
pub struct Postgres {
    options: PostgresOptions,
}

impl Postgres {
    /// A log with these options. Nothing is asked of the server yet.
    ///
    /// # Errors
    /// [`BackendError::Fatal`] if an option cannot be used.
    pub fn new(options: PostgresOptions) -> Result<Self, BackendError> {
        Ok(Self { options })
    }

    /// Finds out what the server is and how it keeps data. Called before the node attaches.
    ///
    /// # Errors
    /// [`BackendError::Fatal`] if the log cannot be kept there, [`BackendError::Away`] if the server does not answer.
    pub async fn survey(&self) -> Result<Survey, BackendError> {
        Err(BackendError::Away(format!("{:?}", self.options)))
    }
}

//! The runtime of a verb that asks a hub.

use talaria_config::Error;

/// Runs a future to its end on this thread.
///
/// # Errors
/// Those of the future, and that the system refuses a runtime.
pub(super) fn block_on<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new("the runtime cannot be started").caused_by(error))?
        .block_on(future)
}

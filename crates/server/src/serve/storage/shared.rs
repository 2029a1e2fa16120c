//! Opens a log that several nodes share: waits for its server, and reports what that server keeps.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use talaria_config::Error;
use talaria_config::folders::{KEY_BYTES, read};
use talaria_transport::measures::Survives;
use talaria_transport::shared::backend::BackendError;
use talaria_transport::shared::{Backend, Shared, SharedOptions};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// The shortest and the longest pause between two attempts.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// How often to log that the hub waits, and for what.
const TOLD: Duration = Duration::from_secs(10);
/// How long to wait for a server without end: longer than any program runs.
const EVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A server that can keep a shared log, and says how.
pub(crate) trait Server: Backend + Sized {
    /// What it says of itself.
    type Survey: Send;

    /// Asks it, and refuses what cannot keep a log.
    fn ask(&self) -> impl Future<Output = Result<Self::Survey, BackendError>> + Send;
}

/// A log that a configuration names.
pub(crate) trait Log: Send + Sync {
    /// What keeps it.
    type Server: Server;

    /// The name of the transport, as the file has it.
    const TRANSPORT: &'static str;

    /// The server, as messages name it.
    fn place(&self) -> String;

    /// The log, as messages name it.
    fn name(&self) -> &str;

    /// What the engine is told.
    fn options(&self) -> SharedOptions;

    /// The server, with the files that its options name read. Nothing is asked of it yet.
    fn server(&self) -> impl Future<Output = Result<Self::Server, Error>> + Send;

    /// What an acknowledged update survives, and what should be changed; `members` nodes share the log.
    fn durability(
        &self,
        survey: &<Self::Server as Server>::Survey,
        members: u64,
    ) -> (Vec<String>, Vec<String>);

    /// The same as figures.
    fn survives(&self, survey: &<Self::Server as Server>::Survey) -> Survives;
}

/// Enters the log. Waits as long as the server is away or refuses, at most for `patience` if it is given.
///
/// # Errors
/// A reason that waiting does not mend; the last reason, once the patience is over.
pub(super) async fn open<L: Log>(
    log: &L,
    patience: Option<Duration>,
) -> Result<Shared<L::Server>, Error> {
    let place = log.place();
    let server = Arc::new(log.server().await?);
    let deadline = Instant::now() + patience.unwrap_or(EVER);
    let mut waiting = Waiting::new(&place);
    loop {
        let attempt = timeout_at(deadline, enter(&server, log)).await;
        let error = match attempt {
            Ok(Ok((survey, shared))) => {
                report(log, &survey, shared.members());
                return Ok(shared);
            }
            Ok(Err(error @ BackendError::Fatal { .. })) => return Err(failed(&place, &error)),
            Ok(Err(error)) => error,
            Err(_) => BackendError::Away("the server does not answer".to_owned()),
        };
        if Instant::now() + waiting.pause >= deadline {
            return Err(Error::new(format!("the server {place} cannot be used: {error}")).remedy(
                format!(
                    "check the address in `transport {}`, and that the server runs; then load the configuration again",
                    L::TRANSPORT
                ),
            ));
        }
        waiting.pause(&error).await;
    }
}

/// Leaves the log, within this time. The other nodes find out by themselves otherwise.
pub(super) async fn leave(
    leaving: impl Future<Output = Result<(), BackendError>>,
    within: Duration,
) {
    let reason = match timeout(within, leaving).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the server does not answer".to_owned(),
    };
    tracing::warn!(
        name: "log_not_left",
        reason,
        "the server of the log was not told that this node leaves; the other nodes notice it after a lease"
    );
}

/// The server of a log, which can keep one.
///
/// # Errors
/// It does not answer, or the log cannot be kept there.
pub(crate) async fn backend<L: Log>(log: &L) -> Result<L::Server, Error> {
    let server = log.server().await?;
    match server.ask().await {
        Ok(_) => Ok(server),
        Err(error @ BackendError::Fatal { .. }) => Err(failed(&log.place(), &error)),
        Err(error) => {
            Err(failed(&log.place(), &error).remedy("check the address, and that the server runs"))
        }
    }
}

/// What the server of a log said, and the log.
type Entered<L> = (
    <<L as Log>::Server as Server>::Survey,
    Shared<<L as Log>::Server>,
);

/// Logs what the hub waits for, and spaces the attempts.
struct Waiting<'a> {
    place: &'a str,
    pause: Duration,
    told: Option<Instant>,
}

impl<'a> Waiting<'a> {
    fn new(place: &'a str) -> Self {
        Self {
            place,
            pause: PAUSES.0,
            told: None,
        }
    }

    async fn pause(&mut self, error: &BackendError) {
        let is_due = self.told.is_none_or(|told| told.elapsed() >= TOLD);
        if is_due {
            self.told = Some(Instant::now());
            tracing::warn!(
                name: "backend_awaited",
                server = self.place,
                reason = %error,
                "the server of the log cannot be used yet; the hub serves once it can"
            );
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSES.1);
    }
}

async fn enter<L: Log>(server: &Arc<L::Server>, log: &L) -> Result<Entered<L>, BackendError> {
    let survey = server.ask().await?;
    let mut options = log.options();
    options.survives = log.survives(&survey);
    let shared = Shared::open(Arc::clone(server), options).await?;
    Ok((survey, shared))
}

/// Why a server cannot keep a log.
pub(super) fn failed(place: &str, error: &BackendError) -> Error {
    let said = Error::new(format!("the server {place} cannot keep the log: {error}"));
    match error {
        BackendError::Fatal { remedy, .. } => said.remedy(remedy.as_str()),
        _ => said,
    }
}

/// The report of the server and of the `members` of the log, and what should be changed there.
fn report<L: Log>(log: &L, survey: &<L::Server as Server>::Survey, members: u64) {
    let (lines, warnings) = log.durability(survey, members);
    let name = log.name();
    for line in lines {
        tracing::info!(name: "report", "shared log {name}: {line}");
    }
    for line in warnings {
        tracing::warn!(name: "report_warning", "shared log {name}: {line}");
    }
}

/// The content of a file with certificates or a key.
///
/// # Errors
/// It cannot be read.
pub(super) fn content(path: &Path) -> Result<Vec<u8>, Error> {
    read(path, KEY_BYTES).map_err(|error: io::Error| {
        Error::new(format!("the file {} cannot be read", path.display()))
            .caused_by(error)
            .remedy("check the path and its permissions")
    })
}

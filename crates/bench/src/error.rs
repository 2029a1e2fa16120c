//! Why a bench cannot run or measure. A message says what is wrong and, where the user can do something about
//! it, what to do on its second line. It contains the message of the cause, so an error here has no `source`.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;

use crate::http::error::HttpError;
use crate::http::target::TargetError;

/// Why a bench could not run, or could not measure. Its message is for the user of `talaria bench`.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] Problem);

impl Error {
    /// Whether the reader of standard output has closed it.
    pub fn is_closed_output(&self) -> bool {
        matches!(&self.0, Problem::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// The reasons, for the bench itself.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    // The command line.
    #[error("{option} 0: there is nothing to measure\n  give at least 1")]
    Zero { option: &'static str },
    #[error("--rate {0}: not a rate\n  give a number above 0")]
    Rate(f64),
    #[error(
        "--publishers {publishers}: with --topics own each publisher needs a topic, and there are \
         {subscribers}\n  give at most {subscribers}"
    )]
    FewTopics {
        publishers: usize,
        subscribers: usize,
    },
    #[error(
        "{option} has no effect: without a key no client presents a token\n  give --key-file, or leave \
         {option} out"
    )]
    NeedsKey { option: &'static str },
    #[error(
        "--baseline has no effect without stalled sockets\n  give --stalled, or leave --baseline out"
    )]
    NeedsStalled,
    #[error(
        "--url is missing\n  give the hub's URL, such as http://127.0.0.1:3000/.well-known/mercure, or \
         measure the floor alone with `talaria bench floor`"
    )]
    NoUrl,
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(
        "--url {0}: not an IPv4 address, but the attackers come from 127.0.0.2 and the addresses after \
         it\n  give the hub's URL with an IPv4 address"
    )]
    NotIpv4(String),
    #[error(
        "no key: the bench publishes, which needs a token\n  give the hub's key with --key-file"
    )]
    NoKey,
    #[error("--key-file {}: {error}", path.display())]
    KeyFile { path: PathBuf, error: io::Error },
    #[error("the key is not text\n  give the secret that the hub has")]
    BinaryKey,
    #[error("a token cannot be signed with the key: {0}")]
    Sign(Box<dyn StdError + Send + Sync>),

    #[error("standard output: {0}")]
    Output(io::Error),

    // Processes, threads and files.
    #[error("--hub-pid {pid}: {error}\n  give the number of a running process")]
    NoProcess { pid: u32, error: io::Error },
    #[error("--hub-pid {pid}: /proc/{pid} does not say what the process uses")]
    NoUsage { pid: u32 },
    #[error(
        "the load needs {needed} open files, but this process may open {allowed}\n  raise the limit \
         (ulimit -Hn), or lower --subscribers and --stalled"
    )]
    OpenFiles { needed: u64, allowed: u64 },
    #[error("no thread for a publisher: {0}\n  lower --publishers")]
    Thread(io::Error),
    #[error("a thread or task of the bench panicked; this is a defect of the bench")]
    Panicked,
    #[error("the runtime cannot start: {0}")]
    Runtime(io::Error),
    #[error("epoll failed: {0}")]
    Epoll(io::Error),
    #[error("the floor server failed: {0}")]
    Floor(io::Error),
    #[error("the floor server ended before it listened")]
    FloorEnded,
    #[error("the attacker cannot start: {0}")]
    Attacker(io::Error),
    #[error("the attacker printed {line:?}: {error}")]
    AttackerOutput {
        line: String,
        error: serde_json::Error,
    },
    #[error("the attacker failed or does not end\n  see what it printed above")]
    AttackerSilent,

    // The hub.
    #[error("subscriber {number}: {error}{remedy}", remedy = error.remedy())]
    Subscriber { number: usize, error: HttpError },
    #[error("publisher {number}: {error}{remedy}", remedy = error.remedy())]
    Publisher { number: usize, error: HttpError },
    #[error("stalled socket {number}: {error}{remedy}", remedy = error.remedy())]
    Stalled { number: usize, error: HttpError },
    #[error(
        "--timeout {seconds}: not all subscribers connected in time\n  give more seconds, or fewer \
         --subscribers"
    )]
    NotConnected { seconds: u64 },
    #[error("updates cannot be published: {0}{remedy}", remedy = .0.remedy())]
    Publish(HttpError),
    #[error("what is measured cannot be opened: {0}")]
    Open(io::Error),

    // The history in this process.
    #[error("--path {}: {error}", path.display())]
    Path { path: PathBuf, error: io::Error },
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("{0}")]
    History(Box<dyn StdError + Send + Sync>),
    #[error("the history holds {found} updates after it was opened, not {expected}")]
    Count { found: u64, expected: u64 },
    #[error("the history lacks an update that was stored")]
    Missing,
    #[error("the look-up of an id ({what}) found {found}")]
    Lookup { what: String, found: String },

    // The log that nodes share.
    #[error(
        "--redis: {problem}{}\n  give the URL of one server, such as redis://127.0.0.1:6379",
        .error.as_ref().map(|error| format!(": {error}")).unwrap_or_default()
    )]
    Redis {
        problem: String,
        error: Option<redis::RedisError>,
    },
    #[error(
        "--postgres: {problem}{}\n  give the URL of a server, such as postgres://user@127.0.0.1:5432/database",
        .error.as_ref().map(told).unwrap_or_default()
    )]
    Postgres {
        problem: String,
        error: Option<tokio_postgres::Error>,
    },
    #[error("no server is named\n  give --redis or --postgres")]
    NoServer,
    #[error("the log: {0}")]
    Log(Box<dyn StdError + Send + Sync>),
}

impl Problem {
    /// An error of the history, whichever of its operations failed.
    pub(crate) fn history(error: impl StdError + Send + Sync + 'static) -> Self {
        Self::History(Box::new(error))
    }

    /// An error of a log that nodes share.
    pub(crate) fn log(error: impl StdError + Send + Sync + 'static) -> Self {
        Self::Log(Box::new(error))
    }
}

/// What a server of PostgreSQL said, or why it could not be asked.
fn told(error: &tokio_postgres::Error) -> String {
    match error.source() {
        Some(cause) => format!(": {error}: {cause}"),
        None => format!(": {error}"),
    }
}

impl From<HttpError> for Problem {
    fn from(error: HttpError) -> Self {
        Self::Publish(error)
    }
}

//! Why a server did not do what it was asked, and what that means to the engine.

use std::error::Error as _;
use std::fmt::Display;

use talaria_transport::shared::backend::BackendError;
use tokio_postgres::Error;

/// Why a statement has no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server refused, and has undone all that the statement did.
    Server {
        /// Its SQLSTATE.
        code: String,
        /// What it said.
        text: String,
    },
    /// No connection, no answer in time, or the connection broke.
    Broken(String),
    /// The connection cannot be encrypted.
    Tls(String),
    /// The commit did not wait for the standbys to the end, because an operator cancelled that.
    Unconfirmed,
    /// The server is a standby.
    Standby,
    /// The result has another form than the statement's.
    Unexpected(&'static str),
}

/// Refusals that may pass, by SQLSTATE.
const REFUSALS: [(&str, &str); 17] = [
    ("25006", "the server is a read-only standby (25006)"),
    ("53100", "the server's disk is full (53100)"),
    ("53200", "the server's memory is full (53200)"),
    ("53300", "the server has too many connections (53300)"),
    (
        "53400",
        "the server has reached a limit of its configuration (53400)",
    ),
    (
        "55P03",
        "another commit holds the log; perhaps it waits for a standby (55P03)",
    ),
    ("57014", "the server has cancelled the statement (57014)"),
    ("57P03", "the server is starting or stopping (57P03)"),
    ("40001", "the transaction met another one (40001)"),
    ("40P01", "the transaction met another one (40P01)"),
    ("58030", "the server cannot write to its disk (58030)"),
    ("28P01", "the server refuses the password (28P01)"),
    ("28000", "the server refuses the role (28000)"),
    ("42501", "the server's role lacks a privilege (42501)"),
    ("3D000", "the database is gone (3D000)"),
    (
        "08P01",
        "the pooler has no connection to the server (08P01)",
    ),
    ("54000", "an update is larger than the server takes (54000)"),
];

/// Refusals that say that the tables or functions of the log are not there.
const GONE: [&str; 4] = ["42P01", "3F000", "42883", "42703"];

/// Refusals after which the primary may be another server.
const MOVES: [&str; 5] = ["25006", "57P01", "57P02", "57P03", "08P01"];

/// What waiting does not mend, and what to do.
const LASTING: [(&str, &str); 5] = [
    (
        "28P01",
        "set the password that the server knows for this role",
    ),
    (
        "28000",
        "set a role that may log in, and permit it in the server's pg_hba.conf",
    ),
    (
        "3D000",
        "create the database, or set the name of one that is there",
    ),
    ("42501", PERMIT),
    ("0A000", "use PostgreSQL 15 or newer"),
];

/// What to do if the role may not do something.
pub(crate) const PERMIT: &str = "have the owner of the database run what `talaria postgres schema` prints, which grants what the hub needs";

impl Fault {
    pub(crate) fn of(error: &Error) -> Self {
        if let Some(refusal) = error.as_db_error() {
            return Self::Server {
                code: refusal.code().code().to_owned(),
                text: refusal.message().to_owned(),
            };
        }
        let mut text = error.to_string();
        if let Some(source) = error.source() {
            let source = source.to_string();
            if !text.contains(&source) {
                text = format!("{text}: {source}");
            }
        }
        match text.strip_prefix("error performing TLS handshake: ") {
            Some(reason) => Self::Tls(reason.to_owned()),
            None => Self::Broken(text),
        }
    }

    /// Says at which address it happened.
    pub(crate) fn at(self, address: &impl Display) -> Self {
        match self {
            Self::Broken(why) => Self::Broken(format!("{address}: {why}")),
            Self::Tls(why) => Self::Tls(format!("{address}: {why}")),
            fault => fault,
        }
    }

    /// Whether the server refused with this SQLSTATE.
    pub(crate) fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Server { code, .. } if code == wanted)
    }

    /// Whether to look anew for the primary.
    pub(crate) fn loses_primary(&self) -> bool {
        match self {
            Self::Server { code, .. } => MOVES.contains(&code.as_str()),
            Self::Unexpected(_) => false,
            Self::Broken(_) | Self::Tls(_) | Self::Unconfirmed | Self::Standby => true,
        }
    }

    /// What it means once the node has entered: that it passes.
    pub(crate) fn later(self) -> BackendError {
        match self {
            Self::Server { code, .. } if GONE.contains(&code.as_str()) => BackendError::NoLog,
            Self::Server { code, text } => {
                match REFUSALS.iter().find(|(known, _)| *known == code) {
                    Some((_, said)) => BackendError::Refusing(said),
                    None => BackendError::Away(format!("the server answered: {text} ({code})")),
                }
            }
            Self::Broken(why) => BackendError::Away(why),
            Self::Tls(why) => BackendError::Away(format!("no encrypted connection: {why}")),
            Self::Unconfirmed => {
                BackendError::Away("the wait for a standby was cancelled".to_owned())
            }
            Self::Standby => BackendError::Refusing(REFUSALS[0].1),
            Self::Unexpected(what) => {
                BackendError::Away(format!("the server's answer has another form than {what}"))
            }
        }
    }

    /// What it means before the node has entered: what does not mend itself is fatal.
    pub(crate) fn at_start(self) -> BackendError {
        match self {
            Self::Server { code, text } if GONE.contains(&code.as_str()) => fatal(
                format!("the schema of the log is not complete: {text} ({code})"),
                "remove the schema so that the hub creates it again, or restore it",
            ),
            Self::Server { code, text } => {
                let lasting = LASTING.iter().find(|(known, _)| *known == code);
                match lasting {
                    Some((_, remedy)) => {
                        fatal(format!("the server answered: {text} ({code})"), remedy)
                    }
                    None => Self::Server { code, text }.later(),
                }
            }
            Self::Tls(why) => fatal(
                format!("no encrypted connection to the server: {why}"),
                "check `sslmode`, the host name, the CA and the client certificate",
            ),
            other => other.later(),
        }
    }
}

pub(crate) fn fatal(problem: String, remedy: &str) -> BackendError {
    BackendError::Fatal {
        problem,
        remedy: remedy.to_owned(),
    }
}

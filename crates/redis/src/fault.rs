//! Why a server did not do what it was asked, and what that means to the engine.

use std::error::Error as _;
use std::fmt::Display;

use redis::{RedisError, ServerError};
use talaria_transport::shared::backend::BackendError;

/// Why a command has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server refused.
    Server {
        /// The first word of its answer.
        code: String,
        /// The rest.
        text: String,
    },
    /// No connection, no answer in time, or the connection broke.
    Broken(String),
    /// The connection cannot be encrypted.
    Tls(String),
    /// The answer is larger than any that was asked for.
    TooLarge,
    /// The answer has another form than the command's.
    Unexpected(&'static str),
    /// What the configuration names is not there.
    Missing(String),
}

/// Refusals that may pass, by the code of the answer.
const REFUSALS: [(&str, &str); 16] = [
    ("OOM", "the server's memory is full (OOM)"),
    (
        "NOREPLICAS",
        "too few replicas are connected to the server (NOREPLICAS)",
    ),
    ("MISCONF", "the server cannot write to its disk (MISCONF)"),
    ("READONLY", "the server is a read-only replica (READONLY)"),
    ("LOADING", "the server is loading its data (LOADING)"),
    ("CLUSTERDOWN", "the cluster is down (CLUSTERDOWN)"),
    ("TRYAGAIN", "the cluster is moving the log (TRYAGAIN)"),
    (
        "MASTERDOWN",
        "the replica has lost its primary (MASTERDOWN)",
    ),
    ("MOVED", "another node of the cluster has the log (MOVED)"),
    ("ASK", "the cluster is moving the log (ASK)"),
    ("BUSY", "the server is busy with a script (BUSY)"),
    ("UNBLOCKED", "the server has become a replica (UNBLOCKED)"),
    ("WRONGPASS", "the server refuses the password (WRONGPASS)"),
    ("NOAUTH", "the server asks for a password (NOAUTH)"),
    ("NOPERM", "the server's user lacks a permission (NOPERM)"),
    ("WRONGTYPE", "a key of the log has another type (WRONGTYPE)"),
];

/// What refusals within a script say instead of a code.
const IN_SCRIPTS: [(&str, &str); 3] = [
    ("against a read only replica", "READONLY"),
    ("ACL failure in script", "NOPERM"),
    ("The user executing the script can't", "NOPERM"),
];

/// Refusals after which the primary may be another server.
const MOVES: [&str; 6] = [
    "READONLY",
    "CLUSTERDOWN",
    "MASTERDOWN",
    "MOVED",
    "ASK",
    "UNBLOCKED",
];

/// Refusals of a command within a script. The others are refusals of the script as a whole: once a script has written,
/// the server does not ask again whether its memory is full, whether it has enough replicas or whether it may write
/// (`scriptVerifyOOM`, `scriptVerifyWriteCommandAllow`), does not kill the script (`SCRIPT KILL` answers `UNKILLABLE`), and
/// puts all that it wrote into one transaction of the append-only file and of its replicas. What is left is what a batch
/// meets half-way: permissions of the user that were taken away, keys that another program has put there, and ids
/// that it has added to the log.
///
/// A subscription event is not stored then without its change, because the script tries that first (`check` in
/// `append.lua`). An update may be: without the key that finds a repeated one, without its id in the index, or, of an
/// event, without its place in the list by which old ones are deleted. Its batch is settled as one that failed half-way.
const HALF_WAY: [&str; 2] = ["NOPERM", "WRONGTYPE"];

/// What to do if a command is not permitted.
pub(crate) const PERMIT: &str =
    "permit the user this command, and all keys that begin with the name of the stream in braces";

/// What waiting does not mend, by the code of the answer, and what to do.
const LASTING: [(&str, &str); 4] = [
    (
        "WRONGPASS",
        "set the username and password that the server knows",
    ),
    ("NOAUTH", "set the password of the server"),
    ("NOPERM", PERMIT),
    ("WRONGTYPE", "set another name for the stream"),
];

/// What a server answers that has too many clients for now.
const CROWDED: &str = "max number of clients";

impl Fault {
    pub(crate) fn of_server(error: &ServerError) -> Self {
        let fault = |code: &str, text: &str| Self::Server {
            code: code.to_owned(),
            text: text.to_owned(),
        };
        let text = error.details().unwrap_or_default();
        // Within a script, servers put the code behind another one, or have other words for it.
        let inner = REFUSALS.iter().map(|(code, _)| *code).find(|code| {
            text.strip_prefix('-')
                .is_some_and(|text| text.starts_with(code))
        });
        let inner = inner.or_else(|| {
            let words = IN_SCRIPTS.iter().find(|(words, _)| text.contains(words));
            words.map(|(_, code)| *code)
        });
        match (error.code(), inner) {
            ("ERR", Some(code)) => fault(code, text),
            (code, _) => fault(code, text),
        }
    }

    /// What broke the connection.
    pub(crate) fn of_connection(error: &RedisError) -> Self {
        match error.source().and_then(|source| source.downcast_ref()) {
            Some(error) => Self::of_io(error),
            None => Self::Broken(error.to_string()),
        }
    }

    pub(crate) fn of_io(error: &std::io::Error) -> Self {
        let tls = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(error) => Self::Tls(error.to_string()),
            None => Self::Broken(error.to_string()),
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

    /// Whether the server refused with this code.
    pub(crate) fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Server { code, .. } if code == wanted)
    }

    /// Whether to ask anew which server is the primary.
    pub(crate) fn loses_primary(&self) -> bool {
        match self {
            Self::Server { code, .. } => MOVES.contains(&code.as_str()),
            Self::Unexpected(_) | Self::Missing(_) => false,
            Self::Broken(_) | Self::Tls(_) | Self::TooLarge => true,
        }
    }

    /// What it means once the node has entered: that it passes.
    pub(crate) fn later(self) -> BackendError {
        match self {
            Self::Server { code, text } => {
                match REFUSALS.iter().find(|(known, _)| *known == code) {
                    Some((_, said)) => BackendError::Refusing(said),
                    None => BackendError::Away(format!("the server answered: {code} {text}")),
                }
            }
            Self::Broken(why) => BackendError::Away(why),
            Self::Tls(why) => BackendError::Away(format!("no encrypted connection: {why}")),
            Self::TooLarge => BackendError::Away("the server's answer is too large".to_owned()),
            Self::Unexpected(what) => {
                BackendError::Away(format!("the server's answer has another form than {what}"))
            }
            Self::Missing(what) => BackendError::Away(what),
        }
    }

    /// What it means to a script that changes several things: it may have been refused after it had changed some.
    pub(crate) fn half_way(self) -> BackendError {
        let is_late = HALF_WAY.iter().any(|code| self.is(code));
        match self.later() {
            BackendError::Refusing(said) if is_late => BackendError::Away(said.to_owned()),
            error => error,
        }
    }

    /// What it means before the node has entered: what does not mend itself is fatal.
    pub(crate) fn at_start(self) -> BackendError {
        let fatal = |problem: String, remedy: &str| BackendError::Fatal {
            problem,
            remedy: remedy.to_owned(),
        };
        match self {
            Self::Server { code, text } => {
                let lasting = LASTING.iter().find(|(known, _)| *known == code);
                match lasting {
                    Some((_, remedy)) => {
                        fatal(format!("the server answered: {code} {text}"), remedy)
                    }
                    None if code == "ERR" && !text.starts_with(CROWDED) => fatal(
                        format!("the server answered: {text}"),
                        "check the version and the settings of the server",
                    ),
                    None => Self::Server { code, text }.later(),
                }
            }
            Self::Tls(why) => fatal(
                format!("no encrypted connection to the server: {why}"),
                "check the host name, the CA and the client certificate",
            ),
            Self::Missing(what) => fatal(what, "check the name and the addresses"),
            other => other.later(),
        }
    }
}

//! The logs: what each holds, where it goes, and how a line looks.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::filter::LevelFilter;

use crate::levels::Levels;
use crate::settings::log_form::{LogForm, LogStyle};

/// The name of the logger of requests.
pub const ACCESS_LOGGER: &str = "http.log.access";

/// Every log of the program.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogsSettings {
    /// The levels of the default log; `None` if nothing says more than [`LogSettings::level`].
    pub levels: Option<Levels>,
    /// The form that takes precedence over that of the default log, and over that of logs without one.
    pub form: Option<LogForm>,
    /// The log `default`, which has what no other log has taken out of it.
    pub default: LogSettings,
    /// Whether the default log has been written.
    pub names_default: bool,
    /// The other logs.
    pub others: Vec<LogSettings>,
    /// Whether logs without a level have everything (`debug`).
    pub debug: bool,
    /// Whether requests are logged with their tokens and cookies (`log_credentials`).
    pub shows_credentials: bool,
}

impl LogsSettings {
    /// The levels of the default log.
    pub fn levels(&self) -> Levels {
        match (&self.levels, self.default.level) {
            (Some(levels), _) => levels.clone(),
            (None, Some(level)) => Levels::from(level),
            (None, None) => Levels::from(self.usual()),
        }
    }

    /// The level of a log that names none.
    pub fn usual(&self) -> LevelFilter {
        match self.debug {
            true => LevelFilter::DEBUG,
            false => LevelFilter::INFO,
        }
    }

    /// The logs that have what a logger writes, for a report: where they go.
    pub fn outputs_of<'l>(&'l self, logger: &'l str) -> impl Iterator<Item = &'l LogOutput> {
        let all = std::iter::once(&self.default).chain(&self.others);
        all.filter(move |log| log.takes(logger))
            .map(|log| &log.output)
    }
}

/// One log.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogSettings {
    /// Its name.
    pub name: String,
    /// Where its lines go.
    pub output: LogOutput,
    /// How a line looks.
    pub style: LogStyle,
    /// The least severe level; `None` for what `debug` says.
    pub level: Option<LevelFilter>,
    /// The loggers whose lines it has; empty for all.
    pub include: Vec<String>,
    /// The loggers whose lines it has not.
    pub exclude: Vec<String>,
    /// Which of many equal lines are written; `None` for all.
    pub sampling: Option<LogSampling>,
}

impl LogSettings {
    /// Whether it has the lines of a logger. Of `include` and `exclude` the longer name counts.
    pub fn takes(&self, logger: &str) -> bool {
        let longest = |names: &[String]| {
            let fitting = names.iter().filter(|name| is_within(logger, name));
            fitting.map(String::len).max()
        };
        match (longest(&self.include), longest(&self.exclude)) {
            (included, Some(excluded)) => included.is_some_and(|included| included > excluded),
            (Some(_), None) => true,
            (None, None) => self.include.is_empty(),
        }
    }
}

/// Whether a logger is the one of this name, or within it: `http.log.access.log0` is within `http.log`.
fn is_within(logger: &str, name: &str) -> bool {
    let rest = logger.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || name.is_empty())
}

/// Which of many equal lines a log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSampling {
    /// How long lines are counted together.
    pub interval: Duration,
    /// How many of them are written first.
    pub first: u64,
    /// Of those that follow, each that has this place is written; 0 for none.
    pub thereafter: u64,
}

impl Default for LogSampling {
    /// The values of the existing server.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1),
            first: 100,
            thereafter: 100,
        }
    }
}

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LogOutput {
    /// Standard error.
    #[default]
    Stderr,
    /// Standard output.
    Stdout,
    /// Nowhere.
    Discard,
    /// A file.
    File(LogFileSettings),
    /// A server.
    Net(LogNetSettings),
}

impl fmt::Display for LogOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stderr => f.write_str("standard error"),
            Self::Stdout => f.write_str("standard output"),
            Self::Discard => f.write_str("nowhere"),
            Self::File(file) => write!(f, "{}", file.path.display()),
            Self::Net(net) => write!(f, "{net}"),
        }
    }
}

/// A server to which lines are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogNetSettings {
    /// How it is spoken to.
    pub network: LogNetwork,
    /// Host and port, or a path.
    pub address: String,
    /// How long an attempt to connect takes at most.
    pub dial_timeout: Duration,
}

impl fmt::Display for LogNetSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let network = match self.network {
            LogNetwork::Tcp => "tcp",
            LogNetwork::Udp => "udp",
            LogNetwork::Unix => "unix",
            LogNetwork::UnixDatagram => "unixgram",
        };
        write!(f, "{network}/{}", self.address)
    }
}

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogNetwork {
    /// By a TCP connection.
    Tcp,
    /// By one UDP datagram for each line.
    Udp,
    /// By a connection through a socket in the file system.
    Unix,
    /// By one datagram for each line, through a socket in the file system.
    UnixDatagram,
}

/// Which loggers a site's requests have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessLogSettings {
    /// The loggers; none if requests are not logged.
    pub loggers: Vec<AccessLogger>,
}

/// A logger of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLogger {
    /// Its whole name: [`ACCESS_LOGGER`], or that with a dot and a name behind it.
    pub logger: String,
    /// The hosts whose requests it has; empty for all.
    pub hosts: Vec<String>,
    /// Whether it has only requests for which `log_name` names it.
    pub is_named_only: bool,
}

impl AccessLogger {
    /// Whether it has the requests for a host.
    pub fn is_for(&self, host: &str) -> bool {
        let is_one = |name: &String| match name.strip_prefix("*.") {
            Some(rest) => host.split_once('.').is_some_and(|(first, after)| {
                !first.is_empty() && after.eq_ignore_ascii_case(rest)
            }),
            None => name.eq_ignore_ascii_case(host),
        };
        !self.is_named_only && (self.hosts.is_empty() || self.hosts.iter().any(is_one))
    }

    /// The whole name of the logger that `log_name` names.
    pub fn called(name: &str) -> String {
        match name {
            "" => ACCESS_LOGGER.to_owned(),
            name => format!("{ACCESS_LOGGER}.{name}"),
        }
    }
}

/// A file to which lines are added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFileSettings {
    /// Its path.
    pub path: PathBuf,
    /// Who may read and write it, as `chmod` says it.
    pub mode: u32,
    /// When another file takes its place; `None` for never.
    pub roll: Option<RollSettings>,
}

impl LogFileSettings {
    /// Who may read and write a file unless the configuration says otherwise: its owner.
    pub const MODE: u32 = 0o600;
}

/// When a file is moved away for a new one, and which of those that were moved are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RollSettings {
    /// The bytes from which on it is moved away.
    pub size: u64,
    /// How many are kept.
    pub keep: usize,
    /// How long they are kept.
    pub keep_for: Duration,
    /// Whether they are compressed.
    pub compress: bool,
}

impl Default for RollSettings {
    /// The values of the existing server.
    fn default() -> Self {
        Self {
            size: 100 << 20,
            keep: 10,
            keep_for: Duration::from_secs(90 * 24 * 3600),
            compress: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The longer name of `include` and `exclude` counts, and names are cut at dots.
    #[test]
    fn a_log_takes_what_its_names_say() {
        let log = |include: &[&str], exclude: &[&str]| LogSettings {
            include: include.iter().map(|&name| name.to_owned()).collect(),
            exclude: exclude.iter().map(|&name| name.to_owned()).collect(),
            ..LogSettings::default()
        };
        for (include, exclude, logger, takes) in [
            (&[][..], &[][..], "http", true),
            (&["http.log"], &[], "http.log.access", true),
            (&["http.log"], &[], "http.logs", false),
            (&["http.log"], &[], "http", false),
            (&[], &["http.log"], "http.log.access", false),
            (&[], &["http.log"], "http.handlers.mercure", true),
            (&["http"], &["http.log"], "http.log.access", false),
            (&["http.log"], &["http"], "http.log.access", true),
            (&["http.log"], &["http"], "http.x", false),
        ] {
            let log = log(include, exclude);
            assert_eq!(log.takes(logger), takes, "{include:?} {exclude:?} {logger}");
        }
    }

    #[test]
    fn loggers_are_for_hosts() {
        let logger = AccessLogger {
            logger: ACCESS_LOGGER.to_owned(),
            hosts: vec!["a.test".to_owned(), "*.b.test".to_owned()],
            is_named_only: false,
        };
        for (host, is_for) in [
            ("a.test", true),
            ("A.test", true),
            ("x.b.test", true),
            ("b.test", false),
            ("x.y.b.test", false),
            ("c.test", false),
        ] {
            assert_eq!(logger.is_for(host), is_for, "{host}");
        }
    }
}

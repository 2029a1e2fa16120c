//! The logs in force: which of them has a record, and how each writes it.

use std::sync::Arc;

use talaria_config::Error;
use talaria_config::settings::{ACCESS_LOGGER, LogForm, LogOutput, LogSettings, LogsSettings};
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::filter;
use super::output::{self, Sink};
use super::record::Record;
use super::sample::Sample;
use super::style::Style;

/// The target of the records of requests, by which `RUST_LOG` names them.
const ACCESS_TARGET: &str = "talaria_server::access";

/// The logs in force.
#[derive(Debug)]
pub(super) struct Logs {
    default: Log,
    others: Vec<Log>,
    /// What the default log has of the program's events.
    targets: Targets,
}

#[derive(Debug)]
struct Log {
    settings: LogSettings,
    level: LevelFilter,
    style: Style,
    sink: Option<Arc<Sink>>,
    sample: Option<Sample>,
}

impl Logs {
    /// Opens the places of all logs.
    ///
    /// # Errors
    /// A file cannot be opened, or the system refuses a thread.
    pub(super) fn open(settings: &LogsSettings) -> Result<Self, Error> {
        let usual = settings.usual();
        let form = settings.form;
        let open = |log: &LogSettings, form| {
            let style = output::style(log, form);
            Ok::<_, Error>(Log {
                level: log.level.unwrap_or(usual),
                sink: output::open(&log.output, &style)?,
                sample: log.sampling.map(Sample::new),
                settings: log.clone(),
                style,
            })
        };
        let others = settings.others.iter().map(|log| {
            let is_stream = matches!(log.output, LogOutput::Stderr | LogOutput::Stdout);
            let form = form.filter(|_| is_stream && log.style.form.is_none());
            open(log, form)
        });
        Ok(Self {
            default: open(&settings.default, form)?,
            others: others.collect::<Result<_, _>>()?,
            targets: settings.levels().into(),
        })
    }

    /// Takes over from others: the lines that say how many were dropped look as these logs do.
    pub(super) fn install(&self) {
        for log in self.others.iter().chain([&self.default]) {
            output::follow(&log.settings.output, &log.style);
        }
    }

    /// What the program must note, so that each log has what it should.
    pub(super) fn targets(&self) -> Targets {
        let others = self.others.iter().filter(|log| log.sink.is_some());
        // Those of sites have requests alone, which do not come by `tracing`.
        let others = others.filter(|log| log.has_events());
        let Some(most) = others.map(|log| log.level).max() else {
            return self.targets.clone();
        };
        let default = self.targets.default_level().unwrap_or(LevelFilter::OFF);
        let named = self.targets.iter();
        Targets::new()
            .with_default(default.max(most))
            .with_targets(named.map(|(target, level)| (target.to_owned(), level.max(most))))
    }

    /// Whether the default log shows each refusal, and does not count those that repeat.
    pub(super) fn is_debugging(&self) -> bool {
        let levels = self.targets.iter().map(|(_, level)| level);
        let most = levels.chain(self.targets.default_level()).max();
        most.is_some_and(|most| most >= LevelFilter::DEBUG)
    }

    /// Writes a record of the program to each log that has it.
    pub(super) fn write(&self, record: &Record, target: &str) {
        if self.targets.would_enable(target, &record.level) {
            self.default.write(record);
        }
        for log in &self.others {
            if record.level <= log.level {
                log.write(record);
            }
        }
    }

    /// Writes a record of a request.
    pub(super) fn write_access(&self, record: &Record) {
        self.write(record, ACCESS_TARGET);
    }

    /// Whether a log has what this logger writes.
    pub(super) fn has(&self, logger: &str) -> bool {
        let wants = |log: &Log| {
            log.sink.is_some() && log.level >= LevelFilter::ERROR && log.settings.takes(logger)
        };
        let of_default =
            wants(&self.default) && self.targets.would_enable(ACCESS_TARGET, &Level::ERROR);
        of_default || self.others.iter().any(wants)
    }

    /// Writes a record to the default log, unless that goes to standard error.
    pub(super) fn write_elsewhere(&self, record: &Record) {
        if self.default.settings.output != LogOutput::Stderr {
            self.default.write(record);
        }
    }

    /// The line that ends the log, if the default log goes to standard error, in a form for programs.
    pub(super) fn line_for_stderr(&self, record: &Record) -> Option<String> {
        let is_stderr = self.default.settings.output == LogOutput::Stderr;
        let is_json = self.default.style.form == LogForm::Json;
        (is_stderr && is_json).then(|| self.default.line(record))
    }
}

impl Log {
    /// Whether it has records that are not of requests.
    fn has_events(&self) -> bool {
        let include = &self.settings.include;
        include.is_empty() || !include.iter().all(|name| is_of_requests(name))
    }

    fn write(&self, record: &Record) {
        let Some(sink) = &self.sink else {
            return;
        };
        let samples = self.sample.as_ref();
        if self.settings.takes(&record.logger) && samples.is_none_or(|one| one.has(record)) {
            sink.push(self.line(record).as_bytes());
        }
    }

    fn line(&self, record: &Record) -> String {
        let fields = filter::shown(&record.fields, &self.settings.style.steps);
        self.style.line(record, &fields)
    }
}

/// Whether a logger is one of requests.
fn is_of_requests(logger: &str) -> bool {
    let rest = logger.strip_prefix(ACCESS_LOGGER);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

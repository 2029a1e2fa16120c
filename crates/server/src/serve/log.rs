//! The logs: each event and each request is one line, written by a thread for which nothing waits. Where lines go,
//! what each log has and how it looks is the configuration's; a reload exchanges all of it.

mod events;
mod file;
mod filter;
mod logs;
mod net;
mod output;
mod queue;
mod record;
mod rolling;
mod sample;
mod sampling;
mod secrets;
mod shared;
mod style;
mod times;
mod tokens;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use talaria_config::Error;
use talaria_config::settings::{LogOutput, LogSettings, LogsSettings};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::Handle;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::events::Recorder;
use self::logs::Logs;
use self::output::Sink;
pub(crate) use self::record::{Field, Record, Value};
use self::sampling::Sampling;
pub(crate) use self::secrets::{Clean, Head, topics};
use crate::serve::clock::unix_now;

/// How long the end of the process waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_millis(500);
/// How long it waits for the error that ended it to be written.
const LAST_ERROR: Duration = Duration::from_secs(2);

/// The logs in force, for requests.
static CURRENT: OnceLock<Arc<ArcSwap<Logs>>> = OnceLock::new();

/// The log of this process. Dropping it waits for the last lines, as [`Log::finish`] does.
pub(crate) struct Log {
    logs: Arc<ArcSwap<Logs>>,
    sampling: Arc<Sampling>,
    levels: Handle<Targets, Registry>,
    /// Standard error, for the error that ends the process.
    stderr: Option<Arc<Sink>>,
}

/// Logs of another configuration, whose places are open.
pub(crate) struct Prepared(Logs);

impl Log {
    /// Starts logging. Panics are logged too, because the standard hook waits for standard error.
    ///
    /// # Errors
    ///
    /// A file cannot be opened, the system refuses a thread, or this process logs already.
    pub(crate) fn start(settings: &LogsSettings) -> Result<Self, Error> {
        const WHAT: &str = "the log cannot be started";
        let logs = Logs::open(settings)?;
        let usual = output::style(&LogSettings::default(), settings.form);
        let stderr = output::open(&LogOutput::Stderr, &usual)?;
        logs.install();
        let (targets, levels) = tracing_subscriber::reload::Layer::new(logs.targets());
        let logs = Arc::new(ArcSwap::from_pointee(logs));
        let sampling = Arc::new(Sampling::default());
        let recorder = Recorder {
            logs: Arc::clone(&logs),
            sampling: Arc::clone(&sampling),
        };
        let subscriber = tracing_subscriber::registry().with(targets).with(recorder);
        let started = subscriber.try_init();
        started.map_err(|error| Error::new(WHAT).caused_by(error))?;
        // It is empty, because a process has one subscriber.
        _ = CURRENT.set(Arc::clone(&logs));
        std::panic::set_hook(Box::new(report_panic));
        Ok(Self {
            logs,
            sampling,
            levels,
            stderr,
        })
    }

    /// Opens the places of other logs, which [`install`](Self::install) puts in force.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub(crate) fn prepare(settings: &LogsSettings) -> Result<Prepared, Error> {
        Logs::open(settings).map(Prepared)
    }

    /// Logs to other logs from now on. What waits for the old ones is still written.
    pub(crate) fn install(&self, Prepared(logs): Prepared) {
        logs.install();
        let targets = logs.targets();
        self.logs.store(Arc::new(logs));
        if let Err(error) = self.levels.reload(targets) {
            tracing::warn!(name: "log_levels_unchanged", %error, "the levels of the log stay as they are");
        }
    }

    /// Writes the error that ended the hub, after the lines that were logged before, and waits 2 s at most until
    /// it is written.
    pub(crate) fn failure(&self, error: &Error) {
        let record = Record {
            level: tracing::Level::ERROR,
            time: unix_now(),
            logger: "talaria".into(),
            event: "failed",
            message: in_one_line(error),
            fields: Vec::new(),
        };
        let logs = self.logs.load();
        let line = logs.line_for_stderr(&record).unwrap_or_else(|| {
            logs.write_elsewhere(&record);
            format!("error: {error}\n")
        });
        if let Some(stderr) = &self.stderr {
            stderr.push(line.as_bytes());
            stderr.finish(LAST_ERROR);
        }
    }

    /// Logs again and again how many refusals were left out.
    pub(crate) fn count_refusals(&self) -> impl Future<Output = ()> + use<> {
        Arc::clone(&self.sampling).run()
    }

    /// Logs how many refusals were left out since the last count.
    pub(crate) fn count_last_refusals(&self) {
        self.sampling.count(Duration::ZERO);
    }

    /// Waits for the last lines, 0.5 s at most, because their reader may be gone.
    pub(crate) fn finish(&self) {
        output::finish(LAST_LINES);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.finish();
    }
}

/// How many lines were dropped since the process began, because the place where they go was too slow.
pub(crate) fn dropped() -> u64 {
    queue::dropped()
}

/// Whether a log has what this logger of requests writes.
pub(crate) fn has_access(logger: &str) -> bool {
    CURRENT.get().is_some_and(|logs| logs.load().has(logger))
}

/// Writes the line of a request.
pub(crate) fn write_access(record: &Record) {
    if let Some(logs) = CURRENT.get() {
        logs.load().write_access(record);
    }
}

/// An error in one line, for an event: the remedy follows a semicolon.
pub(crate) fn in_one_line(error: &Error) -> String {
    error.to_string().replace("\n  ", "; ")
}

fn report_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let backtrace = Backtrace::capture();
    let captured = backtrace.status() == BacktraceStatus::Captured;
    tracing::error!(
        name: "panic",
        thread = thread.name(),
        location = panic.location().map(tracing::field::display),
        backtrace = captured.then(|| tracing::field::debug(&backtrace)),
        "panic: {}",
        panic.payload_as_str().unwrap_or("without a message")
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Read as _};

    use serde_json::Value;

    /// A panic is logged with its place and message.
    #[test]
    fn a_panic_is_logged() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let panicking = in_a_separate_process(writer.into());
        assert!(panicking.wait_with_output().unwrap().status.success());
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        let line = text.lines().find(|line| line.contains("panic"));
        let line: Value = serde_json::from_str(line.expect("a line")).expect("JSON");
        assert_eq!(line["level"], "error");
        assert_eq!(line["event"], "panic");
        assert_eq!(line["msg"], "panic: a broken invariant");
        assert_eq!(line["thread"], "worker");
        let location = line["location"].as_str().unwrap();
        assert!(
            location.starts_with("crates/server/src/serve/log.rs:"),
            "{line}"
        );
    }

    /// A panic does not wait for the log to be read, as it would with the standard hook.
    #[test]
    fn a_panic_does_not_wait_for_a_reader() {
        let (_reader, mut writer) = std::io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        while io::Write::write(&mut writer, b"-").is_ok() {}
        rustix::io::ioctl_fionbio(&writer, false).unwrap();
        let mut panicking = in_a_separate_process(writer.into());
        for _ in 0..1000 {
            if let Some(status) = panicking.try_wait().unwrap() {
                assert!(status.success());
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panicking.kill().unwrap();
        panic!("a panic waits for the log");
    }

    const CHILD: &str = "TALARIA_LOG_TEST_PANICS";

    /// Runs [`a_process_that_panics`] in a separate process, because a process sets its log only once.
    fn in_a_separate_process(stderr: std::process::Stdio) -> std::process::Child {
        std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "serve::log::tests::a_process_that_panics",
                "--nocapture",
            ])
            .env(CHILD, "1")
            .stdout(std::process::Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap()
    }

    #[test]
    fn a_process_that_panics() {
        if std::env::var_os(CHILD).is_none() {
            return;
        }
        let _log = Log::start(&LogsSettings::default()).unwrap();
        let thread = std::thread::Builder::new().name("worker".to_owned());
        let thread = thread.spawn(|| panic!("a broken {}", "invariant"));
        assert!(thread.unwrap().join().is_err());
    }
}

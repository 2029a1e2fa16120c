//! The log: each event is one line on standard error, written by a thread for which nothing waits; and the files
//! of access logs, each with such a thread.

mod file;
mod queue;
mod rolling;
mod sampling;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::io::{self, IsTerminal as _};
use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use talaria_config::Error;
use talaria_config::levels::Levels;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer as _;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Format, Writer, format};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload::Handle;
use tracing_subscriber::util::SubscriberInitExt as _;

pub(crate) use file::LogFile;
use queue::Queue;
use sampling::{Sampled, Sampling};

/// The most bytes of a line; longer ones are cut.
const LINE_BYTES: usize = 16 * 1024;
/// How long the end of the process waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_millis(500);
/// How long it waits for the error that ended it to be written.
const LAST_ERROR: Duration = Duration::from_secs(2);

/// The log of this process. Dropping it waits for the last lines, as [`Log::finish`] does.
pub(crate) struct Log {
    queue: Arc<Queue>,
    sampling: Arc<Sampling>,
    levels: Handle<Targets, Registry>,
}

impl Log {
    /// Starts logging. Panics are logged too, because the standard hook waits for standard error.
    ///
    /// # Errors
    ///
    /// The system refuses a thread, or this process logs already.
    pub(crate) fn start(levels: Levels) -> Result<Self, Error> {
        const WHAT: &str = "the log cannot be started";
        let queue = Queue::start(io::stderr());
        let queue = queue.map_err(|error| Error::new(WHAT).caused_by(error))?;
        let layer = tracing_subscriber::fmt::layer()
            .event_format(Line(format().with_target(false)))
            .with_ansi(io::stderr().is_terminal())
            // Errors of formatting would be written to standard error, which may block.
            .log_internal_errors(false)
            .with_writer(Lines(Arc::clone(&queue)));
        let sampling = Arc::new(Sampling::default());
        let layer = layer.with_filter(Sampled(Arc::clone(&sampling)));
        let (targets, levels) = tracing_subscriber::reload::Layer::new(Targets::from(levels));
        let subscriber = tracing_subscriber::registry().with(targets).with(layer);
        let started = subscriber.try_init();
        started.map_err(|error| Error::new(WHAT).caused_by(error))?;
        std::panic::set_hook(Box::new(report_panic));
        Ok(Self {
            queue,
            sampling,
            levels,
        })
    }

    /// Logs by other levels from now on.
    pub(crate) fn follow(&self, levels: Levels) {
        if let Err(error) = self.levels.reload(levels) {
            tracing::warn!(%error, "the levels of the log stay as they are");
        }
    }

    /// Writes the error that ended the hub, after the lines that were logged before, and waits 2 s at most until
    /// it is written.
    pub(crate) fn failure(&self, error: &Error) {
        self.queue.push(format!("error: {error}\n").as_bytes());
        self.queue.finish(LAST_ERROR);
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
        self.queue.finish(LAST_LINES);
        file::finish(LAST_LINES);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.finish();
    }
}

/// How many lines of this log and of those of requests were dropped so far, because their reader was too slow.
pub(crate) fn dropped() -> u64 {
    queue::DROPPED.load(Ordering::Relaxed)
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
        thread = thread.name(),
        location = panic.location().map(tracing::field::display),
        backtrace = captured.then(|| tracing::field::debug(&backtrace)),
        "panic: {}",
        panic.payload_as_str().unwrap_or("without a message")
    );
}

/// Formats an event as one line of at most [`LINE_BYTES`], so that neither the queue nor the
/// buffer that each thread keeps for formatting grows with what a client sends.
struct Line(Format);

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let ansi = writer.has_ansi_escapes();
        let mut bounded = Bounded {
            writer: writer.by_ref(),
            room: LINE_BYTES,
            cut: false,
        };
        let format = self.0.clone().with_ansi(ansi);
        format.format_event(context, Writer::new(&mut bounded), event)?;
        if bounded.cut {
            writer.write_str("…\n")?;
        }
        Ok(())
    }
}

/// Passes on as many whole characters as there is room for, and leaves out the rest.
struct Bounded<'a> {
    writer: Writer<'a>,
    room: usize,
    cut: bool,
}

impl fmt::Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.cut {
            return Ok(());
        }
        let fits = text.floor_char_boundary(self.room);
        self.cut = fits < text.len();
        self.room -= fits;
        self.writer.write_str(text.get(..fits).unwrap_or_default())
    }
}

/// Hands each formatted event to the queue.
struct Lines(Arc<Queue>);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Queue;

    fn make_writer(&'a self) -> Self::Writer {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    /// Runs `log`, and returns the lines that it wrote.
    fn logged(log: impl FnOnce()) -> String {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let queue = Queue::start(writer).unwrap();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(Line(format().with_target(false)))
            .with_ansi(false)
            .with_writer(Lines(Arc::clone(&queue)));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            log();
            tracing::info!("the last line");
        });
        let mut text = Vec::new();
        while !text.ends_with(b"the last line\n") {
            let mut some = [0; 4096];
            let read = reader.read(&mut some).unwrap();
            text.extend_from_slice(&some[..read]);
        }
        String::from_utf8(text).unwrap()
    }

    /// No target, topic or header field of a client makes a line longer than its bound, wherever it stands in
    /// the line, and characters stay whole.
    #[test]
    fn a_line_is_bounded() {
        for long in ["x".repeat(1 << 20), "ä€🦀".repeat(1 << 18)] {
            let text = logged(|| {
                tracing::info!(path = long, "a path");
                tracing::info!(path = ?long, "a quoted path");
                tracing::info!(peer = 1, "{long}");
            });
            let lines: Vec<_> = text.lines().collect();
            assert_eq!(lines.len(), 4);
            for line in &lines[..3] {
                assert!(
                    line.ends_with('…') && line.len() < LINE_BYTES + 4,
                    "{}",
                    line.len()
                );
                assert!(line.len() > LINE_BYTES - 4, "{}", line.len());
            }
        }
        let text = logged(|| tracing::info!(path = "x".repeat(LINE_BYTES / 2), "short enough"));
        assert!(text.contains("short enough") && !text.contains('…'));
    }

    /// A panic is logged with its place and message.
    #[test]
    fn a_panic_is_logged() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let panicking = in_a_separate_process(writer.into());
        assert!(panicking.wait_with_output().unwrap().status.success());
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert!(
            text.contains("ERROR panic: a broken invariant thread=\"worker\" location="),
            "{text}"
        );
        assert!(
            text.contains("location=crates/server/src/serve/log.rs:"),
            "{text}"
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
        let _log = Log::start(Levels::default()).unwrap();
        let thread = std::thread::Builder::new().name("worker".to_owned());
        let thread = thread.spawn(|| panic!("a broken {}", "invariant"));
        assert!(thread.unwrap().join().is_err());
    }
}

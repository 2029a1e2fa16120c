//! The log: standard error, one line an event, written by a thread that nothing waits for.

mod levels;
mod queue;
mod sampling;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::io::{self, IsTerminal as _};
use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::time::Duration;

use tracing::{Event, Subscriber};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Format, Writer, format};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use levels::{Levels, VARIABLE};
use queue::Queue;
use sampling::{Sampled, Sampling};

/// Bytes of one line; what a client sends into a longer one is cut.
const LINE_BYTES: usize = 16 * 1024;
/// How long the end of the process waits for the last lines to be written.
const LAST_LINES: Duration = Duration::from_millis(500);
/// The same for the error that ends it.
const LAST_ERROR: Duration = Duration::from_secs(2);

/// The log of this process. Dropping it waits for the last lines, as [`Log::finish`] does.
pub struct Log {
    queue: Arc<Queue>,
    sampling: Arc<Sampling>,
}

impl Log {
    /// Starts logging; panics are logged too, since the standard hook waits for standard error.
    ///
    /// # Errors
    ///
    /// There is no thread to be had, or this process logs already.
    pub fn start(levels: Levels) -> Result<Self, String> {
        let queue = Queue::start(io::stderr());
        let queue = queue.map_err(|error| format!("the log cannot be started: {error}"))?;
        let layer = tracing_subscriber::fmt::layer()
            .event_format(Line(format().with_target(false)))
            .with_ansi(io::stderr().is_terminal())
            // What cannot be formatted would be reported on standard error, which may block.
            .log_internal_errors(false)
            .with_writer(Lines(Arc::clone(&queue)));
        let sampling = Arc::new(Sampling::default());
        let layer = layer.with_filter(Sampled(Arc::clone(&sampling)));
        let subscriber = tracing_subscriber::registry()
            .with(Targets::from(levels))
            .with(layer);
        let started = subscriber.try_init();
        started.map_err(|error| format!("the log cannot be started: {error}"))?;
        std::panic::set_hook(Box::new(report_panic));
        Ok(Self { queue, sampling })
    }

    /// Writes the one error message of a hub that failed, behind what was logged before it, and waits 2 s
    /// at most until it is written.
    pub fn failure(&self, error: &str) {
        self.queue.push(format!("error: {error}\n").as_bytes());
        self.queue.finish(LAST_ERROR);
    }

    /// Logs how many refusals were left out, again and again.
    pub fn count_refusals(&self) -> impl Future<Output = ()> + use<> {
        Arc::clone(&self.sampling).run()
    }

    /// Logs how many were left out of those since the last count.
    pub fn count_last_refusals(&self) {
        self.sampling.count(Duration::ZERO);
    }

    /// Waits for the last lines, 0.5 s at most: their reader may be gone.
    pub fn finish(&self) {
        self.queue.finish(LAST_LINES);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.finish();
    }
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

/// Passes on what there is room for, whole characters only, and leaves out the rest.
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

    /// Runs `log` with a log of its own, and returns what that wrote.
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

    /// A client chooses targets, topics and header fields; none of them makes a line longer than its bound,
    /// wherever in the line it is, and characters stay whole.
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

    /// A panic is an event of the log, with place and message.
    #[test]
    fn a_panic_is_logged() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let panicking = in_a_process_of_its_own(writer.into());
        assert!(panicking.wait_with_output().unwrap().status.success());
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert!(
            text.contains("ERROR panic: a broken invariant thread=\"worker\" location="),
            "{text}"
        );
        assert!(
            text.contains("location=crates/server/src/log.rs:"),
            "{text}"
        );
    }

    /// It waits for nobody who reads the log; the standard hook would.
    #[test]
    fn a_panic_does_not_wait_for_a_reader() {
        let (_reader, mut writer) = std::io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        while io::Write::write(&mut writer, b"-").is_ok() {}
        rustix::io::ioctl_fionbio(&writer, false).unwrap();
        let mut panicking = in_a_process_of_its_own(writer.into());
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

    /// Runs [`a_process_that_panics`] with the log of a whole process, which is set once.
    fn in_a_process_of_its_own(stderr: std::process::Stdio) -> std::process::Child {
        std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "log::tests::a_process_that_panics",
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

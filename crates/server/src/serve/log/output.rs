//! Where lines go: each place has one queue and one thread, whatever logs write to it.

use std::io::{self, IsTerminal as _};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use talaria_config::Error;
use talaria_config::settings::{LogForm, LogOutput, LogSettings};

use super::queue::Queue;
use super::shared::Shared;
use super::style::Style;
use super::{file, net};

/// The places that are open, so that several logs may write to one, and so that the end of the process can wait for
/// the last lines.
static PLACES: Mutex<Vec<Place>> = Mutex::new(Vec::new());

/// A place, and what a reload may change about it.
struct Place {
    /// What it is: of a file, its path alone.
    output: LogOutput,
    sink: Weak<Sink>,
    queue: Arc<Queue>,
    shared: Shared,
}

/// A place to which lines go. Nothing waits for it; where it is too slow, lines are counted instead.
#[derive(Debug)]
pub(super) struct Sink(Arc<Queue>);

impl Sink {
    /// Adds a line, its ending included.
    pub(super) fn push(&self, line: &[u8]) {
        self.0.push(line);
    }

    /// Waits until its lines are written, at most this long.
    pub(super) fn finish(&self, limit: Duration) {
        self.0.finish(limit);
    }
}

impl Drop for Sink {
    /// Its thread writes what waits, and ends.
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Opens the place of a log; `None` if its lines go nowhere.
///
/// # Errors
/// A file cannot be opened, or the system refuses a thread.
pub(super) fn open(output: &LogOutput, style: &Style) -> Result<Option<Arc<Sink>>, Error> {
    if *output == LogOutput::Discard {
        return Ok(None);
    }
    let roll = match output {
        LogOutput::File(file) => file.roll,
        _ => None,
    };
    let key = key(output);
    let mut places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
    // The queue of a place that is used no more is closed, and no other writes to it.
    places.retain(|place| place.sink.strong_count() > 0 || Arc::strong_count(&place.queue) > 1);
    let known = places.iter().filter(|place| place.output == key);
    let mut open = known.filter_map(|place| Some((place.sink.upgrade()?, &place.shared)));
    if let Some((sink, shared)) = open.next() {
        shared.roll_by(roll);
        return Ok(Some(sink));
    }
    let shared = Shared::new(roll, style);
    let queue = start(output, &shared)?;
    let sink = Arc::new(Sink(Arc::clone(&queue)));
    places.push(Place {
        output: key,
        sink: Arc::downgrade(&sink),
        queue,
        shared,
    });
    Ok(Some(sink))
}

/// Says how the line looks from now on that says how many were dropped.
pub(super) fn follow(output: &LogOutput, style: &Style) {
    let places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
    let key = key(output);
    for place in places.iter().filter(|place| place.output == key) {
        place.shared.look_like(style);
    }
}

/// What tells places apart: a file has one queue, however it is rolled.
fn key(output: &LogOutput) -> LogOutput {
    let mut key = output.clone();
    if let LogOutput::File(file) = &mut key {
        file.roll = None;
        file.mode = 0;
    }
    key
}

fn start(output: &LogOutput, shared: &Shared) -> Result<Arc<Queue>, Error> {
    let slow = |what: &'static str| {
        let shared = shared.clone();
        move |dropped| shared.notice(what, dropped)
    };
    let started = match output {
        LogOutput::Stdout => {
            let notice = slow("standard output is not read fast enough");
            Queue::start(io::stdout(), |_| {}, notice)
        }
        LogOutput::File(settings) => {
            return file::start(
                settings,
                shared.clone(),
                slow("the disk is not fast enough"),
            );
        }
        LogOutput::Net(settings) => {
            net::start(settings.clone(), slow("the server does not take them"))
        }
        LogOutput::Stderr | LogOutput::Discard => {
            let notice = slow("standard error is not read fast enough");
            Queue::start(io::stderr(), |_| {}, notice)
        }
    };
    started.map_err(|error| {
        Error::new(format!("the log to {output} cannot be started")).caused_by(error)
    })
}

/// Waits until the lines of all places are written, at most this long for all of them.
pub(super) fn finish(limit: Duration) {
    let places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
    let queues: Vec<_> = places
        .iter()
        .map(|place| Arc::clone(&place.queue))
        .collect();
    drop(places);
    let began = crate::serve::clock::monotonic();
    for queue in queues {
        queue.finish(limit.saturating_sub(began.elapsed()));
    }
}

/// How a log writes its lines: as it says, or else as suits the place. `form` takes precedence over both where it counts.
pub(super) fn style(log: &LogSettings, form: Option<LogForm>) -> Style {
    let is_terminal = match log.output {
        LogOutput::Stderr => io::stderr().is_terminal(),
        LogOutput::Stdout => io::stdout().is_terminal(),
        _ => false,
    };
    let usual = match is_terminal {
        true => LogForm::Console,
        false => LogForm::Json,
    };
    Style {
        form: form.or(log.style.form).unwrap_or(usual),
        notation: log.style.notation.clone(),
        colors: is_terminal && has_colors(|name| std::env::var_os(name)),
    }
}

/// Whether the terminal shows colours: unless `NO_COLOR` is set, or `TERM` says that it cannot.
fn has_colors(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> bool {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && variable("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_are_refused() {
        for (variables, expected) in [
            (&[][..], true),
            (&[("NO_COLOR", "")], true),
            (&[("NO_COLOR", "1")], false),
            (&[("TERM", "xterm")], true),
            (&[("TERM", "dumb")], false),
        ] {
            let variable = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| value.into())
            };
            assert_eq!(has_colors(variable), expected, "{variables:?}");
        }
    }
}

//! A history without a hub, and how it is filled.

use std::path::Path;
use std::sync::Arc;

use talaria_protocol::Update;
use talaria_transport::history::{Directory, History, HistoryOptions, SyncMode};
use talaria_transport::{Admit, Frame, Ring, Route, Transport, Verdict};

use crate::clock::{now_ns, per_second, unix_milliseconds};
use crate::error::Problem;
use crate::print;

/// Of how many updates one has an id that its publisher chose.
pub(crate) const CHOSEN: u64 = 100;
/// How many updates are handed over before their outcomes are awaited.
const FLIGHT: u64 = 4_096;

/// The default options.
pub(crate) fn options() -> HistoryOptions {
    HistoryOptions::new(Arc::new(unix_milliseconds))
}

/// Options for filling: nothing is synced, because that is not what is measured.
pub(crate) fn filling() -> HistoryOptions {
    let mut options = options();
    options.sync = SyncMode::Never;
    options
}

/// Opens a history.
///
/// # Errors
/// When it cannot be opened.
pub(crate) fn open(path: &Path, options: HistoryOptions) -> Result<Arc<History>, Problem> {
    let directory = Directory::open(path).map_err(Problem::history)?;
    let history = History::open(Arc::new(directory), options).map_err(Problem::history)?;
    Ok(Arc::new(history))
}

/// The router's part, without subscribers: feeds the ring, and answers publishers.
struct Ringing(Arc<Ring>);

impl Route for Ringing {
    fn route(&self, group: &[Arc<Frame>], acknowledge: &mut dyn FnMut()) {
        self.0.extend(group);
        acknowledge();
    }
}

/// Starts committing.
pub(crate) fn start(history: &Arc<History>) {
    history.start(Arc::new(Ringing(Arc::clone(history.ring()))));
}

/// A reader of everything, or of one topic.
pub(crate) enum Reader {
    /// Reads every update.
    Everything,
    /// Reads the updates of one topic.
    Topic(String),
}

impl Admit for Reader {
    fn judge(&self, frame: &Frame) -> Verdict {
        let admitted = match self {
            Self::Everything => true,
            Self::Topic(topic) => frame.topics.iter().any(|other| **other == **topic),
        };
        admitted.into()
    }

    fn exact_topics(&self) -> Option<Vec<&str>> {
        match self {
            Self::Everything => None,
            Self::Topic(topic) => Some(vec![topic]),
        }
    }
}

/// One of the topics.
pub(crate) fn topic(number: u64) -> String {
    format!("https://example.com/topics/{number}")
}

/// The id that the publisher of an update chose.
pub(crate) fn chosen(number: u64) -> String {
    format!("urn:example:{number}")
}

/// An update with `payload` bytes of data.
pub(crate) fn update(topic: String, payload: usize, id: Option<String>) -> Update {
    Update {
        topics: vec![topic],
        data: "x".repeat(payload),
        id,
        ..Update::default()
    }
}

/// Publishes updates to topics in turn, without waiting for each, and prints how fast.
///
/// # Errors
/// When an update is not stored.
pub(crate) async fn fill(
    history: &History,
    updates: u64,
    payload: usize,
    topics: u64,
) -> Result<(), Problem> {
    let begun = now_ns();
    let mut done = 0;
    while done < updates {
        let flight: Vec<_> = (done..updates.min(done + FLIGHT))
            .map(|number| {
                let id = number.is_multiple_of(CHOSEN).then(|| chosen(number));
                history.append(update(topic(number % topics.max(1)), payload, id))
            })
            .collect();
        done += flight.len() as u64;
        for append in flight {
            append.await.map_err(Problem::history)?;
        }
    }
    print::line(format_args!(
        "filled with {updates} updates of {payload} bytes over {topics} topics, {:.0}/s without sync",
        per_second(updates, now_ns() - begun)
    ))?;
    Ok(())
}

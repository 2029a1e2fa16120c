//! `talaria bench history`: the history by itself, inside this process: opening, look-ups, replays,
//! resumes by topic, and the durable publish rate beside a bare `write` and `fdatasync`.

mod durable;
mod segments;
mod stored;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::time::{ClockId, clock_gettime};
use talaria_protocol::Update;
use talaria_transport::history::{Directory, History, HistoryOptions};
use talaria_transport::{Admit, Frame, Route, Transport, Verdict};

use crate::args::HistoryArgs;
use crate::clock::unix_milliseconds;

/// Runs the measurements that are asked for; all of them if none is.
pub fn main(args: &HistoryArgs) -> Result<bool, String> {
    args.check()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let scratch = Scratch::new(&args.path)?;
    println!(
        "in {}; times are of this machine, ratios of this run",
        scratch.0.display()
    );
    runtime.block_on(async {
        if let Some(segments) = args.segments {
            segments::measure(segments, args, &scratch).await?;
            return Ok(true);
        }
        if !args.durable {
            stored::measure(args, &scratch).await?;
        }
        if !args.stored {
            durable::measure(args, &scratch).await?;
        }
        Ok(true)
    })
}

/// A directory that is removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(parent: &Path) -> Result<Self, String> {
        let path = parent.join(format!("talaria-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .map_err(|error| format!("--path {}: {error}", parent.display()))?;
        Ok(Self(path))
    }

    fn directory(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{}: {error}; remove it", self.0.display());
        }
    }
}

fn options() -> HistoryOptions {
    HistoryOptions::new(Arc::new(unix_milliseconds))
}

fn open(path: &Path, options: HistoryOptions) -> Result<Arc<History>, String> {
    let directory = Directory::open(path).map_err(|error| error.to_string())?;
    let history = History::open(Arc::new(directory), options).map_err(|error| error.to_string())?;
    Ok(Arc::new(history))
}

/// The router's part, without subscribers: the ring is fed, publishers are answered.
struct Ringing(Arc<talaria_transport::Ring>);

impl Route for Ringing {
    fn route(&self, group: &[Arc<Frame>], acknowledge: &mut dyn FnMut()) {
        self.0.extend(group);
        acknowledge();
    }
}

fn start(history: &Arc<History>) {
    history.start(Arc::new(Ringing(Arc::clone(history.ring()))));
}

/// A reader of everything, or of one topic.
enum Reader {
    Everything,
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

fn topic(number: u64) -> String {
    format!("https://example.com/topics/{number}")
}

fn update(topic: String, payload: usize, id: Option<String>) -> Update {
    Update {
        topics: vec![topic],
        data: "x".repeat(payload),
        id,
        ..Update::default()
    }
}

/// Processor time of this process, in nanoseconds.
fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or_default()
}

fn ms(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

fn per_second(count: u64, nanoseconds: u64) -> f64 {
    count as f64 * 1e9 / nanoseconds.max(1) as f64
}

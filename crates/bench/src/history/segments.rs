//! A history of many segments: how soon it opens, what look-ups and resumes cost, and the memory it takes. The
//! updates are holes, except the first one of each segment.

use std::path::Path;
use std::sync::Arc;

use talaria_transport::history::{Directory, History, Simulated};
use talaria_transport::{Bounds, Transport};

use super::args::HistoryArgs;
use super::lookups;
use super::scratch::{Scratch, files};
use super::store::{Reader, open, options, start, topic, update};
use crate::clock::{ms, now_ns, own_cpu_ns};
use crate::error::Problem;
use crate::histogram::Histogram;
use crate::print;
use crate::process::Usage;

/// The bytes of a segment, and its updates.
const BYTES: u64 = 16 << 20;
const UPDATES: u64 = 256;
/// The updates with the rare topic.
const RARE: u64 = 64;
const RARE_TOPIC: &str = "https://example.com/rare";
/// How many chosen ids are looked up, and how often the rare topic is resumed.
const LOOK_UPS: u64 = 2_000;
const RESUMES: u64 = 20;
/// The bytes that the hub reads at a time.
const PAGE: usize = 32 << 10;
const PATIENCE_MS: u64 = 600_000;

/// Writes the segments, and measures them.
///
/// # Errors
/// When the history fails.
pub(crate) async fn measure(
    segments: u64,
    args: &HistoryArgs,
    scratch: &Scratch,
) -> Result<(), Problem> {
    let path = scratch.join("segments");
    write(segments, args, &path)?;
    let before = Usage::own()?.resident;
    report_opening(&path, "without tiers")?;
    make_tiers(segments, &path).await?;
    let history = report_opening(&path, "with tiers")?;
    first_look_up(&history).await?;
    lookups::time_unknown(&history).await?;
    chosen(&history, segments).await?;
    let (first, later, found) = resumes(&history).await?;
    let resident = Usage::own()?.resident;
    print::line(format_args!(
        "resident memory: {} MiB, of which the process had {} before it opened the history",
        resident >> 20,
        before >> 20
    ))?;
    drop(history);
    let small = small(args, scratch, found).await?;
    print::line(format_args!(
        "CPU of a resume of {found} updates of a rare topic: first {:.1} µs, later {:.1} µs; in a history of only these {:.1} µs and {:.1} µs: {:.2} and {:.2} times",
        first / 1e3,
        later / 1e3,
        small.0 / 1e3,
        small.1 / 1e3,
        first / small.0.max(1.0),
        later / small.1.max(1.0)
    ))?;
    Ok(())
}

fn id(position: u64) -> String {
    format!("urn:example:chosen:{position}")
}

/// The position of the first update of a segment, counted from 0.
fn first_of(segment: u64) -> u64 {
    segment * UPDATES + 1
}

fn write(segments: u64, args: &HistoryArgs, path: &Path) -> Result<(), Problem> {
    let begun = now_ns();
    let directory = Directory::open(path).map_err(Problem::history)?;
    let apart = (segments / RARE).max(1);
    let topic_of = |position: u64| {
        let segment = (position - 1) / UPDATES;
        let is_rare = position == first_of(segment) && segment.is_multiple_of(apart);
        match is_rare {
            true => RARE_TOPIC.to_owned(),
            false => topic(position % args.topics),
        }
    };
    let simulated = Simulated {
        segments,
        bytes: BYTES,
        updates: UPDATES,
        payload: args.payload,
    };
    let written = simulated.write(&directory, topic_of, id);
    written.map_err(Problem::history)?;
    print::line(format_args!(
        "wrote {segments} segments of {} MiB and {UPDATES} updates over {} topics, each with a chosen id: {:.1} GiB, in {:.1} s",
        BYTES >> 20,
        args.topics,
        (segments * BYTES) as f64 / f64::from(1 << 30),
        ms(now_ns() - begun) / 1e3
    ))
}

fn report_opening(path: &Path, how: &str) -> Result<Arc<History>, Problem> {
    let before = Usage::own()?.resident;
    let begun = now_ns();
    let history = open(path, options())?;
    let took = now_ns() - begun;
    print::line(format_args!(
        "open {how}: {:.1} ms, memory grown by {} KiB",
        ms(took),
        Usage::own()?.resident.saturating_sub(before) >> 10
    ))?;
    Ok(history)
}

/// Opens the history until all tiers are made.
async fn make_tiers(segments: u64, path: &Path) -> Result<(), Problem> {
    // Large ones of 4,096 segments, and small ones of 64.
    let expected = segments / 4_096 + segments % 4_096 / 64;
    let begun = now_ns();
    let history = open(path, options())?;
    let made = || files(path, "tier").count() as u64;
    while made() != expected {
        if ms(now_ns() - begun) > PATIENCE_MS as f64 {
            return Err(Problem::Count {
                found: made(),
                expected,
            });
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let took = now_ns() - begun;
    drop(history);
    let lengths = files(path, "tier").filter_map(|path| path.metadata().ok());
    let bytes: u64 = lengths.map(|metadata| metadata.len()).sum();
    print::line(format_args!(
        "made {expected} tiers in {:.1} s, {} MiB",
        ms(took) / 1e3,
        bytes >> 20
    ))
}

async fn first_look_up(history: &History) -> Result<(), Problem> {
    let begun = now_ns();
    let first = history.position_of("urn:example:unknown").await;
    first.map_err(Problem::history)?;
    print::line(format_args!(
        "first look-up of an unknown id: {:.3} ms",
        ms(now_ns() - begun)
    ))
}

/// Times the look-ups of ids that publishers chose, all over the history.
async fn chosen(history: &History, segments: u64) -> Result<(), Problem> {
    let mut times = Histogram::default();
    for number in 0..LOOK_UPS {
        // A prime, so that the segments come in no order.
        let id = id(first_of(number * 7_919 % segments));
        let begun = now_ns();
        let lookup = history.position_of(&id).await;
        let lookup = lookup.map_err(Problem::history)?;
        times.record(now_ns() - begun);
        if !matches!(lookup, talaria_transport::Lookup::Found(_)) {
            return Err(Problem::Lookup {
                what: id,
                found: format!("{lookup:?}"),
            });
        }
    }
    print::line(format_args!(
        "look-up of ids chosen by a publisher, of all ages: p50 {:.4} ms, p99 {:.4} ms",
        times.quantile_ms(0.5).unwrap_or_default(),
        times.quantile_ms(0.99).unwrap_or_default()
    ))
}

/// The processor time of the first resume of the rare topic and of later ones, and how many updates it has.
async fn resumes(history: &History) -> Result<(f64, f64, u64), Problem> {
    let cpu = own_cpu_ns();
    let found = resume(history).await?;
    let first = own_cpu_ns() - cpu;
    let cpu = own_cpu_ns();
    for _ in 0..RESUMES {
        resume(history).await?;
    }
    let later = own_cpu_ns() - cpu;
    Ok((first as f64, later as f64 / RESUMES as f64, found))
}

async fn resume(history: &History) -> Result<u64, Problem> {
    let Bounds { floor, head } = history.bounds();
    let reader = Arc::new(Reader::Topic(RARE_TOPIC.to_owned()));
    let (mut from, mut count) = (floor, 0);
    while from < head {
        let page = history.read(from, head, PAGE, Arc::clone(&reader) as _);
        let page = page.await.map_err(Problem::history)?;
        from = page.looked_up_to;
        count += page.frames.len() as u64;
    }
    Ok(count)
}

/// The processor time of the same resumes in a history that holds nothing else.
async fn small(args: &HistoryArgs, scratch: &Scratch, updates: u64) -> Result<(f64, f64), Problem> {
    let path = scratch.join("rare");
    let history = open(&path, options())?;
    start(&history);
    for number in 0..updates {
        let update = update(RARE_TOPIC.to_owned(), args.payload, Some(id(number)));
        history.append(update).await.map_err(Problem::history)?;
    }
    drop(history);
    let history = open(&path, options())?;
    let (first, later, found) = resumes(&history).await?;
    match found == updates {
        true => Ok((first, later)),
        false => Err(Problem::Count {
            found,
            expected: updates,
        }),
    }
}

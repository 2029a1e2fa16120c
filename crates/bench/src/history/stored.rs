//! A history of many updates: how soon it opens, finds ids and replays.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use talaria_transport::history::History;
use talaria_transport::{Bounds, Position, Transport};

use super::args::HistoryArgs;
use super::lookups;
use super::scratch::{Scratch, files};
use super::store::{Reader, fill, filling, open, options, start, topic};
use crate::clock::{ms, now_ns, own_cpu_ns, per_second};
use crate::error::Problem;
use crate::histogram::Histogram;
use crate::print;
use crate::process::Usage;

/// How many first pages are timed.
const PAGES: u64 = 2_000;
/// Updates that follow the kill, so that the newest segment is closed with some.
const AFTERWARDS: u64 = 10_000;
/// The bytes that the hub reads at a time.
const PAGE: usize = 32 << 10;
/// Subscribers that resume, each on one topic.
const RESUMES: u64 = 1_000;

/// Fills a history, and measures it.
///
/// # Errors
/// When the history fails.
pub(crate) async fn measure(args: &HistoryArgs, scratch: &Scratch) -> Result<(), Problem> {
    let path = scratch.join("stored");
    {
        let history = open(&path, filling())?;
        start(&history);
        fill(&history, args.updates, args.payload, args.topics).await?;
    }
    // A kill would not have left the index of the newest segment.
    for path in files(&path, "closed") {
        fs::remove_file(&path).map_err(|error| Problem::File { path, error })?;
    }
    report_opening(args.updates, &path, "after a kill")?;
    {
        let history = open(&path, options())?;
        start(&history);
        fill(&history, AFTERWARDS, args.payload, args.topics).await?;
    }
    report_opening(args.updates + AFTERWARDS, &path, "after a clean stop")?;
    let history = open(&path, options())?;
    start(&history);
    let newest = history.newest_id().unwrap_or_default();
    lookups::measure(&history, &newest, args.updates).await?;
    first_page(&history).await?;
    replay(&history, PAGE).await?;
    replay(&history, 1 << 20).await?;
    let large = resumes(&history, args.topics).await?;
    drop(history);
    compare_resumes(args, scratch, large).await
}

fn report_opening(updates: u64, path: &Path, when: &str) -> Result<(), Problem> {
    let before = Usage::own()?.resident;
    let begun = now_ns();
    let history = open(path, options())?;
    let took = now_ns() - begun;
    let grown = Usage::own()?.resident.saturating_sub(before);
    print::line(format_args!(
        "open {when}: {:.1} ms, memory grown by {} KiB",
        ms(took),
        grown >> 10
    ))?;
    match history.bounds().head {
        Position(found) if found != updates => Err(Problem::Count {
            found,
            expected: updates,
        }),
        _ => Ok(()),
    }
}

async fn first_page(history: &History) -> Result<(), Problem> {
    let Bounds { floor, head } = history.bounds();
    let mut times = Histogram::default();
    for _ in 0..PAGES {
        let begun = now_ns();
        let page = history.read(floor, head, PAGE, Arc::new(Reader::Everything));
        page.await.map_err(Problem::history)?;
        times.record(now_ns() - begun);
    }
    print::line(format_args!(
        "first page of a replay of everything: p50 {:.3} ms, p99 {:.3} ms",
        times.quantile_ms(0.5).unwrap_or_default(),
        times.quantile_ms(0.99).unwrap_or_default()
    ))?;
    Ok(())
}

async fn replay(history: &History, limit: usize) -> Result<(), Problem> {
    let before = Usage::own()?.resident;
    let begun = now_ns();
    let count = read_all(history, limit, &Arc::new(Reader::Everything)).await?;
    let took = now_ns() - begun;
    let grown = Usage::own()?.resident.saturating_sub(before);
    print::line(format_args!(
        "replay of {count} updates in pages of {} KiB: {:.2} M/s, memory grown by {} KiB",
        limit >> 10,
        per_second(count, took) / 1e6,
        grown >> 10
    ))?;
    Ok(())
}

/// Reads the whole history in pages, and returns how many updates the reader admitted.
async fn read_all(history: &History, limit: usize, reader: &Arc<Reader>) -> Result<u64, Problem> {
    let Bounds { floor, head } = history.bounds();
    let (mut from, mut count) = (floor, 0);
    while from < head {
        let page = history.read(from, head, limit, Arc::clone(reader) as _);
        let page = page.await.map_err(Problem::history)?;
        from = page.looked_up_to;
        count += page.frames.len() as u64;
    }
    Ok(count)
}

/// The processor time of subscribers that resume from the oldest update, each on one topic.
async fn resumes(history: &History, topics: u64) -> Result<u64, Problem> {
    let subscribers = RESUMES.min(topics);
    let (begun, cpu) = (now_ns(), own_cpu_ns());
    let mut count = 0;
    for subscriber in 0..subscribers {
        let reader = Arc::new(Reader::Topic(topic(subscriber * (topics / subscribers))));
        count += read_all(history, PAGE, &reader).await?;
    }
    let cpu = own_cpu_ns() - cpu;
    print::line(format_args!(
        "{subscribers} resumes of one topic each among {topics}: {count} updates, {:.1} ms, {:.1} µs of CPU each",
        ms(now_ns() - begun),
        cpu as f64 / 1e3 / subscribers as f64
    ))?;
    Ok(cpu)
}

/// Compares the resumes, which took `large` nanoseconds, with resumes in a history without other topics.
async fn compare_resumes(args: &HistoryArgs, scratch: &Scratch, large: u64) -> Result<(), Problem> {
    let path = scratch.join("small");
    let history = open(&path, filling())?;
    start(&history);
    let subscribers = RESUMES.min(args.topics);
    let updates = subscribers * (args.updates / args.topics.max(1)).max(1);
    fill(&history, updates, args.payload, subscribers).await?;
    drop(history);
    let history = open(&path, options())?;
    start(&history);
    let small = resumes(&history, subscribers).await?;
    print::line(format_args!(
        "CPU of {subscribers} resumes, {} topics against {subscribers}: {:.2} times",
        args.topics,
        large as f64 / small.max(1) as f64
    ))?;
    Ok(())
}

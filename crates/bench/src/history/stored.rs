//! A history with many updates in it: how soon it opens, finds and replays.

use std::sync::Arc;

use talaria_transport::history::{History, SyncMode};
use talaria_transport::{Bounds, Lookup, Position, Transport};

use super::{Reader, Scratch, cpu_ns, ms, open, options, per_second, start, topic, update};
use crate::args::HistoryArgs;
use crate::clock::now_ns;
use crate::histogram::Histogram;
use crate::process::Usage;

/// One update in so many has an id that its publisher chose.
const CHOSEN: u64 = 100;
/// Updates handed over before any is awaited.
const FLIGHT: u64 = 4_096;
const LOOK_UPS: u64 = 2_000;
/// Updates that follow the kill, so that the newest segment is closed with some.
const AFTERWARDS: u64 = 10_000;
/// What the hub asks for at a time, in bytes.
const PAGE: usize = 32 << 10;
/// Subscribers that resume, of one topic each.
const RESUMES: u64 = 1_000;

pub async fn measure(args: &HistoryArgs, scratch: &Scratch) -> Result<(), String> {
    let path = scratch.directory("stored");
    {
        let mut filling = options();
        filling.sync = SyncMode::Never;
        let history = open(&path, filling)?;
        start(&history);
        fill(&history, args.updates, args.payload, args.topics).await?;
    }
    for file in std::fs::read_dir(&path).into_iter().flatten().flatten() {
        // What a kill would not have left: the index of the newest segment.
        if file
            .path()
            .extension()
            .is_some_and(|extension| extension == "closed")
        {
            std::fs::remove_file(file.path()).map_err(|error| error.to_string())?;
        }
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
    look_ups(&history, &newest, args.updates).await?;
    first_page(&history).await?;
    replay(&history, PAGE).await?;
    replay(&history, 1 << 20).await?;
    let large = resumes(&history, args.topics).await?;
    drop(history);
    // The same resumes where nobody else publishes.
    let small = scratch.directory("small");
    let mut filling = options();
    filling.sync = SyncMode::Never;
    let history = open(&small, filling)?;
    start(&history);
    let subscribers = RESUMES.min(args.topics);
    let updates = subscribers * (args.updates / args.topics.max(1)).max(1);
    fill(&history, updates, args.payload, subscribers).await?;
    drop(history);
    let history = open(&small, options())?;
    start(&history);
    let small = resumes(&history, subscribers).await?;
    println!(
        "CPU of {subscribers} resumes, {} topics against {subscribers}: {:.2} times",
        args.topics,
        large as f64 / small.max(1) as f64
    );
    retained(args, scratch).await
}

/// Publishes updates over so many topics, without waiting for each.
async fn fill(history: &History, updates: u64, payload: usize, topics: u64) -> Result<(), String> {
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
            append.await.map_err(|error| error.to_string())?;
        }
    }
    println!(
        "filled with {updates} updates of {payload} bytes over {topics} topics, {:.0}/s without sync",
        per_second(updates, now_ns() - begun)
    );
    Ok(())
}

fn chosen(number: u64) -> String {
    format!("urn:example:{number}")
}

fn report_opening(updates: u64, path: &std::path::Path, when: &str) -> Result<(), String> {
    let before = Usage::of(std::process::id())?.resident;
    let begun = now_ns();
    let history = open(path, options())?;
    let took = now_ns() - begun;
    let grown = Usage::of(std::process::id())?
        .resident
        .saturating_sub(before);
    println!(
        "open {when}: {:.1} ms, memory grown by {} KiB",
        ms(took),
        grown >> 10
    );
    if history.bounds().head != Position(updates) {
        return Err(format!("{} updates are there", history.bounds().head));
    }
    Ok(())
}

async fn id_at(history: &History, position: u64) -> Result<String, String> {
    let from = Position(position).back(1);
    let page = history
        .read(from, Position(position), 1, Arc::new(Reader::Everything))
        .await
        .map_err(|error| error.to_string())?;
    let frame = page.frames.first().ok_or("an update is missing")?;
    Ok(frame.event_id.to_string())
}

async fn look_ups(history: &History, newest: &str, filled: u64) -> Result<(), String> {
    let head = history.bounds().head.0;
    // Not a multiple of the share that publishers chose, plus one.
    let own = |position: u64| {
        if (position - 1).is_multiple_of(CHOSEN) {
            position + 1
        } else {
            position
        }
    };
    let oldest_chosen = chosen(0);
    let newest_chosen = chosen((filled - 1) / CHOSEN * CHOSEN);
    let known = [
        ("newest", newest.to_owned()),
        ("middle", id_at(history, own(head / 2)).await?),
        ("oldest", id_at(history, own(2)).await?),
        ("oldest chosen by a publisher", oldest_chosen),
        ("newest chosen by a publisher", newest_chosen),
    ];
    for (what, id) in known {
        time(
            history,
            what,
            |_| id.clone(),
            |lookup| matches!(lookup, Lookup::Found(_)),
        )
        .await?;
    }
    let unknown = |number| format!("urn:example:unknown:{number}");
    time(history, "unknown", unknown, |lookup| {
        *lookup == Lookup::Unknown
    })
    .await
}

pub(super) async fn time(
    history: &History,
    what: &str,
    id: impl Fn(u64) -> String,
    expected: impl Fn(&Lookup) -> bool,
) -> Result<(), String> {
    let mut times = Histogram::default();
    for number in 0..LOOK_UPS {
        let id = id(number);
        let begun = now_ns();
        let lookup = history.position_of(&id).await;
        let lookup = lookup.map_err(|error| error.to_string())?;
        times.record(now_ns() - begun);
        if !expected(&lookup) {
            return Err(format!("look-up of {what}: {lookup:?}"));
        }
    }
    println!(
        "look-up of {what}: p50 {:.4} ms, p99 {:.4} ms",
        times.quantile_ms(0.5).unwrap_or_default(),
        times.quantile_ms(0.99).unwrap_or_default()
    );
    Ok(())
}

async fn first_page(history: &History) -> Result<(), String> {
    let Bounds { floor, head } = history.bounds();
    let mut times = Histogram::default();
    for _ in 0..LOOK_UPS {
        let begun = now_ns();
        let page = history.read(floor, head, PAGE, Arc::new(Reader::Everything));
        page.await.map_err(|error| error.to_string())?;
        times.record(now_ns() - begun);
    }
    println!(
        "first page of a replay of everything: p50 {:.3} ms, p99 {:.3} ms",
        times.quantile_ms(0.5).unwrap_or_default(),
        times.quantile_ms(0.99).unwrap_or_default()
    );
    Ok(())
}

async fn replay(history: &History, limit: usize) -> Result<(), String> {
    let Bounds { floor, head } = history.bounds();
    let before = Usage::of(std::process::id())?.resident;
    let begun = now_ns();
    let (mut from, mut count) = (floor, 0);
    while from < head {
        let page = history.read(from, head, limit, Arc::new(Reader::Everything));
        let page = page.await.map_err(|error| error.to_string())?;
        from = page.looked_up_to;
        count += page.frames.len() as u64;
    }
    let took = now_ns() - begun;
    let grown = Usage::of(std::process::id())?
        .resident
        .saturating_sub(before);
    println!(
        "replay of {count} updates in pages of {} KiB: {:.2} M/s, memory grown by {} KiB",
        limit >> 10,
        per_second(count, took) / 1e6,
        grown >> 10
    );
    Ok(())
}

/// Processor time of subscribers that resume from the oldest update, each of its topic.
async fn resumes(history: &History, topics: u64) -> Result<u64, String> {
    let Bounds { floor, head } = history.bounds();
    let subscribers = RESUMES.min(topics);
    let (begun, cpu) = (now_ns(), cpu_ns());
    let mut count = 0;
    for subscriber in 0..subscribers {
        let reader = Arc::new(Reader::Topic(topic(subscriber * (topics / subscribers))));
        let mut from = floor;
        while from < head {
            let page = history.read(from, head, PAGE, Arc::clone(&reader) as _);
            let page = page.await.map_err(|error| error.to_string())?;
            from = page.looked_up_to;
            count += page.frames.len() as u64;
        }
    }
    let cpu = cpu_ns() - cpu;
    println!(
        "{subscribers} resumes of one topic each among {topics}: {count} updates, {:.1} ms, {:.1} µs of CPU each",
        ms(now_ns() - begun),
        cpu as f64 / 1e3 / subscribers as f64
    );
    Ok(cpu)
}

/// What a history occupies that has deleted most of what it saw.
async fn retained(args: &HistoryArgs, scratch: &Scratch) -> Result<(), String> {
    const KEPT: u64 = 10_000;
    let path = scratch.directory("retained");
    let mut keeping = options();
    keeping.sync = SyncMode::Never;
    keeping.size = Some(KEPT);
    let history = open(&path, keeping)?;
    start(&history);
    let first = history.append(update(topic(0), args.payload, None)).await;
    let first = first.map_err(|error| error.to_string())?.event_id;
    fill(&history, args.updates, args.payload, args.topics).await?;
    time(
        &history,
        "deleted",
        |_| first.clone(),
        |lookup| *lookup == Lookup::Deleted,
    )
    .await?;
    drop(history);
    let files = std::fs::read_dir(&path).into_iter().flatten().flatten();
    let segments = files.filter(|file| {
        let path = file.path();
        path.extension()
            .is_some_and(|extension| extension == "segment")
    });
    let occupied: u64 = segments
        .filter_map(|file| file.metadata().ok())
        .map(|file| file.len())
        .sum();
    let live = scratch.directory("live");
    let history = open(&live, options())?;
    start(&history);
    fill(&history, KEPT, args.payload, args.topics).await?;
    drop(history);
    let files = std::fs::read_dir(&live).into_iter().flatten().flatten();
    let live: u64 = files
        .filter(|file| {
            file.path()
                .extension()
                .is_some_and(|extension| extension == "segment")
        })
        .filter_map(|file| file.metadata().ok())
        .map(|file| file.len())
        .sum();
    println!(
        "with size {KEPT} after {} updates: {:.2} times the live bytes",
        args.updates,
        occupied as f64 / live.max(1) as f64
    );
    Ok(())
}

//! Subscription events are stored beside the history: they have their own bounds, and never displace a
//! publisher's update.

mod journal;
mod pages;
mod retention;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use talaria_protocol::Update;
use talaria_transport::history::inspect::{export, repair, stat, verify};
use talaria_transport::history::{Directory, History, HistoryOptions, SyncMode};
use talaria_transport::{
    Admit, AppendError, Appended, Frame, Health, Lookup, Memory, MemoryOptions, Position,
    Transport, Verdict,
};

use crate::folder::Folder;
use crate::power::model::{Call, Crash, Model};
use crate::suite::{
    ByHub, Everything, Topic, append, block_on, eventually, look_up, places, read, start, update,
};

fn options() -> HistoryOptions {
    HistoryOptions::new(Arc::new(|| 1_000))
}

fn open(model: &Model, options: HistoryOptions) -> Arc<dyn Transport> {
    Arc::new(History::open(model.mount(), options).expect("it opens"))
}

fn in_memory(options: MemoryOptions) -> Arc<dyn Transport> {
    Arc::new(Memory::open(options).expect("a log"))
}

/// The event of the beginning or the end of a subscription.
fn event(subscription: u64, active: bool) -> Update {
    Update {
        topics: vec![format!("/.well-known/mercure/subscriptions/{subscription}")],
        data: format!(
            "{{\n  \"active\": {active},\n  \"payload\": \"{}\"\n}}",
            "p".repeat(300)
        ),
        private: true,
        by_hub: true,
        ..Update::default()
    }
}

fn happen(transport: &Arc<dyn Transport>, subscription: u64, active: bool) -> Appended {
    block_on(transport.append(event(subscription, active))).expect("the event is stored")
}

/// A visit: a subscription begins and ends.
fn visits(transport: &Arc<dyn Transport>, count: u64) {
    for visit in 0..count {
        let both = vec![event(visit, true), event(visit, false)];
        block_on(transport.append_all(both)).expect("the events are stored");
    }
}

fn all(transport: &Arc<dyn Transport>, filter: impl Fn() -> Box<dyn Admit>) -> Vec<Arc<Frame>> {
    struct Boxed(Box<dyn Admit>);
    impl Admit for Boxed {
        fn judge(&self, frame: &Frame) -> Verdict {
            self.0.judge(frame)
        }
        fn by_hub_only(&self) -> bool {
            self.0.by_hub_only()
        }
        fn exact_topics(&self) -> Option<Vec<&str>> {
            self.0.exact_topics()
        }
    }
    let bounds = transport.bounds();
    let mut from = if filter().by_hub_only() {
        Position::ORIGIN
    } else {
        bounds.floor
    };
    let mut frames = Vec::new();
    while from < bounds.head {
        let page = read(transport, from.0, bounds.head.0, 10_000, Boxed(filter()));
        let page = page.expect("a page");
        assert!(page.looked_up_to > from, "a page after {from} goes on");
        from = page.looked_up_to;
        frames.extend(page.frames);
    }
    frames
}

fn everything(transport: &Arc<dyn Transport>) -> Vec<Arc<Frame>> {
    all(transport, || Box::new(Everything))
}

fn events(transport: &Arc<dyn Transport>) -> Vec<u64> {
    places(&all(transport, || Box::new(ByHub)))
}

/// The positions of what publishers published.
fn updates(transport: &Arc<dyn Transport>) -> Vec<u64> {
    let frames = everything(transport);
    let updates = frames.into_iter().filter(|frame| !frame.by_hub);
    updates.map(|frame| frame.position.0).collect()
}

fn bytes_of(model: &Model, kind: &str) -> usize {
    let names = model.names().into_iter();
    let files = names.filter(|name| name.ends_with(kind));
    files.map(|name| model.bytes(&name).len()).sum()
}

/// The newest id is that of the newest position, also if it is an event's.
fn check_newest(history: &Arc<dyn Transport>) {
    let head = history.bounds().head;
    if let Some(id) = history.newest_id() {
        assert_eq!(look_up(history, &id), Lookup::Found(head));
    }
}

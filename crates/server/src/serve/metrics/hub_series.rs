//! What the hubs count: streams, publishes, deliveries, refusals.

use std::collections::BTreeMap;
use std::sync::Arc;

use talaria_hub::statistics::{Counts, Statistics, StreamCount};

use super::families::{Family, Page, Value};

/// Adds the series of hubs by their names.
pub(super) fn add(page: &mut Page, hubs: &BTreeMap<&str, &Arc<Statistics>>) {
    let hubs: Vec<(&str, Counts)> = hubs
        .iter()
        .map(|(name, statistics)| (*name, statistics.counts()))
        .collect();
    existing(page, &hubs);
    streams(page, &hubs);
    updates(page, &hubs);
    one(
        page.histogram(
            "talaria_hub_replay_depth",
            "Updates between the position that a subscriber resumed from and the newest one.",
        ),
        &hubs,
        |counts| counts.replay_depth.clone(),
    );
    many(
        page.counter(
            "talaria_hub_replays",
            "Subscribers that named a position to resume from, by what became of that.",
        ),
        &hubs,
        "result",
        |counts| counts.replays.clone(),
    );
    many(
        page.counter(
            "talaria_hub_refusals",
            "Requests that were refused, by reason.",
        ),
        &hubs,
        "reason",
        |counts| {
            counts
                .refusals
                .iter()
                .map(|(reason, count)| (*reason, *count))
                .collect()
        },
    );
}

/// The names of the existing hub (B-720 to B-722). They have the label `hub` only if hubs have different names.
fn existing(page: &mut Page, hubs: &[(&str, Counts)]) {
    let name = |name| if hubs.len() > 1 { name } else { "" };
    let open = page.gauge("mercure_subscribers_connected", "Open event streams.");
    for (hub, counts) in hubs {
        let streams = counts.streams.iter().map(|streams| streams.open);
        open.add(&[("hub", name(hub))], streams.sum::<u64>());
    }
    let opened = page.counter("mercure_subscribers", "Event streams that were opened.");
    for (hub, counts) in hubs {
        let streams = counts.streams.iter().map(|streams| streams.opened);
        opened.add(&[("hub", name(hub))], streams.sum::<u64>());
    }
    let published = page.counter(
        "mercure_updates",
        "Updates that clients published and that were acknowledged.",
    );
    for (hub, counts) in hubs {
        let updates = counts.published.iter().map(|(_, updates)| updates);
        published.add(&[("hub", name(hub))], updates.sum::<u64>());
    }
}

fn streams(page: &mut Page, hubs: &[(&str, Counts)]) {
    let add = |family: &mut Family, value: fn(&StreamCount) -> u64| {
        for (hub, counts) in hubs {
            for streams in &counts.streams {
                let labels = [
                    ("hub", *hub),
                    ("protocol", streams.protocol),
                    ("generation", streams.generation),
                ];
                family.add(&labels, value(streams));
            }
        }
    };
    add(
        page.gauge(
            "talaria_hub_streams",
            "Open event streams, by version of HTTP and generation of the protocol.",
        ),
        |streams| streams.open,
    );
    add(
        page.counter(
            "talaria_hub_streams_opened",
            "Event streams that were opened, by version of HTTP and generation of the protocol.",
        ),
        |streams| streams.opened,
    );
    many(
        page.counter(
            "talaria_hub_disconnects",
            "Event streams that ended, by reason.",
        ),
        hubs,
        "reason",
        |counts| counts.departures.clone(),
    );
    one(
        page.histogram(
            "talaria_hub_stream_duration_seconds",
            "How long event streams were open that have ended.",
        ),
        hubs,
        |counts| counts.stream_time.clone(),
    );
}

fn updates(page: &mut Page, hubs: &[(&str, Counts)]) {
    many(
        page.counter(
            "talaria_hub_publishes",
            "Updates that clients published and that were acknowledged, by version of HTTP.",
        ),
        hubs,
        "protocol",
        |counts| counts.published.clone(),
    );
    one(
        page.histogram(
            "talaria_hub_publish_duration_seconds",
            "From the head of a publish to its acknowledgement, for each request.",
        ),
        hubs,
        |counts| counts.publish_time.clone(),
    );
    many(
        page.counter(
            "talaria_hub_deliveries",
            "Updates that were handed to the connections of subscribers, by version of HTTP.",
        ),
        hubs,
        "protocol",
        |counts| counts.delivered.clone(),
    );
    many(
        page.counter(
            "talaria_hub_delivery_bytes",
            "Bytes of these updates, by version of HTTP.",
        ),
        hubs,
        "protocol",
        |counts| counts.delivered_bytes.clone(),
    );
    one(page.histogram(
        "talaria_hub_delivery_delay_seconds",
        "From the moment at which an update was stored to that at which a subscriber's connection got it: one observation for each chunk, of its oldest update.",
    ), hubs, |counts| counts.delivery_time.clone());
}

/// Adds one series for each hub.
fn one<V: Into<Value>>(family: &mut Family, hubs: &[(&str, Counts)], value: impl Fn(&Counts) -> V) {
    for (hub, counts) in hubs {
        family.add(&[("hub", *hub)], value(counts));
    }
}

/// Adds a series for each name that a hub counts by.
fn many(
    family: &mut Family,
    hubs: &[(&str, Counts)],
    label: &'static str,
    values: impl Fn(&Counts) -> Vec<(&'static str, u64)>,
) {
    for (hub, counts) in hubs {
        for (name, value) in values(counts) {
            family.add(&[("hub", *hub), (label, name)], value);
        }
    }
}

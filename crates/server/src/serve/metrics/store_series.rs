//! What the logs of the hubs hold, and what is in memory because of them.

use talaria_hub::{Hub, HubFigures};
use talaria_transport::measures::{SharedFigures, Survives};
use talaria_transport::{Health, Position};

use super::families::{Page, Value};
use super::names::by_name;
use crate::serve::control::ServedHub;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gauge,
    Counter,
    Histogram,
}

/// A family with one series for each hub.
struct OfHub {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    /// Whether each hub has its own, and not the log that hubs share.
    is_of_each: bool,
    /// `None` if the hub has no such series.
    value: fn(&HubFigures) -> Option<Value>,
}

const fn gauge(
    name: &'static str,
    help: &'static str,
    value: fn(&HubFigures) -> Option<Value>,
) -> OfHub {
    OfHub {
        name,
        help,
        kind: Kind::Gauge,
        is_of_each: false,
        value,
    }
}

const fn histogram(
    name: &'static str,
    help: &'static str,
    value: fn(&HubFigures) -> Option<Value>,
) -> OfHub {
    OfHub {
        name,
        help,
        kind: Kind::Histogram,
        is_of_each: false,
        value,
    }
}

const fn counter(
    name: &'static str,
    help: &'static str,
    value: fn(&HubFigures) -> Option<Value>,
) -> OfHub {
    OfHub {
        name,
        help,
        kind: Kind::Counter,
        is_of_each: false,
        value,
    }
}

/// What is known of a log that several nodes share.
fn shared<T: Into<Value>>(hub: &HubFigures, value: fn(&SharedFigures) -> T) -> Option<Value> {
    hub.log.shared.as_deref().map(|shared| value(shared).into())
}

/// A position in the log of one process. One in a shared log counts runs in its upper half, so it says nothing of how
/// much there is, and is more than a number of this page holds exactly.
fn alone(hub: &HubFigures, position: Position) -> Option<Value> {
    hub.log.shared.is_none().then(|| position.0.into())
}

fn survives(hub: &HubFigures, value: fn(Survives) -> Option<bool>) -> Option<Value> {
    let shared = hub.log.shared.as_deref()?;
    value(shared.survives).map(|survives| u64::from(survives).into())
}

const OF_HUBS: &[OfHub] = &[
    gauge(
        "talaria_history_newest_position",
        "Position of the newest update; it grows by one with each update and subscription event.",
        |hub| alone(hub, hub.bounds.head),
    ),
    gauge(
        "talaria_history_floor_position",
        "Position up to which updates are no longer kept.",
        |hub| alone(hub, hub.bounds.floor),
    ),
    gauge(
        "talaria_history_bytes",
        "Bytes of the segments of a history on a disk.",
        |hub| hub.log.bytes.map(Value::from),
    ),
    gauge(
        "talaria_history_segments",
        "Segments of a history on a disk.",
        |hub| hub.log.segments.map(Value::from),
    ),
    histogram(
        "talaria_history_sync_duration_seconds",
        "How long the disk took to make updates durable (fsync).",
        |hub| hub.log.syncs.clone().map(Value::from),
    ),
    histogram(
        "talaria_history_group_updates",
        "Updates that were stored together.",
        |hub| Some(hub.groups.clone().into()),
    ),
    gauge(
        "talaria_history_queue_updates",
        "Updates that wait to be stored.",
        |hub| Some(hub.log.waiting.into()),
    ),
    gauge(
        "talaria_history_queue_bytes",
        "Bytes of the updates that wait to be stored.",
        |hub| Some(hub.log.waiting_bytes.into()),
    ),
    gauge(
        "talaria_ring_updates",
        "Newest updates and subscription events that are in memory.",
        |hub| Some(hub.ring_updates.into()),
    ),
    gauge(
        "talaria_ring_bytes",
        "Memory of the newest updates.",
        |hub| Some(hub.ring_bytes.into()),
    ),
    gauge(
        "talaria_hub_interests",
        "Different selections of topics among the open event streams.",
        |hub| Some(hub.interests.into()),
    ),
    gauge(
        "talaria_hub_lane_bytes",
        "Most memory that the lists of new updates of these selections take.",
        |hub| Some(hub.lane_bytes.into()),
    ),
    gauge(
        "talaria_hub_topic_cache_bytes",
        "Memory of what is remembered of topics that were published lately.",
        |hub| Some(hub.topic_cache_bytes.into()),
    ),
    OfHub {
        is_of_each: true,
        ..gauge(
            "talaria_hub_token_cache_bytes",
            "Memory of the tokens that were verified lately.",
            |hub| Some(hub.token_cache_bytes.into()),
        )
    },
    histogram(
        "talaria_cluster_append_duration_seconds",
        "How long the server of a shared log took to store updates.",
        |hub| shared(hub, |shared| shared.appends.clone()),
    ),
    histogram(
        "talaria_cluster_tail_duration_seconds",
        "How long it took from sending an update to the server of a shared log until it was shown here.",
        |hub| shared(hub, |shared| shared.tails.clone()),
    ),
    histogram(
        "talaria_cluster_batch_updates",
        "Updates that were sent to the server of a shared log together.",
        |hub| shared(hub, |shared| shared.batches.clone()),
    ),
    gauge(
        "talaria_cluster_nodes",
        "Nodes that use the shared log.",
        |hub| shared(hub, |shared| shared.members),
    ),
    gauge(
        "talaria_cluster_lag_positions",
        "Positions that this node was behind the shared log at its last beat.",
        |hub| shared(hub, |shared| shared.lag),
    ),
    gauge(
        "talaria_cluster_log_bytes",
        "Bytes that the shared log takes at its server.",
        |hub| hub.log.shared.as_ref()?.bytes.map(Value::from),
    ),
    gauge(
        "talaria_cluster_outbox_age_seconds",
        "How long the oldest update that was published by SQL waited to be moved into the shared log, at the last beat.",
        |hub| hub.log.shared.as_ref()?.outbox.map(Value::from),
    ),
    gauge(
        "talaria_cluster_survives_server_crash",
        "Whether acknowledged updates survive a crash of the shared log's server.",
        |hub| survives(hub, |survives| survives.server),
    ),
    gauge(
        "talaria_cluster_survives_machine_crash",
        "Whether acknowledged updates survive a crash of the machine of the shared log's server.",
        |hub| survives(hub, |survives| survives.machine),
    ),
    gauge(
        "talaria_cluster_survives_failover",
        "Whether acknowledged updates survive that another server takes the place of the shared log's.",
        |hub| survives(hub, |survives| survives.failover),
    ),
    counter(
        "talaria_cluster_pages_read",
        "Parts of the shared log that were read from its server for readers behind the ring.",
        |hub| shared(hub, |shared| shared.pages),
    ),
    counter(
        "talaria_cluster_publishes_refused",
        "Updates that were refused because the server of the shared log could not be used.",
        |hub| shared(hub, |shared| shared.refused),
    ),
    counter(
        "talaria_cluster_publishes_unknown",
        "Updates that were not answered, because it is unknown whether the shared log has them.",
        |hub| shared(hub, |shared| shared.unknown),
    ),
    counter(
        "talaria_cluster_nodes_buried",
        "Nodes that this node took for dead.",
        |hub| shared(hub, |shared| shared.buried),
    ),
    counter(
        "talaria_cluster_updates_lost",
        "Updates that this node had shown and that the server of the shared log has lost.",
        |hub| shared(hub, |shared| shared.lost),
    ),
];

/// What a hub holds, and whether its log counts with it: each log of a name counts once.
struct Held {
    figures: HubFigures,
    has_log: bool,
}

/// What the hubs of a name hold.
fn held(hubs: &[&Hub]) -> Vec<Held> {
    let one = |(place, hub): (usize, &&Hub)| Held {
        figures: hub.figures(),
        has_log: !hubs
            .iter()
            .take(place)
            .any(|earlier| earlier.shares_log_with(hub)),
    };
    hubs.iter().enumerate().map(one).collect()
}

/// Adds the series of the hubs. Those of one name may have several logs, which are added up.
pub(super) fn add(page: &mut Page, hubs: &[ServedHub]) {
    let healthy = page.gauge("talaria_hub_healthy", "Whether updates can be stored.");
    let mut named = Vec::new();
    for (name, hubs) in by_name(hubs) {
        let is_ready = hubs.iter().all(|hub| hub.health() == Health::Ready);
        healthy.add(&[("hub", name)], u64::from(is_ready));
        named.push((name, held(&hubs)));
    }
    for of_hub in OF_HUBS {
        let OfHub { name, help, .. } = *of_hub;
        let family = match of_hub.kind {
            Kind::Histogram => page.histogram(name, help),
            Kind::Gauge => page.gauge(name, help),
            Kind::Counter => page.counter(name, help),
        };
        for (hub, held) in &named {
            let counted = held.iter().filter(|one| one.has_log || of_hub.is_of_each);
            let values = counted.filter_map(|one| (of_hub.value)(&one.figures));
            if let Some(value) = values.reduce(Value::plus) {
                family.add(&[("hub", *hub)], value);
            }
        }
    }
}

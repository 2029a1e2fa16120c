//! The panes that list: limits, reasons, the last refusals, histories and the busiest topics.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::figures::{NONE, amount, bytes, or_none, percent, unit_of};
use super::node::{Answer, Node};
use super::pane::Pane;

/// The limits, the fullest first.
pub(super) fn limits(nodes: &[Node]) -> Pane {
    let mut rows: Vec<(f64, Vec<String>)> = Vec::new();
    for node in nodes {
        let Some(answer) = node.answer() else {
            continue;
        };
        for series in answer.metrics.all("talaria_limit_bound") {
            let (limit, hub) = (series.label("limit"), series.label("hub"));
            let of = |name| answer.metrics.sum(name, &[("limit", limit), ("hub", hub)]);
            let used = of("talaria_limit_used");
            let part = used
                .filter(|_| series.value > 0.0)
                .map(|used| used / series.value);
            let show = unit_of(limit);
            let hub = if hub.is_empty() { "all" } else { hub };
            let row = vec![
                limit.to_owned(),
                whose(nodes, node, hub),
                or_none(used, show),
                show(series.value),
                or_none(part, percent),
                or_none(of("talaria_limit_refusals_total"), amount),
            ];
            rows.push((part.unwrap_or(-1.0), row));
        }
    }
    rows.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    Pane {
        title: "Limits",
        head: vec!["limit", "hub", "used", "bound", "full", "refused"],
        rows: rows.into_iter().map(|(_, row)| row).collect(),
        empty: "no node answers",
    }
}

/// The name of a hub, with that of its node if there are several.
fn whose(nodes: &[Node], node: &Node, hub: &str) -> String {
    match nodes.len() {
        0 | 1 => hub.to_owned(),
        _ => format!("{hub} {}", node.name),
    }
}

/// What was counted by reason, of all nodes together.
pub(super) fn reasons(nodes: &[Node]) -> Pane {
    let mut counts: BTreeMap<(&str, &str), f64> = BTreeMap::new();
    for answer in nodes.iter().filter_map(Node::answer) {
        for (what, name) in [
            ("refused by a hub", "talaria_hub_refusals_total"),
            ("refused before a site", "talaria_requests_refused_total"),
            ("connection refused", "talaria_connections_refused_total"),
            ("disconnected", "talaria_hub_disconnects_total"),
        ] {
            for (reason, count) in answer.metrics.by(name, "reason") {
                *counts.entry((what, reason)).or_default() += count;
            }
        }
    }
    let mut rows: Vec<((&str, &str), f64)> = counts.into_iter().collect();
    rows.retain(|(_, count)| *count > 0.0);
    rows.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let row = |((what, reason), count): ((&str, &str), f64)| {
        vec![what.to_owned(), reason.to_owned(), amount(count)]
    };
    Pane {
        title: "Reasons",
        head: vec!["what", "reason", "since the start"],
        rows: rows.into_iter().map(row).collect(),
        empty: "nothing was refused, and no stream has ended",
    }
}

/// The last refusals of all nodes, the newest first.
pub(super) fn refusals(nodes: &[Node]) -> Pane {
    let mut rows: Vec<(f64, Vec<String>)> = Vec::new();
    for node in nodes {
        let listed = node.answer().map(|answer| list(&answer.state, "refusals"));
        for refusal in listed.unwrap_or_default() {
            let number = |name| refusal.get(name).and_then(Value::as_f64);
            let at = number("at").unwrap_or_default();
            let row = vec![
                time(at),
                whose(nodes, node, string(refusal, "hub")),
                or_none(number("status"), amount),
                string(refusal, "reason").to_owned(),
                or_none(number("count"), amount),
                string(refusal, "sentence").to_owned(),
            ];
            rows.push((at, row));
        }
    }
    rows.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    Pane {
        title: "Refusals",
        head: vec!["time", "hub", "status", "reason", "times", "why"],
        rows: rows.into_iter().map(|(_, row)| row).collect(),
        empty: "none since the start",
    }
}

/// The history of each hub, and its part in a cluster.
pub(super) fn history(nodes: &[Node]) -> Pane {
    let mut rows = Vec::new();
    for node in nodes {
        let Some(answer) = node.answer() else {
            continue;
        };
        for hub in answer.metrics.by("talaria_hub_healthy", "hub").keys() {
            let mut row = vec![whose(nodes, node, hub)];
            row.extend(kept(answer, hub));
            rows.push(row);
        }
        for hub in list(&answer.state, "hubs") {
            for text in list(hub, "storage").iter().filter_map(Value::as_str) {
                let name = whose(nodes, node, string(hub, "name"));
                rows.push(vec![String::new(), format!("{name}: {text}")]);
            }
        }
    }
    Pane {
        title: "History",
        head: vec![
            "hub", "kept", "floor", "newest", "disk", "memory", "waiting", "nodes", "behind",
            "lost",
        ],
        rows,
        empty: "no node answers",
    }
}

/// What the log of a hub holds.
fn kept(answer: &Answer, hub: &str) -> Vec<String> {
    let of = |name: &str| answer.metrics.sum(name, &[("hub", hub)]);
    let floor = of("talaria_history_floor_position");
    let newest = of("talaria_history_newest_position");
    let kept = newest.zip(floor).map(|(newest, floor)| newest - floor);
    let disk = of("talaria_history_bytes").or_else(|| of("talaria_cluster_log_bytes"));
    vec![
        or_none(kept, amount),
        or_none(floor, amount),
        or_none(newest, amount),
        or_none(disk, bytes),
        or_none(of("talaria_ring_bytes"), bytes),
        or_none(of("talaria_history_queue_updates"), amount),
        or_none(of("talaria_cluster_nodes"), amount),
        or_none(of("talaria_cluster_lag_positions"), amount),
        or_none(of("talaria_cluster_updates_lost_total"), amount),
    ]
}

/// The busiest topics of each hub that counts them.
pub(super) fn topics(nodes: &[Node]) -> Pane {
    let mut rows: Vec<(f64, Vec<String>)> = Vec::new();
    let answers = nodes.iter().filter_map(|node| Some((node, node.answer()?)));
    for (node, answer) in answers {
        for hub in list(&answer.state, "hubs") {
            let Some(busiest) = hub.get("busiest") else {
                continue;
            };
            let span = busiest.get("seconds").and_then(Value::as_f64);
            let span = span.unwrap_or_default().max(1.0);
            for busy in list(busiest, "topics") {
                let number = |name| busy.get(name).and_then(Value::as_f64).unwrap_or_default();
                let (count, error) = (number("count"), number("error"));
                let row = vec![
                    whose(nodes, node, string(hub, "name")),
                    amount(count),
                    amount(count - error),
                    amount(count / span),
                    string(busy, "topic").to_owned(),
                ];
                rows.push((count, row));
            }
        }
    }
    rows.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    Pane {
        title: "Topics",
        head: vec!["hub", "publishes", "at least", "a second", "topic"],
        rows: rows.into_iter().map(|(_, row)| row).collect(),
        empty: "none; `busiest_topics` in the mercure block counts them",
    }
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    let list = value.get(name).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

fn string<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or(NONE)
}

/// A time of day on this machine.
fn time(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is beyond the bounds has no date, and the conversion says so"
    )]
    let time = Timestamp::from_second(seconds as i64);
    let shown = time.map(|time| {
        time.to_zoned(TimeZone::system())
            .strftime("%H:%M:%S")
            .to_string()
    });
    shown.unwrap_or_else(|_| NONE.to_owned())
}

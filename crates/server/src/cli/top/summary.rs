//! The panes about traffic: the nodes, what they count, and how long it takes.

use super::figures::{amount, bars, or_none, quantile, seconds};
use super::node::Node;
use super::pane::Pane;

/// The name of an event that is counted, and its series.
type Counted = (&'static str, &'static [&'static str]);

const PUBLISHES: &[&str] = &["talaria_hub_publishes_total"];
const DELIVERIES: &[&str] = &["talaria_hub_deliveries_total"];
const REFUSALS: &[&str] = &[
    "talaria_hub_refusals_total",
    "talaria_requests_refused_total",
    "talaria_connections_refused_total",
];
const TRAFFIC: &[Counted] = &[
    ("publishes", PUBLISHES),
    ("deliveries", DELIVERIES),
    ("bytes delivered", &["talaria_hub_delivery_bytes_total"]),
    ("streams opened", &["talaria_hub_streams_opened_total"]),
    ("streams ended", &["talaria_hub_disconnects_total"]),
    ("refusals", REFUSALS),
    ("processor seconds", &["process_cpu_seconds_total"]),
];
const PUBLISH_TIME: &str = "talaria_hub_publish_duration_seconds";
const DELIVERY_TIME: &str = "talaria_hub_delivery_delay_seconds";
const TIMES: &[(&str, &str)] = &[
    ("publish acknowledged", PUBLISH_TIME),
    ("stored to handed over", DELIVERY_TIME),
    ("fsync", "talaria_history_sync_duration_seconds"),
    (
        "shared log stores",
        "talaria_cluster_append_duration_seconds",
    ),
];

/// One row for each node, and their sum.
pub(super) fn summary(nodes: &[Node]) -> Pane {
    let gauges = ["talaria_connections", "talaria_hub_streams"];
    let counters = [PUBLISHES, DELIVERIES, REFUSALS];
    let gauge = |node: &Node, name: &str| node.answer().and_then(|answer| answer.sum(name));
    let mut rows: Vec<Vec<String>> = nodes
        .iter()
        .map(|node| {
            let mut row = vec![node.name.clone(), condition(node)];
            row.extend(gauges.map(|name| or_none(gauge(node, name), amount)));
            row.extend(counters.map(|names| or_none(node.rate(names), amount)));
            let times = [PUBLISH_TIME, DELIVERY_TIME];
            row.extend(times.map(|name| or_none(node.quantile(name, 0.99), seconds)));
            row
        })
        .collect();
    if nodes.len() > 1 {
        let mut row = vec!["all".to_owned(), String::new()];
        row.extend(gauges.map(|name| {
            let each = nodes.iter().filter_map(|node| gauge(node, name));
            or_none(each.reduce(|sum, one| sum + one), amount)
        }));
        row.extend(counters.map(|names| {
            let each = nodes.iter().filter_map(|node| node.rate(names));
            or_none(each.reduce(|sum, one| sum + one), amount)
        }));
        let times = [PUBLISH_TIME, DELIVERY_TIME];
        row.extend(times.map(|name| or_none(of_all(nodes, name, 0.99), seconds)));
        rows.push(row);
    }
    // Why a node does not answer needs more room than its row has.
    for node in nodes {
        if let Some(failure) = &node.failure {
            let line = failure.lines().next().unwrap_or_default();
            rows.push(vec![String::new(), line.to_owned()]);
        }
    }
    Pane {
        title: "Nodes",
        head: vec![
            "node",
            "state",
            "conns",
            "streams",
            "pub/s",
            "deliv/s",
            "refus/s",
            "pub p99",
            "deliv p99",
        ],
        rows,
        empty: "",
    }
}

/// Whether a node answers, and stores updates.
fn condition(node: &Node) -> String {
    let healthy = node.answer().map(|answer| {
        let hubs = answer.metrics.all("talaria_hub_healthy");
        hubs.iter().all(|hub| hub.value == 1.0)
    });
    match (healthy, &node.failure) {
        (Some(true), _) => "ready",
        (Some(false), _) => "refuses",
        (None, Some(_)) => "silent",
        (None, None) => "asked",
    }
    .to_owned()
}

/// A percentile over several nodes: their observations together.
fn of_all(nodes: &[Node], name: &str, share: f64) -> Option<f64> {
    let mut sums: [Vec<(f64, f64)>; 2] = Default::default();
    for buckets in nodes.iter().filter_map(|node| node.buckets(name)) {
        for (sum, own) in sums.iter_mut().zip(buckets) {
            for (bound, count) in own {
                match sum.iter_mut().find(|(known, _)| *known == bound) {
                    Some((_, known)) => *known += count,
                    None => sum.push((bound, count)),
                }
            }
            sum.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        }
    }
    let [newer, older] = &sums;
    quantile(newer, older, share)
}

/// What is counted, of all nodes together.
pub(super) fn traffic(nodes: &[Node]) -> Pane {
    let row = |(name, names): &Counted| {
        let sum = |node: &Node| {
            let answer = node.answer()?;
            let sums = names.iter().filter_map(|name| answer.sum(name));
            sums.reduce(|sum, one| sum + one)
        };
        let totals = nodes.iter().filter_map(sum);
        let rates = nodes.iter().filter_map(|node| node.rate(names));
        vec![
            (*name).to_owned(),
            or_none(totals.reduce(|sum, one| sum + one), amount),
            or_none(rates.reduce(|sum, one| sum + one), amount),
            bars(together(nodes, names).into_iter()),
        ]
    };
    Pane {
        title: "Traffic",
        head: vec!["of all nodes", "total", "a second", "last minute"],
        rows: TRAFFIC.iter().map(row).collect(),
        empty: "",
    }
}

/// The rates of all nodes, added up from the newest one back.
fn together(nodes: &[Node], names: &[&str]) -> Vec<Option<f64>> {
    let mut sums: Vec<Option<f64>> = Vec::new();
    for node in nodes {
        for (place, rate) in node.rates(names).into_iter().rev().enumerate() {
            match sums.get_mut(place) {
                Some(sum) => {
                    *sum = sum
                        .zip(rate)
                        .map(|(sum, rate)| sum + rate)
                        .or(*sum)
                        .or(rate)
                }
                None => sums.push(rate),
            }
        }
    }
    sums.reverse();
    sums
}

/// How long things take, of all nodes together.
pub(super) fn latencies(nodes: &[Node]) -> Pane {
    let row = |(name, series): &(&str, &str)| {
        let observed = nodes.iter().filter_map(|node| {
            let count = format!("{series}_count");
            node.answer()?.sum(&count)
        });
        let observed = observed.reduce(|sum, one| sum + one)?;
        let mut row = vec![(*name).to_owned(), amount(observed)];
        row.extend([0.5, 0.95, 0.99].map(|share| or_none(of_all(nodes, series, share), seconds)));
        Some(row)
    };
    Pane {
        title: "Latency",
        head: vec!["lately", "in all", "p50", "p95", "p99"],
        rows: TIMES.iter().filter_map(row).collect(),
        empty: "no node answers",
    }
}

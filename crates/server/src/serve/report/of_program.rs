//! What the report says about the program.

use std::fmt::Display;

use talaria_config::settings::{ConfiguredBy, ProgramSettings};
use talaria_hub::limits::Rate;

/// The limits that are set, by their directives.
pub(super) fn listed(limits: impl IntoIterator<Item = (impl Display, Option<String>)>) -> String {
    let set = limits
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name} {}", value?)));
    set.collect::<Vec<_>>().join(", ")
}

/// What configured it, and what its connections may hold.
pub(super) fn lines(configured_by: &ConfiguredBy, settings: &ProgramSettings) -> Vec<String> {
    let connections = &settings.connections;
    let or = |bound: Option<u64>, otherwise: &str| {
        bound.map_or_else(|| otherwise.to_owned(), |bound| bound.to_string())
    };
    let mut lines = vec![
        format!("configuration: {configured_by}"),
        format!(
            "connections: at most {}, of one address {}, with {} streams each over HTTP/2; a head has {} bytes, {} fields and {} s, all of them {} bytes; TLS handshakes at a time: {}; streams end within {} s at a stop",
            or(connections.most, "what the limit of open files allows"),
            or(connections.most_of_address, "as many"),
            connections.streams,
            connections.head.bytes,
            connections.head.fields,
            connections.head.timeout.as_secs_f64(),
            connections.head_memory,
            or(connections.handshakes, "a quarter of the connections"),
            settings.drain_timeout.as_secs_f64(),
        ),
    ];
    let handshakes = connections.handshakes.map(|most| most.to_string());
    let rate = |rate: Option<Rate>| rate.map(|rate| rate.to_string());
    let limits = [
        ("max_handshakes", handshakes),
        ("max_connection_rate", rate(connections.rate)),
        (
            "max_connection_rate_per_address",
            rate(connections.rate_of_address),
        ),
        (
            "max_header_memory",
            Some(connections.head_memory.to_string()),
        ),
    ];
    lines.push(format!("limits: {}", listed(limits)));
    lines.push(match &settings.admin.address {
        Some(address) => format!("admin API on {address}"),
        None => "no admin API".to_owned(),
    });
    let exporter = settings.traces.as_ref().map(|traces| &traces.exporter);
    if let Some(exporter) = exporter {
        lines.push(match exporter {
            Some(exporter) => format!(
                "traces: spans of the sites with `tracing` go to {}",
                exporter.endpoint.split('?').next().unwrap_or_default()
            ),
            None => "traces: no spans are exported (OTEL_TRACES_EXPORTER)".to_owned(),
        });
    }
    if !settings.proxies.is_empty() {
        lines.push(format!(
            "trusted proxies, whose X-Forwarded-Proto, X-Forwarded-Host and X-Forwarded-For count: {}",
            settings.proxies
        ));
    }
    lines
}

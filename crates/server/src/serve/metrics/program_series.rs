//! What the program says of itself: connections, refusals before any hub, reloads, certificates, its log.

use std::time::{SystemTime, UNIX_EPOCH};

use super::families::Page;
use crate::build;
use crate::serve::admission::Admission;
use crate::serve::control::Control;
use crate::serve::counts::{CONNECTIONS, REFUSED_CONNECTIONS, REFUSED_REQUESTS};
use crate::serve::log;
use crate::serve::tls::Tls;

/// Adds the series of the program.
pub(super) fn add(page: &mut Page, control: &Control, admission: Option<&Admission>) {
    let labels = [
        ("version", build::VERSION),
        ("commit", build::COMMIT),
        ("target", build::TARGET),
    ];
    page.gauge(
        "talaria_build_info",
        "The version of the program, its commit and its target, as labels.",
    )
    .add(&labels, 1);
    let last = control.last_reload();
    page.gauge(
        "caddy_config_last_reload_successful",
        "Whether the last configuration reload attempt was successful.",
    )
    .add(&[], u64::from(last.succeeded));
    page.gauge(
        "caddy_config_last_reload_success_timestamp_seconds",
        "Timestamp of the last successful configuration reload.",
    )
    .add(&[], last.at);
    let open = admission.map_or(0, Admission::connections);
    page.gauge("talaria_connections", "Open connections.")
        .add(&[], open);
    let accepted = page.counter(
        "talaria_connections_accepted",
        "Connections that were served, by version of HTTP.",
    );
    for (protocol, count) in CONNECTIONS.each() {
        accepted.add(&[("protocol", protocol)], count);
    }
    let refused = page.counter(
        "talaria_connections_refused",
        "Connections that were not served, by reason.",
    );
    for (reason, count) in REFUSED_CONNECTIONS.each() {
        refused.add(&[("reason", reason)], count);
    }
    let refused = page.counter(
        "talaria_requests_refused",
        "Requests that were refused before they reached a site, by reason.",
    );
    for (reason, count) in REFUSED_REQUESTS.each() {
        refused.add(&[("reason", reason)], count);
    }
    page.counter(
        "talaria_log_lines_dropped",
        "Lines of logs that were dropped because their reader was too slow.",
    )
    .add(&[], log::dropped());
}

/// Adds since when the certificates are valid, and when they expire.
pub(super) fn add_certificates(page: &mut Page, tls: &Tls) {
    let validities = tls.validities();
    let seconds = |at: SystemTime| {
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_secs_f64()
    };
    let start = page.gauge(
        "talaria_certificate_start_timestamp_seconds",
        "Since when the certificate of a name is valid.",
    );
    for (name, validity) in &validities {
        start.add(&[("name", name)], seconds(validity.start));
    }
    let expiry = page.gauge(
        "talaria_certificate_expiry_timestamp_seconds",
        "When the certificate of a name expires.",
    );
    for (name, validity) in &validities {
        expiry.add(&[("name", name)], seconds(validity.end));
    }
}

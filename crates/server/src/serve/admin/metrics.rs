//! What the program tells Prometheus, in its text format 0.0.4 (B-720, B-724).

use std::fmt::{Display, Write as _};

use talaria_transport::Health;

use crate::serve::control::{Control, ServedHub};

/// The media type.
pub(super) const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A metric of each hub: its name, what it means, its value.
type OfHub = (&'static str, &'static str, fn(&ServedHub) -> u64);

/// The metrics of this moment.
pub(super) fn text(control: &Control) -> String {
    let hubs = control.hubs();
    let mut page = Page::default();
    let streams: u64 = hubs.iter().map(|hub| hub.hub.used().streams).sum();
    page.of_program(
        "mercure_subscribers_connected",
        "Open event streams.",
        streams,
    );
    let build = format!(
        "talaria_build_info{{version=\"{}\"}}",
        env!("CARGO_PKG_VERSION")
    );
    page.head("talaria_build_info", "The version of the program.");
    page.line(&build, 1);
    page.of_program(
        "process_start_time_seconds",
        "When the program started, in seconds since 1970.",
        control.started(),
    );
    let last = control.last_reload();
    page.of_program(
        "caddy_config_last_reload_successful",
        "Whether the last reload came in force.",
        u8::from(last.succeeded),
    );
    page.of_program(
        "caddy_config_last_reload_success_timestamp_seconds",
        "When the configuration in force was loaded, in seconds since 1970.",
        last.at,
    );
    let of_hubs: [OfHub; 5] = [
        (
            "talaria_hub_healthy",
            "Whether updates can be stored.",
            |hub| u64::from(hub.hub.health() == Health::Ready),
        ),
        ("talaria_hub_streams", "Open event streams.", |hub| {
            hub.hub.used().streams
        }),
        ("talaria_hub_matcher_bytes", "Memory of matchers.", |hub| {
            hub.hub.used().matcher_memory
        }),
        ("talaria_hub_matcher_states", "States of patterns.", |hub| {
            hub.hub.used().matcher_states
        }),
        (
            "talaria_hub_body_bytes",
            "Memory of request bodies.",
            |hub| hub.hub.used().body_memory,
        ),
    ];
    for (name, help, value) in of_hubs {
        page.head(name, help);
        for hub in hubs.iter() {
            page.line(
                &format!("{name}{{hub=\"{}\"}}", escaped(&hub.name)),
                value(hub),
            );
        }
    }
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, help: &str) {
        // Writing to a string cannot fail.
        _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge\n");
    }

    fn line(&mut self, series: &str, value: impl Display) {
        _ = writeln!(self.0, "{series} {value}");
    }

    fn of_program(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, help);
        self.line(name, value);
    }
}

/// The value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

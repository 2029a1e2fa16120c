//! What the program tells Prometheus, in its text format 0.0.4 (B-720, B-724).

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use talaria_transport::Health;

use crate::serve::control::{Control, ServedHub};

/// The media type.
pub(super) const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A metric of each hub.
struct OfHub {
    name: &'static str,
    help: &'static str,
    value: fn(&ServedHub) -> u64,
    /// What the values of two hubs of one name are together.
    join: fn(u64, u64) -> u64,
}

impl OfHub {
    const fn sum(name: &'static str, help: &'static str, value: fn(&ServedHub) -> u64) -> Self {
        let join = u64::saturating_add;
        Self {
            name,
            help,
            value,
            join,
        }
    }
}

/// A value for each name, which several hubs may have.
fn by_name<'h>(
    values: impl Iterator<Item = (&'h str, u64)>,
    join: fn(u64, u64) -> u64,
) -> BTreeMap<&'h str, u64> {
    let mut joined = BTreeMap::new();
    for (name, value) in values {
        joined
            .entry(name)
            .and_modify(|known| *known = join(*known, value))
            .or_insert(value);
    }
    joined
}

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
    let of_hubs = [
        OfHub {
            name: "talaria_hub_healthy",
            help: "Whether updates can be stored.",
            value: |hub| u64::from(hub.hub.health() == Health::Ready),
            join: std::cmp::min,
        },
        OfHub::sum("talaria_hub_streams", "Open event streams.", |hub| {
            hub.hub.used().streams
        }),
        OfHub::sum("talaria_hub_matcher_bytes", "Memory of matchers.", |hub| {
            hub.hub.used().matcher_memory
        }),
        OfHub::sum("talaria_hub_matcher_states", "States of patterns.", |hub| {
            hub.hub.used().matcher_states
        }),
        OfHub::sum(
            "talaria_hub_body_bytes",
            "Memory of request bodies.",
            |hub| hub.hub.used().body_memory,
        ),
    ];
    for metric in of_hubs {
        let name = metric.name;
        page.head(name, metric.help);
        let values = hubs
            .iter()
            .map(|hub| (hub.name.as_str(), (metric.value)(hub)));
        for (hub, value) in by_name(values, metric.join) {
            page.line(&format!("{name}{{hub=\"{}\"}}", escaped(hub)), value);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Prometheus refuses a page on which two lines have one series.
    #[test]
    fn hubs_of_one_name_are_one_series() {
        let values = || [("b", 1), ("a", 1), ("b", 0), ("b", 5)].into_iter();
        let sums = by_name(values(), u64::saturating_add);
        assert_eq!(sums.into_iter().collect::<Vec<_>>(), [("a", 1), ("b", 6)]);
        let least = by_name(values(), std::cmp::min);
        assert_eq!(least.into_iter().collect::<Vec<_>>(), [("a", 1), ("b", 0)]);
    }
}

//! Events of the program become records.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::logs::Logs;
use super::record::{self, Record, Value};
use super::sampling::Sampling;
use super::secrets::cut;
use crate::serve::clock::unix_now;

/// The most bytes that are kept of a text; a line holds less.
const TEXT_BYTES: usize = 16 * 1024;

/// Which logger an event has, by the beginning of its target (B-702). The first that fits counts.
const LOGGERS: &[(&str, &str)] = &[
    ("talaria_hub::access", "http.handlers.mercure.access"),
    ("talaria_hub", "http.handlers.mercure"),
    ("talaria_transport::shared", "http.handlers.mercure.shared"),
    ("talaria_postgres", "http.handlers.mercure.postgres"),
    ("talaria_redis", "http.handlers.mercure.redis"),
    ("talaria_transport", "http.handlers.mercure.bolt"),
    ("talaria_boltdb", "http.handlers.mercure.bolt"),
    (
        "talaria_server::serve::storage::shared",
        "http.handlers.mercure.shared",
    ),
    (
        "talaria_server::serve::storage",
        "http.handlers.mercure.bolt",
    ),
    ("talaria_server::serve::hubs", "http.handlers.mercure"),
    (
        "talaria_server::serve::key_sets",
        "http.handlers.mercure.access",
    ),
    (
        "talaria_server::serve::followers",
        "http.handlers.mercure.access",
    ),
    (
        "talaria_server::serve::admin::health",
        "admin.api.mercure_health",
    ),
    ("talaria_server::serve::admin", "admin.api"),
    ("talaria_server::serve::control", "admin.api"),
    ("talaria_server::serve::autosave", "admin.api"),
    ("talaria_server::serve::watch", "watcher"),
    ("talaria_server::serve::tls", "tls"),
    ("talaria_server::serve::trust_stores", "pki"),
    (
        "talaria_server::serve::handlers::proxy",
        "http.handlers.reverse_proxy",
    ),
    (
        "talaria_server::serve::handlers::files",
        "http.handlers.file_server",
    ),
    ("talaria_server::serve::handlers", "http.handlers"),
    ("talaria_server::serve::site", "http"),
    ("talaria_server::serve::incoming", "http"),
    ("talaria_server::serve::connection", "http"),
    ("talaria_server::serve::requests", "http"),
    ("talaria_server::serve::streams", "http"),
    ("talaria_server::serve::socket", "http"),
    ("talaria_server::serve::http3", "http"),
    ("talaria_server::serve::admission", "http"),
    ("talaria_server::serve::listen", "http"),
    ("talaria", "talaria"),
    ("h2", "http.h2"),
    ("hyper", "http.hyper"),
];

/// The logger of a target.
fn logger(target: &str) -> &'static str {
    let is_of = |name: &str| {
        let rest = target.strip_prefix(name);
        rest.is_some_and(|rest| {
            rest.is_empty() || rest.starts_with("::") || name == "talaria" || name == "hyper"
        })
    };
    let found = LOGGERS.iter().find(|(name, _)| is_of(name));
    found.map_or("talaria", |(_, logger)| logger)
}

/// The stable name of an event; empty if it has none.
fn name(metadata: &'static Metadata<'static>) -> &'static str {
    // Without a name an event has that of its place, which changes with each release.
    match metadata.name() {
        place if place.starts_with("event ") => "",
        name => name,
    }
}

/// Gives the events of the program to the logs.
pub(super) struct Recorder {
    pub(super) logs: Arc<ArcSwap<Logs>>,
    pub(super) sampling: Arc<Sampling>,
}

impl<S: Subscriber> Layer<S> for Recorder {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let logs = self.logs.load();
        if !logs.is_debugging() && !self.sampling.admits(event) {
            return;
        }
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let record = Record {
            level: *metadata.level(),
            time: unix_now(),
            logger: logger(metadata.target()).into(),
            event: name(metadata),
            message: fields.message,
            fields: fields.others,
        };
        logs.write(&record, metadata.target());
    }
}

/// The fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<record::Field>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        self.others.push((field.name().into(), value));
    }
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::Flag(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::Signed(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::Unsigned(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, Value::Real(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::Text(cut(value, TEXT_BYTES).into_owned()));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, Value::Plain(bounded(format_args!("{value}"))));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = bounded(format_args!("{value:?}"));
        match field.name() {
            "message" => self.message = text,
            // A text that was quoted for the console; a line of JSON has its own quotes.
            _ => match unquoted(&text) {
                Some(bare) => self.add(field, Value::Text(bare.to_owned())),
                None => self.add(field, Value::Plain(text)),
            },
        }
    }
}

/// The text within quotes, if nothing in it is escaped.
fn unquoted(text: &str) -> Option<&str> {
    let bare = text.strip_prefix('"')?.strip_suffix('"')?;
    (!bare.contains(['\\', '"'])).then_some(bare)
}

/// The beginning of a text that may be long, without making the rest of it.
fn bounded(text: fmt::Arguments<'_>) -> String {
    struct Bounded(String);
    impl fmt::Write for Bounded {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = TEXT_BYTES.saturating_sub(self.0.len());
            let fits = text.floor_char_boundary(room);
            self.0.push_str(text.get(..fits).unwrap_or_default());
            match fits < text.len() {
                true => {
                    self.0.push('…');
                    Err(fmt::Error)
                }
                false => Ok(()),
            }
        }
    }
    let mut bounded = Bounded(String::new());
    // It stops early where there is no more room.
    _ = fmt::write(&mut bounded, text);
    bounded.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_loggers() {
        for (target, expected) in [
            ("talaria_hub::subscribe", "http.handlers.mercure"),
            ("talaria_hub::http::publish", "http.handlers.mercure"),
            ("talaria_transport::history", "http.handlers.mercure.bolt"),
            (
                "talaria_server::serve::storage",
                "http.handlers.mercure.bolt",
            ),
            (
                "talaria_transport::shared::tail",
                "http.handlers.mercure.shared",
            ),
            ("talaria_redis::record", "http.handlers.mercure.redis"),
            ("talaria_postgres::tail", "http.handlers.mercure.postgres"),
            (
                "talaria_server::serve::storage::shared",
                "http.handlers.mercure.shared",
            ),
            (
                "talaria_server::serve::admin::health",
                "admin.api.mercure_health",
            ),
            ("talaria_server::serve::admin", "admin.api"),
            ("talaria_server::serve::tls::acme", "tls"),
            ("talaria_server::serve::run", "talaria"),
            ("h2::codec", "http.h2"),
            ("hyper_util::client", "http.hyper"),
            ("other", "talaria"),
        ] {
            assert_eq!(logger(target), expected, "{target}");
        }
    }

    #[test]
    fn texts_are_bounded() {
        let long = "ä".repeat(TEXT_BYTES);
        let text = bounded(format_args!("{long}{long}"));
        assert!(
            text.len() <= TEXT_BYTES + 3 && text.ends_with('…'),
            "{}",
            text.len()
        );
        assert_eq!(bounded(format_args!("{}b", "a")), "ab");
    }
}

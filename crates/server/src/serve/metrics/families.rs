//! The page: families of series, and the two formats in which they are written.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use talaria_hub::statistics::Distribution;

/// The media type of the format that every scraper reads (B-724).
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The media type of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The families of series of one moment.
#[derive(Debug, Default)]
pub(super) struct Page(Vec<Family>);

/// The series of one name.
#[derive(Debug)]
pub(super) struct Family {
    /// The name; that of a counter without `_total`.
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    series: Vec<(Labels, Value)>,
}

type Labels = Vec<(&'static str, String)>;

/// The value of a series.
#[derive(Debug)]
pub(super) enum Value {
    /// A whole number.
    Whole(u64),
    /// Any number.
    Number(f64),
    /// A histogram.
    Distribution(Distribution),
}

impl Value {
    /// The sum of two values of one family.
    pub(super) fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => Self::Whole(one.saturating_add(other)),
            (Self::Number(one), Self::Number(other)) => Self::Number(one + other),
            (Self::Distribution(mut one), Self::Distribution(other)) => {
                // The bounds are those of the family.
                for ((_, count), (_, more)) in one.buckets.iter_mut().zip(other.buckets) {
                    *count += more;
                }
                one.sum += other.sum;
                one.count += other.count;
                Self::Distribution(one)
            }
            (one, _) => one,
        }
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<Distribution> for Value {
    fn from(value: Distribution) -> Self {
        Self::Distribution(value)
    }
}

impl Page {
    /// A family of counters; `_total` is added to the name.
    pub(super) fn counter(&mut self, name: &'static str, help: &'static str) -> &mut Family {
        self.family(name, help, MetricType::Counter)
    }

    /// A family of gauges.
    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str) -> &mut Family {
        self.family(name, help, MetricType::Gauge)
    }

    /// A family of histograms.
    pub(super) fn histogram(&mut self, name: &'static str, help: &'static str) -> &mut Family {
        self.family(name, help, MetricType::Histogram)
    }

    fn family(&mut self, name: &'static str, help: &'static str, kind: MetricType) -> &mut Family {
        self.0.push_mut(Family {
            name,
            help,
            kind,
            series: Vec::new(),
        })
    }

    /// The media type and the text of the page, in OpenMetrics if it `is_open`.
    pub(super) fn write(self, is_open: bool) -> (&'static str, Result<String, fmt::Error>) {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut page = String::new();
        let (kind, written) = match is_open {
            true => (OPEN_METRICS, text::encode(&mut page, &registry)),
            false => (TEXT, prometheus_text::encode(&mut page, &registry)),
        };
        (kind, written.map(|()| page))
    }
}

impl Family {
    /// Adds a series. Its labels with an empty value are left out.
    pub(super) fn add(
        &mut self,
        labels: &[(&'static str, &str)],
        value: impl Into<Value>,
    ) -> &mut Self {
        let labels = labels.iter().filter(|(_, value)| !value.is_empty());
        let labels = labels.map(|(name, value)| (*name, (*value).to_owned()));
        self.series.push((labels.collect(), value.into()));
        self
    }

    /// Adds to a series, which begins at 0.
    pub(super) fn add_to(&mut self, labels: &[(&'static str, &str)], count: u64) {
        let is_it = |known: &Labels| {
            let known = known.iter().map(|(name, value)| (*name, value.as_str()));
            known.eq(labels.iter().copied())
        };
        match self.series.iter_mut().find(|(known, _)| is_it(known)) {
            Some((_, Value::Whole(known))) => *known += count,
            _ => _ = self.add(labels, count),
        }
    }

    /// Adds a series without labels, if there is a value.
    pub(super) fn add_some(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.add(&[], value);
        }
    }

    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = encoder.encode_descriptor(self.name, self.help, None, self.kind)?;
        for (labels, value) in &self.series {
            match labels.is_empty() {
                true => encode(&mut family, self.kind, value)?,
                false => encode(&mut family.encode_family(labels)?, self.kind, value)?,
            }
        }
        Ok(())
    }
}

fn encode(series: &mut MetricEncoder<'_>, kind: MetricType, value: &Value) -> fmt::Result {
    match (kind, value) {
        (MetricType::Counter, Value::Whole(value)) => {
            series.encode_counter::<NoLabelSet, _, f64>(value, None)
        }
        (MetricType::Counter, Value::Number(value)) => {
            series.encode_counter::<NoLabelSet, _, f64>(value, None)
        }
        (_, Value::Whole(value)) => series.encode_gauge(value),
        (_, Value::Number(value)) => series.encode_gauge(value),
        (
            _,
            Value::Distribution(Distribution {
                buckets,
                sum,
                count,
                ..
            }),
        ) => series.encode_histogram::<NoLabelSet>(*sum, *count, buckets, None),
    }
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|family| family.encode(&mut encoder))
    }
}

/// Whether a client that sends this `Accept` prefers OpenMetrics.
pub(super) fn accepts_open_metrics(accept: &str) -> bool {
    let (mut open, mut other) = (0.0_f32, 0.0_f32);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut weight, mut is_known) = (1.0, true);
        for part in parts {
            match part.split_once('=') {
                Some(("q", value)) => weight = value.parse().unwrap_or(0.0),
                Some(("version", version)) => is_known = ["0.0.1", "1.0.0"].contains(&version),
                _ => {}
            }
        }
        match kind.as_str() {
            "application/openmetrics-text" if is_known => open = open.max(weight),
            "text/plain" => other = other.max(weight),
            _ => {}
        }
    }
    open > 0.0 && open >= other
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formats are those that scrapers ask for, and a browser gets plain text.
    #[test]
    fn the_format_is_negotiated() {
        for (accept, is_open) in [
            ("", false),
            ("*/*", false),
            ("text/html,application/xhtml+xml,*/*;q=0.8", false),
            ("text/plain;version=0.0.4", false),
            ("application/openmetrics-text", true),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                true,
            ),
            ("application/openmetrics-text;q=0.2,text/plain;q=0.3", false),
            ("application/openmetrics-text;version=2.0.0", false),
            ("application/openmetrics-text;q=0", false),
        ] {
            assert_eq!(accepts_open_metrics(accept), is_open, "{accept}");
        }
    }

    fn page() -> Page {
        let mut page = Page::default();
        page.counter("a_things", "Things.")
            .add(&[("hub", "a\"b"), ("reason", "")], 3);
        page.gauge("b_bytes", "Bytes.").add(&[], 1.5);
        let distribution = talaria_hub::statistics::Histogram::new(&[1_000], 1e3);
        distribution.observe(5);
        page.histogram("c_seconds", "Seconds.")
            .add(&[("hub", "x")], distribution.read());
        page
    }

    #[test]
    fn both_formats_are_written() {
        let (kind, text) = page().write(false);
        assert_eq!(kind, TEXT);
        let text = text.unwrap();
        for line in [
            "# TYPE a_things_total counter\n",
            "a_things_total{hub=\"a\\\"b\"} 3\n",
            "# TYPE b_bytes gauge\nb_bytes 1.5\n",
            "c_seconds_bucket{hub=\"x\",le=\"1\"} 1\n",
            "c_seconds_bucket{hub=\"x\",le=\"+Inf\"} 1\n",
            "c_seconds_count{hub=\"x\"} 1\n",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        let (kind, text) = page().write(true);
        assert_eq!(kind, OPEN_METRICS);
        let text = text.unwrap();
        assert!(text.contains("# TYPE a_things counter\n"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}

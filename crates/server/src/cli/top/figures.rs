//! What is computed from the metrics, and how it is written. Pure functions.

/// The growth of a counter in a time, for each second; `None` after a restart of the hub.
pub(super) fn rate(newer: f64, older: f64, seconds: f64) -> Option<f64> {
    (newer >= older && seconds > 0.0).then(|| (newer - older) / seconds)
}

/// The quantile of what a histogram observed between two reads of its cumulative buckets, linear within a bucket as
/// Prometheus computes it; `None` if it observed nothing. Beyond the last bound it is that bound.
pub(super) fn quantile(newer: &[(f64, f64)], older: &[(f64, f64)], share: f64) -> Option<f64> {
    let before = |bound: f64| {
        let known = older.iter().find(|(known, _)| *known == bound);
        known.map_or(0.0, |(_, count)| *count)
    };
    let counts: Vec<(f64, f64)> = newer
        .iter()
        .map(|(bound, count)| (*bound, count - before(*bound)))
        .collect();
    let (_, total) = *counts.last()?;
    if total <= 0.0 || counts.iter().any(|(_, count)| *count < 0.0) {
        return None;
    }
    let rank = share * total;
    let (mut lower, mut below) = (0.0, 0.0);
    for (bound, count) in counts {
        if count >= rank && count > below {
            return Some(match bound.is_infinite() {
                true => lower,
                false => lower + (bound - lower) * (rank - below) / (count - below),
            });
        }
        if bound.is_finite() {
            lower = bound;
        }
        below = count;
    }
    Some(lower)
}

/// What stands for a value that is not there.
pub(super) const NONE: &str = "-";

/// Writes a value, or what stands for none.
pub(super) fn or_none(value: Option<f64>, show: impl FnOnce(f64) -> String) -> String {
    value.map_or_else(|| NONE.to_owned(), show)
}

/// A number with three digits that count, and a letter for many thousands and more.
pub(super) fn amount(value: f64) -> String {
    if value.is_infinite() {
        return "no end".to_owned();
    }
    for (least, size, letter) in [
        (1e12, 1e12, "T"),
        (1e9, 1e9, "G"),
        (1e6, 1e6, "M"),
        (1e4, 1e3, "k"),
    ] {
        if value.abs() >= least {
            return format!("{}{letter}", three_digits(value / size));
        }
    }
    three_digits(value)
}

/// Bytes in their largest unit.
pub(super) fn bytes(value: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB"];
    let (mut value, mut units) = (value, units.iter().peekable());
    while let Some(unit) = units.next() {
        if value < 1024.0 || units.peek().is_none() {
            return format!("{} {unit}", three_digits(value));
        }
        value /= 1024.0;
    }
    amount(value)
}

/// A length of time in its largest unit.
pub(super) fn seconds(value: f64) -> String {
    match value {
        0.0 => "0 s".to_owned(),
        _ if value < 1e-3 => format!("{} µs", three_digits(value * 1e6)),
        _ if value < 1.0 => format!("{} ms", three_digits(value * 1e3)),
        _ if value < 120.0 => format!("{} s", three_digits(value)),
        _ if value < 7200.0 => format!("{} min", three_digits((value / 60.0).round())),
        _ if value < 172_800.0 => format!("{} h", three_digits((value / 3600.0).round())),
        _ => format!("{} d", three_digits((value / 86_400.0).round())),
    }
}

/// A part of a whole.
pub(super) fn percent(part: f64) -> String {
    format!("{} %", three_digits(part * 100.0))
}

/// How the values of a limit are written, by the name of its directive.
pub(super) fn unit_of(limit: &str) -> fn(f64) -> String {
    let names = |parts: &[&str]| parts.iter().any(|part| limit.contains(part));
    if names(&["timeout"]) {
        seconds
    } else if names(&["memory", "size", "bytes", "subscription_events"]) {
        bytes
    } else {
        amount
    }
}

/// The values as bars of eight heights, the highest for the greatest of them.
pub(super) fn bars(values: impl Iterator<Item = Option<f64>> + Clone) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let top = values.clone().flatten().fold(0.0, f64::max);
    let bar = |value: Option<f64>| {
        let part = value.filter(|_| top > 0.0).map(|value| value / top);
        let height = BARS.iter().enumerate().rev();
        let mut reached = height.filter(|(place, _)| {
            part.is_some_and(|part| part * 8.0 > *place as f64) || *place == 0
        });
        match value {
            Some(_) => reached.next().map_or(' ', |(_, bar)| *bar),
            None => ' ',
        }
    };
    values.map(bar).collect()
}

/// Three digits that count, without zeros at the end of a fraction; whole numbers as they are.
fn three_digits(value: f64) -> String {
    if value.fract() == 0.0 {
        return format!("{value:.0}");
    }
    let places = match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.places$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Percentiles are those of Prometheus: linear within a bucket, the last bound beyond it, none without observations.
    #[test]
    fn percentiles_come_from_buckets() {
        let older = [(1.0, 10.0), (2.0, 10.0), (f64::INFINITY, 10.0)];
        let newer = [(1.0, 60.0), (2.0, 100.0), (f64::INFINITY, 110.0)];
        for (share, expected) in [(0.25, 0.5), (0.5, 1.0), (0.7, 1.5), (0.9, 2.0), (0.99, 2.0)] {
            let found = quantile(&newer, &older, share).unwrap();
            assert!((found - expected).abs() < 1e-9, "{share}: {found}");
        }
        assert_eq!(quantile(&older, &older, 0.5), None);
        // The hub has restarted.
        assert_eq!(quantile(&older, &newer, 0.5), None);
        assert_eq!(quantile(&[], &[], 0.5), None);
        assert_eq!(quantile(&newer, &[], 0.5), Some(55.0 / 60.0));
    }

    #[test]
    fn no_rate_spans_a_restart() {
        assert_eq!(rate(30.0, 10.0, 2.0), Some(10.0));
        assert_eq!(rate(1.0, 10.0, 2.0), None);
        assert_eq!(rate(1.0, 1.0, 0.0), None);
    }

    #[test]
    fn values_are_short() {
        for (value, expected) in [
            (0.0, "0"),
            (9_999.0, "9999"),
            (12_345.0, "12.3k"),
            (250_000.0, "250k"),
            (1e6, "1M"),
            (0.25, "0.25"),
            (1.0 / 3.0, "0.333"),
            (1234.5, "1234"),
            (f64::INFINITY, "no end"),
        ] {
            assert_eq!(amount(value), expected);
        }
        assert_eq!(bytes(268_435_456.0), "256 MiB");
        assert_eq!(bytes(1e15), "931323 GiB");
        for (value, expected) in [
            (0.0, "0 s"),
            (0.000_25, "250 µs"),
            (0.0125, "12.5 ms"),
            (5.0, "5 s"),
            (600.0, "10 min"),
            (90_000.0, "25 h"),
        ] {
            assert_eq!(seconds(value), expected);
        }
        assert_eq!(unit_of("max_matcher_memory")(1024.0), "1 KiB");
        assert_eq!(unit_of("dispatch_timeout")(5.0), "5 s");
        assert_eq!(unit_of("max_streams")(2048.0), "2048");
        let values = [Some(0.0), None, Some(4.0), Some(8.0)];
        assert_eq!(bars(values.into_iter()), "▁ ▄█");
    }
}

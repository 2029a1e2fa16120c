//! Reads the text format of Prometheus, as strictly as the hub writes it.

use std::collections::BTreeMap;

/// The most series of a page, which no hub comes near.
const MOST: usize = 200_000;

/// A series: its labels and its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    /// The labels, in the order of the page.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: f64,
}

/// The series of a page, by their names.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Exposition(BTreeMap<String, Vec<Series>>);

/// What is wrong with a page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the metrics: {problem}")]
pub(super) struct Malformed {
    line: usize,
    problem: &'static str,
}

impl Series {
    /// The value of a label; empty if the series does not have it.
    pub(super) fn label(&self, name: &str) -> &str {
        let found = self.labels.iter().find(|(label, _)| label == name);
        found.map_or("", |(_, value)| value)
    }

    fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels
            .iter()
            .all(|(name, value)| self.label(name) == *value)
    }
}

impl Exposition {
    /// Reads a page.
    ///
    /// # Errors
    /// A line is not a comment and not a series, or there are too many.
    pub(super) fn parse(text: &str) -> Result<Self, Malformed> {
        let mut page = Self::default();
        for (place, line) in text.lines().enumerate() {
            let malformed = |problem| Malformed {
                line: place + 1,
                problem,
            };
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if place >= MOST {
                return Err(malformed("there are more series than any hub has"));
            }
            let (name, series) = series(line).map_err(malformed)?;
            page.0.entry(name.to_owned()).or_default().push(series);
        }
        Ok(page)
    }

    /// The series of a name.
    pub(super) fn all(&self, name: &str) -> &[Series] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The sum of the series of a name that have all of these labels; `None` if there is none.
    pub(super) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let values = self.all(name).iter().filter(|series| series.has(labels));
        let values = values.map(|series| series.value);
        values.reduce(|sum, value| sum + value)
    }

    /// The sums by the value of a label.
    pub(super) fn by(&self, name: &str, label: &str) -> BTreeMap<&str, f64> {
        let mut sums = BTreeMap::new();
        for series in self.all(name) {
            *sums.entry(series.label(label)).or_default() += series.value;
        }
        sums
    }

    /// The cumulative counts of a histogram over all its series, by their bounds.
    pub(super) fn buckets(&self, name: &str) -> Vec<(f64, f64)> {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for series in self.all(&format!("{name}_bucket")) {
            let Ok(bound) = number(series.label("le")) else {
                continue;
            };
            match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, count)) => *count += series.value,
                None => buckets.push((bound, series.value)),
            }
        }
        buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        buckets
    }
}

/// A line such as `name{label="value"} 1`.
fn series(line: &str) -> Result<(&str, Series), &'static str> {
    let end = line.find(['{', ' ']).ok_or("a name without a value")?;
    let (name, rest) = line.split_at(end);
    if !is_name(name, ":") {
        return Err("a name has other characters than letters, digits, _ and :");
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(labels) => labels_of(labels)?,
        None => (Vec::new(), rest),
    };
    let value = rest.strip_prefix(' ').ok_or("no space before the value")?;
    let value = number(value)?;
    Ok((name, Series { labels, value }))
}

/// The names and values of labels.
type Labels = Vec<(String, String)>;

/// The labels up to the brace that closes them, and what follows it.
fn labels_of(mut rest: &str) -> Result<(Labels, &str), &'static str> {
    let mut labels = Vec::new();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (name, quoted) = rest.split_once("=\"").ok_or("a label without a value")?;
        if !is_name(name, "") {
            return Err("a label has other characters than letters, digits and _");
        }
        let (value, after) = unquoted(quoted)?;
        labels.push((name.to_owned(), value));
        rest = match after.strip_prefix(',') {
            Some(next) if !next.starts_with('}') => next,
            Some(_) => return Err("a comma without a label behind it"),
            None if after.starts_with('}') => after,
            None => return Err("labels that are not closed"),
        };
    }
}

/// The text up to the quotation mark that ends it, and what follows.
fn unquoted(text: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((place, c)) = chars.next() {
        match c {
            '"' => return Ok((value, text.get(place + 1..).unwrap_or_default())),
            '\\' => value.push(match chars.next() {
                Some((_, 'n')) => '\n',
                Some((_, c @ ('"' | '\\'))) => c,
                _ => return Err("an unknown escape in a label"),
            }),
            c => value.push(c),
        }
    }
    Err("a label that is not closed")
}

fn is_name(text: &str, besides: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_' || besides.contains(c);
    let mut chars = text.chars();
    chars.next().is_some_and(is_first) && chars.all(|c| is_first(c) || c.is_ascii_digit())
}

fn number(text: &str) -> Result<f64, &'static str> {
    const PROBLEM: &str = "a value that is not a number";
    match text {
        "+Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        "NaN" => Ok(f64::NAN),
        // Rust also reads words such as `infinity`.
        _ if text.contains(|c: char| c.is_ascii_alphabetic() && !"eE".contains(c)) => Err(PROBLEM),
        _ => text.parse().map_err(|_| PROBLEM),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pages_are_read() {
        let page = "# HELP a_total Help.\n# TYPE a_total counter\na_total{hub=\"x\\\"\\\\\\n\",le=\"1\"} 3\na_total{hub=\"y\"} 4.5e1\nb 1\nc_bucket{le=\"+Inf\"} 7\nc_bucket{le=\"0.5\"} 2\n";
        let page = Exposition::parse(page).unwrap();
        assert_eq!(page.sum("a_total", &[]), Some(48.0));
        assert_eq!(page.sum("a_total", &[("hub", "x\"\\\n")]), Some(3.0));
        assert_eq!(page.sum("a_total", &[("hub", "z")]), None);
        assert_eq!(page.by("a_total", "hub").len(), 2);
        assert_eq!(page.buckets("c"), [(0.5, 2.0), (f64::INFINITY, 7.0)]);
        for wrong in [
            "a",
            "a  1",
            "a 1 2",
            "1a 1",
            "a{b} 1",
            "a{b=\"c\" 1",
            "a{b=\"c\",} 1",
            "a{b=\"c} 1",
            "a{b=\"\\x\"} 1",
            "a{b=\"c\"}1",
            "a one",
            "a infinity",
            "<html>",
            "{\"error\":\"no\"}",
        ] {
            let error = Exposition::parse(&format!("b 1\n{wrong}\n")).unwrap_err();
            assert_eq!(error.line, 2, "{wrong}");
        }
    }

    fn written(name: &str, series: &[(Vec<(String, String)>, f64)]) -> String {
        let mut text = String::new();
        for (labels, value) in series {
            let labels: Vec<String> = labels
                .iter()
                .map(|(label, value)| {
                    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
                    format!("{label}=\"{}\"", value.replace('\n', "\\n"))
                })
                .collect();
            writeln!(text, "{name}{{{}}} {value}", labels.join(",")).unwrap();
        }
        text
    }

    proptest! {
        /// What is written is read, whatever a label holds besides the ends of lines.
        #[test]
        fn what_is_written_is_read(
            name in "[a-zA-Z_:][a-zA-Z0-9_:]{0,9}",
            series in prop::collection::vec(
                (prop::collection::vec(("[a-z_][a-z0-9_]{0,5}", "[^\r]{0,9}"), 0..4), -1e300..1e300_f64),
                0..9,
            ),
        ) {
            let page = Exposition::parse(&written(&name, &series)).unwrap();
            let read: Vec<_> = page
                .all(&name)
                .iter()
                .map(|series| (series.labels.clone(), series.value))
                .collect();
            prop_assert_eq!(read, series);
        }

        /// No text makes the reader panic, and what it accepts has values.
        #[test]
        fn any_text_is_read_or_refused(text in "(?s)[a\"{}=,\\\\ \n1+.e#]{0,40}|.{0,40}") {
            if let Ok(page) = Exposition::parse(&text) {
                for series in page.0.values() {
                    prop_assert!(!series.is_empty());
                }
            }
        }
    }
}

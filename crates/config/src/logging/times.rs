//! `time_format`: how times are written.

use crate::error::Error;
use crate::lexer::Word;
use crate::settings::{TimeNotation, TimePart};
use crate::shown::show;

/// The names of formats, and the layouts that they stand for.
const NAMED: &[(&str, &str)] = &[
    ("iso8601", "2006-01-02T15:04:05.000Z0700"),
    ("rfc3339", "2006-01-02T15:04:05Z07:00"),
    ("rfc3339_nano", "2006-01-02T15:04:05.999999999Z07:00"),
    ("wall", "2006/01/02 15:04:05"),
    ("wall_milli", "2006/01/02 15:04:05.000"),
    ("wall_nano", "2006/01/02 15:04:05.000000000"),
    ("common_log", "02/Jan/2006:15:04:05 -0700"),
];

/// How the moment 2 January 2006, 15:04:05 is written in a layout, and what `strftime` calls that part. The longer
/// of two that begin alike stands first.
const PARTS: &[(&str, &str)] = &[
    ("January", "%B"),
    ("Jan", "%b"),
    ("Monday", "%A"),
    ("Mon", "%a"),
    ("MST", "%Z"),
    ("2006", "%Y"),
    ("-07:00", "%:z"),
    ("-0700", "%z"),
    ("002", "%j"),
    ("01", "%m"),
    ("02", "%d"),
    ("03", "%I"),
    ("04", "%M"),
    ("05", "%S"),
    ("06", "%y"),
    ("_2", "%e"),
    ("15", "%H"),
    ("PM", "%p"),
    ("pm", "%P"),
    ("1", "%-m"),
    ("2", "%-d"),
    ("3", "%-I"),
    ("4", "%-M"),
    ("5", "%-S"),
];

/// The notation that a word names: by its name, or by a layout of Go.
///
/// # Errors
/// The word has no part of a time.
pub(super) fn notation(word: &Word) -> Result<TimeNotation, Error> {
    let text = word.text.as_str();
    match text {
        "unix_seconds_float" => return Ok(TimeNotation::Seconds),
        "unix_milli_float" => return Ok(TimeNotation::Milliseconds),
        "unix_nano" => return Ok(TimeNotation::Nanoseconds),
        _ => {}
    }
    let named = NAMED.iter().find(|(name, _)| *name == text);
    let layout = named.map_or(text, |(_, layout)| layout);
    parts(layout).map(TimeNotation::Text).ok_or_else(|| {
        let names = NAMED.iter().map(|(name, _)| *name);
        let names: Vec<_> = names.collect();
        word.error(format!("{} is not a format of times", show(text)))
            .remedy(format!(
                "write unix_seconds_float, unix_milli_float, unix_nano, {}, or a layout such as \"2006-01-02 15:04:05\"",
                names.join(", ")
            ))
    })
}

/// The parts of a layout; `None` if no part is one of a time, or the layout is very long.
fn parts(layout: &str) -> Option<Vec<TimePart>> {
    const LONGEST: usize = 128;
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut has_time = false;
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        if let Some((zone, after)) = zone(rest) {
            parts.push(TimePart::Formatted(std::mem::take(&mut text)));
            parts.push(zone);
            (rest, has_time) = (after, true);
        } else if let Some((digits, after)) = fraction(rest) {
            text.push_str(&digits);
            rest = after;
        } else if let Some((known, directive)) =
            PARTS.iter().find(|(known, _)| rest.starts_with(known))
        {
            text.push_str(directive);
            rest = rest.get(known.len()..).unwrap_or_default();
            has_time = true;
        } else {
            // A sign that `strftime` would read is doubled.
            if first == '%' {
                text.push('%');
            }
            text.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    if !text.is_empty() {
        parts.push(TimePart::Formatted(text));
    }
    (has_time && layout.len() <= LONGEST).then_some(parts)
}

fn zone(layout: &str) -> Option<(TimePart, &str)> {
    let with = |colon| move |after| (TimePart::Zone { colon }, after);
    let long = layout.strip_prefix("Z07:00").map(with(true));
    long.or_else(|| layout.strip_prefix("Z0700").map(with(false)))
}

/// A fraction of seconds: `.000` with all its digits, `.999` without the zeros at its end.
fn fraction(layout: &str) -> Option<(String, &str)> {
    let separator = layout.chars().next().filter(|c| ".,".contains(*c))?;
    let after = layout.get(1..)?;
    let digit = after.chars().next().filter(|c| "09".contains(*c))?;
    let count = after.chars().take_while(|c| *c == digit).count();
    let rest = after.get(count..)?;
    if rest.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let count = count.min(9);
    let text = match digit {
        '0' => format!("{separator}%{count}f"),
        _ => "%.f".to_owned(),
    };
    Some((text, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Layouts become what `strftime` reads.
    #[test]
    fn layouts_are_read() {
        let formatted = |text: &str| TimePart::Formatted(text.to_owned());
        for (layout, expected) in [
            ("2006-01-02 15:04:05", vec![formatted("%Y-%m-%d %H:%M:%S")]),
            (
                "02/Jan/2006:15:04:05 -0700",
                vec![formatted("%d/%b/%Y:%H:%M:%S %z")],
            ),
            ("15:04:05.000", vec![formatted("%H:%M:%S.%3f")]),
            ("15:04:05,000", vec![formatted("%H:%M:%S,%3f")]),
            (
                "Mon _2 Jan 06 3:04PM 100%",
                vec![formatted("%a %e %b %y %-I:%M%p %-m00%%")],
            ),
            (
                "15Z07:00",
                vec![formatted("%H"), TimePart::Zone { colon: true }],
            ),
        ] {
            assert_eq!(parts(layout), Some(expected), "{layout}");
        }
        for wrong in ["", "epoch", "rfc"] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
        let long = "2006".repeat(100);
        assert_eq!(parts(&long), None);
    }
}

//! Dates, times and sizes as people read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A moment in Unix seconds: in UTC, in the zone of this machine, and how far from now.
pub(super) fn moment(seconds: f64, now: f64) -> String {
    let shown = timestamp(seconds).map(|utc| {
        let here = utc.to_zoned(TimeZone::system());
        format!(
            "{}, here {}",
            utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
            here.strftime("%Y-%m-%d %H:%M:%S %Z")
        )
    });
    let shown = shown.unwrap_or_else(|| format!("{seconds} s after 1970, which no calendar has"));
    format!("{shown}, {}", distance(seconds - now))
}

fn timestamp(seconds: f64) -> Option<Timestamp> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is beyond the bounds has no date, and the conversion says so"
    )]
    let whole = seconds.floor() as i64;
    Timestamp::from_second(whole).ok()
}

/// How far away a moment is.
fn distance(seconds: f64) -> String {
    if seconds.abs() < 1.0 {
        return "now".to_owned();
    }
    match seconds > 0.0 {
        true => format!("in {}", length(seconds)),
        false => format!("{} ago", length(-seconds)),
    }
}

/// A length of time in its largest unit and, for what is left, the next one.
pub(super) fn length(seconds: f64) -> String {
    const UNITS: [(&str, f64); 5] = [
        ("years", 365.25 * 86_400.0),
        ("days", 86_400.0),
        ("h", 3_600.0),
        ("min", 60.0),
        ("s", 1.0),
    ];
    let fitting = UNITS.iter().position(|(_, unit)| seconds >= *unit);
    let Some((index, (name, unit))) = fitting.and_then(|it| Some((it, UNITS.get(it)?))) else {
        return format!("{:.0} ms", seconds * 1_000.0);
    };
    let count = (seconds / unit).floor();
    let name = match (*name, count > 1.0) {
        ("years", false) => "year",
        ("days", false) => "day",
        (name, _) => name,
    };
    let next = UNITS.get(index + 1);
    let rest = next.map_or(0.0, |(_, unit)| ((seconds % UNITS[index].1) / unit).floor());
    match next {
        Some((next, _)) if rest >= 1.0 && count < 10.0 => {
            let next = if *next == "days" && rest < 2.0 {
                "day"
            } else {
                next
            };
            format!("{count:.0} {name} {rest:.0} {next}")
        }
        _ => format!("{count:.0} {name}"),
    }
}

/// A number with a comma between each three digits.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes in its unit, and exactly.
pub(super) fn bytes(value: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    #[expect(clippy::cast_precision_loss, reason = "it is rounded to one digit")]
    let mut scaled = value as f64 / 1024.0;
    if scaled < 1.0 {
        return format!("{value} bytes");
    }
    let mut unit = 0;
    while scaled >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    format!("{scaled:.1} {name} ({} bytes)", number(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_two_units_at_most() {
        for (seconds, expected) in [
            (0.25, "250 ms"),
            (59.9, "59 s"),
            (3_599.0, "59 min"),
            (3_660.0, "1 h 1 min"),
            (90_000.0, "1 day 1 h"),
            (86_400.0 * 30.0, "30 days"),
            (86_400.0 * 366.3, "1 year 1 day"),
            (86_400.0 * 365.25 * 73.5, "73 years"),
        ] {
            assert_eq!(length(seconds), expected);
        }
    }

    #[test]
    fn numbers_and_bytes() {
        assert_eq!(number(0), "0");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(bytes(1_023), "1023 bytes");
        assert_eq!(bytes(1_572_864), "1.5 MiB (1,572,864 bytes)");
        assert!(bytes(u64::MAX).starts_with("16384.0 PiB"));
    }

    #[test]
    fn moments_beyond_the_calendar_are_shown() {
        assert!(
            moment(4_102_444_800.0, 4_102_441_200.0).starts_with("2100-01-01T00:00:00Z, here ")
        );
        assert!(moment(4_102_444_800.0, 4_102_441_200.0).ends_with(", in 1 h"));
        assert!(moment(1e300, 0.0).contains("no calendar"));
        assert!(moment(-1e300, 0.0).ends_with("ago"));
        assert!(moment(0.0, 0.0).ends_with("now"));
    }
}

//! How times are written.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use talaria_config::settings::{TimeNotation, TimePart};

use super::record::Value;

/// The time of a line on the console.
const CONSOLE: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";

/// A time as it stands in a line.
pub(super) fn value(time: f64, notation: &TimeNotation, local: bool) -> Value {
    match notation {
        TimeNotation::Seconds => Value::Real(time),
        TimeNotation::Milliseconds => Value::Real(time * 1e3),
        // In 64 bits until the year 2262.
        TimeNotation::Nanoseconds => Value::Signed(timestamp(time).as_nanosecond() as i64),
        TimeNotation::Text(parts) => Value::Plain(text(time, parts, local)),
    }
}

/// A time as the console shows it.
pub(super) fn console(time: f64, local: bool) -> String {
    match local {
        true => zoned(time, true)
            .strftime("%Y-%m-%dT%H:%M:%S%.6f%:z")
            .to_string(),
        false => timestamp(time).strftime(CONSOLE).to_string(),
    }
}

fn text(time: f64, parts: &[TimePart], local: bool) -> String {
    let zoned = zoned(time, local);
    let is_utc = zoned.offset().is_zero();
    let parts = parts.iter().map(|part| match part {
        // A layout that `strftime` cannot fill is shown as it is.
        TimePart::Formatted(format) => {
            jiff::fmt::strtime::format(format, &zoned).unwrap_or_else(|_| format.clone())
        }
        TimePart::Zone { .. } if is_utc => "Z".to_owned(),
        TimePart::Zone { colon: true } => zoned.strftime("%:z").to_string(),
        TimePart::Zone { colon: false } => zoned.strftime("%z").to_string(),
    });
    parts.collect()
}

fn zoned(time: f64, local: bool) -> jiff::Zoned {
    let zone = match local {
        true => TimeZone::system(),
        false => TimeZone::UTC,
    };
    timestamp(time).to_zoned(zone)
}

fn timestamp(time: f64) -> Timestamp {
    let microseconds = (time * 1e6).round() as i64;
    Timestamp::from_microsecond(microseconds).unwrap_or_default()
}

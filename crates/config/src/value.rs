//! Durations, sizes and numbers (B-240, B-241).

use std::time::Duration;

use crate::error::Error;
use crate::lexer::Word;
use crate::shown::show;

/// The duration that a word holds (B-240).
///
/// # Errors
///
/// The word is not a duration, or the duration is negative.
pub(crate) fn duration(word: &Word) -> Result<Duration, Error> {
    parse_duration(&word.text).map_err(|problem| {
        word.error(format!("{} is not a duration: {problem}", show(&word.text)))
            .remedy("write numbers with units ns, us, ms, s, m, h or d, for example 40s or 1m30s")
    })
}

/// Parses a duration (B-240).
///
/// # Errors
///
/// What is wrong, in a clause that does not repeat the text.
pub fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = unsigned;
    let mut total: u128 = 0;
    if rest.is_empty() {
        return Err("it is empty");
    }
    while !rest.is_empty() {
        let number_end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(number_end);
        let unit_end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let nanoseconds = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            "" => return Err("a number has no unit"),
            _ => return Err("it has an unknown unit"),
        };
        total = total.saturating_add(decimal(number, nanoseconds).ok_or("it has no valid number")?);
        rest = after;
    }
    if text.starts_with('-') && total > 0 {
        return Err("it is negative");
    }
    // The existing hub's durations are 64-bit counts of nanoseconds; deadlines beyond 292 years
    // would only overflow the clock.
    match i64::try_from(total) {
        Ok(_) => Ok(Duration::from_nanos(
            u64::try_from(total).unwrap_or(u64::MAX),
        )),
        Err(_) => Err("it is longer than 292 years"),
    }
}

/// The size in bytes that a word holds (B-241).
///
/// # Errors
///
/// The word is not a size.
pub(crate) fn size(word: &Word) -> Result<u64, Error> {
    parse_size(&word.text).ok_or_else(|| {
        word.error(format!("{} is not a size", show(&word.text)))
            .remedy("write a number of bytes, or one with a unit such as KB, MB, KiB or MiB: 10MiB")
    })
}

fn parse_size(text: &str) -> Option<u64> {
    let unit_start = text
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_start);
    let unit = unit.trim_start().to_ascii_lowercase();
    let (base, letter) = match unit.strip_suffix("ib").or(unit.strip_suffix('i')) {
        Some(letter) if !letter.is_empty() => (1024_u128, letter),
        Some(_) => return None,
        None => (1000, unit.strip_suffix('b').unwrap_or(&unit)),
    };
    let power = ["", "k", "m", "g", "t", "p", "e"]
        .iter()
        .position(|unit| *unit == letter)?;
    let multiplier = base.checked_pow(u32::try_from(power).ok()?)?;
    u64::try_from(decimal(&number.replace(',', ""), multiplier)?).ok()
}

/// `number` (digits with at most one point) times `multiplier`, cut to a whole number.
fn decimal(number: &str, multiplier: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) {
        return None;
    }
    // More digits are valid, but no accepted value can use them.
    let fraction = fraction.get(..fraction.len().min(15))?;
    let parse = |text: &str| {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse::<u128>().ok()
        }
    };
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = parse(fraction)?.checked_mul(multiplier)? / scale;
    parse(whole)?.checked_mul(multiplier)?.checked_add(part)
}

/// The whole number, at least `least`, that a word holds.
///
/// # Errors
///
/// The word is not such a number.
pub(crate) fn number(word: &Word, least: u64) -> Result<u64, Error> {
    word.text
        .parse::<u64>()
        .ok()
        .filter(|number| *number >= least)
        .ok_or_else(|| {
            word.error(format!(
                "{} is not a whole number of at least {least}",
                show(&word.text)
            ))
            .remedy("write it in digits only")
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Units from nanoseconds to days, fractions and a sign are read (B-240).
    #[test]
    fn durations() {
        let seconds = |text| parse_duration(text).map(|d| d.as_secs_f64());
        assert_eq!(seconds("40s"), Ok(40.0));
        assert_eq!(seconds("1m30s"), Ok(90.0));
        assert_eq!(seconds("1.5h"), Ok(5400.0));
        assert_eq!(seconds("2d"), Ok(172_800.0));
        assert_eq!(seconds("+.5s"), Ok(0.5));
        assert_eq!(seconds("100us"), Ok(0.0001));
        for zero in ["0", "0s", "-0s"] {
            assert_eq!(seconds(zero), Ok(0.0));
        }
        for bad in [
            "", "40", "s", "-1s", "1x", "1 s", "1..5s", ".s", "1s5", "300000d", "1e3s",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    /// Decimal and binary units are read, in either case (B-241).
    #[test]
    fn sizes() {
        let cases = [
            ("0", 0),
            ("12", 12),
            ("12b", 12),
            ("1k", 1000),
            ("1KB", 1000),
            ("1.5 MiB", 1_572_864),
            ("1,024", 1024),
            ("2gi", 2_147_483_648),
            ("10MiB", 10_485_760),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for bad in [
            "",
            "MB",
            "-1",
            "1x",
            "ib",
            "1ib",
            "1.2.3",
            "99999999999999999999",
            "1 k b",
        ] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panic(text in "[0-9.,a-zµ +-]{0,60}") {
            let _ = parse_duration(&text);
            let _ = parse_size(&text);
        }
    }
}

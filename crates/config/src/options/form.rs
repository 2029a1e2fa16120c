//! How the values of options are written: read from a line, and shown on the reference page.

use std::time::Duration;

use talaria_hub::limits::Rate;

use super::slot::Value;
use crate::error::Error;
use crate::lexer::Word;
use crate::shown::show;
use crate::tree::Line;
use crate::value;

/// How the value of an option is written, and which values it may have.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    /// The name alone, which switches it on.
    Switch,
    /// `40s`.
    Duration {
        /// The least and the most.
        range: Option<(Duration, Duration)>,
    },
    /// `10MiB` or `100`.
    Amount {
        /// Whether bytes are counted.
        is_size: bool,
        /// The least value.
        least: u64,
        /// The largest value.
        most: u64,
        /// Whether `off` stands for no bound.
        has_off: bool,
    },
    /// `100/s` or `100/s 500`, or `off`.
    Rate,
}

impl Form {
    pub(crate) const DURATION: Self = Self::Duration { range: None };
    pub(crate) const SIZE: Self = Self::size(0, u64::MAX);
    pub(crate) const COUNT: Self = Self::count(1, u64::MAX);

    pub(crate) const fn size(least: u64, most: u64) -> Self {
        Self::Amount {
            is_size: true,
            least,
            most,
            has_off: false,
        }
    }

    pub(crate) const fn count(least: u64, most: u64) -> Self {
        Self::Amount {
            is_size: false,
            least,
            most,
            has_off: false,
        }
    }

    /// The same form, where `off` stands for no bound.
    pub(crate) const fn or_off(self) -> Self {
        match self {
            Self::Amount {
                is_size,
                least,
                most,
                ..
            } => Self::Amount {
                is_size,
                least,
                most,
                has_off: true,
            },
            other => other,
        }
    }

    /// What follows the option's name.
    pub(crate) const fn arguments(self) -> &'static str {
        match self {
            Self::Switch => "",
            Self::Duration { .. } => "<duration>",
            Self::Rate => "<n>/s [<at once>]|off",
            Self::Amount {
                is_size, has_off, ..
            } => match (is_size, has_off) {
                (true, false) => "<size>",
                (true, true) => "<size>|off",
                (false, false) => "<n>",
                (false, true) => "<n>|off",
            },
        }
    }

    /// Reads the value of a line; `default` is shown where the value is out of its range.
    pub(crate) fn read(self, line: &Line, default: &str) -> Result<Value, Error> {
        let line = line.without_block()?;
        match self {
            Self::Switch => line.at_most(0, "").map(|()| Value::Switch(true)),
            Self::Duration { range } => duration(line.one("a duration")?, range, default),
            Self::Rate => rate(line),
            Self::Amount {
                is_size,
                least,
                most,
                has_off,
            } => {
                let word = line.one(match (is_size, has_off) {
                    (true, false) => "a size",
                    (true, true) => "a size or `off`",
                    (false, false) => "a number",
                    (false, true) => "a number or `off`",
                })?;
                if has_off && word.text == "off" {
                    return Ok(Value::None);
                }
                let read = match is_size {
                    true => size(word, &line.name, (least, most), has_off),
                    false => count(word, (least, most)),
                };
                let example = match is_size {
                    true => "write a size such as 64MiB, or `off` for no bound",
                    false => "write a number in digits only, or `off` for no bound",
                };
                let read = match read {
                    Err(Wrong::Form(error)) if has_off => Err(error.remedy(example)),
                    Err(Wrong::Form(error) | Wrong::Range(error)) => Err(error),
                    Ok(amount) => Ok(amount),
                };
                read.map(Value::Amount)
            }
        }
    }

    /// A value as the reference page shows it; `none` where there is none.
    pub(crate) fn show(self, value: Value, none: &str) -> String {
        match (value, self) {
            (Value::Switch(true), _) => "on".to_owned(),
            (Value::Switch(false), _) => "off".to_owned(),
            (Value::Duration(duration), _) => shown_duration(duration),
            (Value::Amount(bytes), Self::Amount { is_size: true, .. }) => shown_size(bytes),
            (Value::Amount(count), _) => count.to_string(),
            (Value::Rate(rate), _) => shown_rate(rate),
            (Value::None, _) => none.to_owned(),
        }
    }
}

/// What is wrong with an amount.
enum Wrong {
    Form(Error),
    Range(Error),
}

/// Reads a rate: how many in a second, a minute or an hour, and how many at once.
fn rate(line: &Line) -> Result<Value, Error> {
    const FORM: &str = "write a number for each second, minute or hour, such as 100/s or 600/m, after it how many may come at once, or `off` for no bound";
    let (word, at_once) = match line.args.as_slice() {
        [word] => (word, None),
        [word, at_once] if word.text != "off" => (word, Some(at_once)),
        _ => {
            return Err(line
                .name
                .error(format!("`{}` takes a rate", line.name.text))
                .remedy(FORM));
        }
    };
    if word.text == "off" {
        return Ok(Value::None);
    }
    let wrong = |word: &Word, is: &str| {
        word.error(format!("{} is not {is}", show(&word.text)))
            .remedy(FORM)
    };
    let number = |text: &str| {
        let number = text
            .parse()
            .ok()
            .filter(|number| (1..=Rate::MOST).contains(number));
        number.filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let parts = word.text.split_once('/');
    let read = parts.and_then(|(amount, unit)| {
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return None,
        };
        Some((number(amount)?, Duration::from_secs(seconds)))
    });
    let (amount, period) =
        read.ok_or_else(|| wrong(word, "a rate of 1 to 1000000 in a second, minute or hour"))?;
    let burst = match at_once {
        None => amount,
        Some(word) => {
            number(&word.text).ok_or_else(|| wrong(word, "a number from 1 to 1000000"))?
        }
    };
    Ok(Value::Rate(Rate::new(amount, period, burst)))
}

fn duration(
    word: &Word,
    range: Option<(Duration, Duration)>,
    default: &str,
) -> Result<Value, Error> {
    let duration = value::duration(word)?;
    if let Some((least, most)) = range
        && !(least..=most).contains(&duration)
    {
        let problem = format!("{} is out of range", show(&word.text));
        return Err(word.error(problem).remedy(format!(
            "write a duration from {} to {}, such as {default}",
            shown_duration(least),
            shown_duration(most)
        )));
    }
    Ok(Value::Duration(duration))
}

fn count(word: &Word, (least, most): (u64, u64)) -> Result<u64, Wrong> {
    let number = value::number(word, least).map_err(Wrong::Form)?;
    if number > most {
        return Err(Wrong::Range(
            word.error(format!("{number} is too large"))
                .remedy(format!("write a number from {least} to {most}")),
        ));
    }
    Ok(number)
}

fn size(word: &Word, name: &Word, (least, most): (u64, u64), off: bool) -> Result<u64, Wrong> {
    let size = value::size(word).map_err(Wrong::Form)?;
    if (least..=most).contains(&size) {
        return Ok(size);
    }
    let least_shown = shown_size(least);
    let remedy = match (most, off) {
        (u64::MAX, false) => format!("write a size of at least {least_shown}"),
        (u64::MAX, true) => {
            format!("write a size of at least {least_shown}, or `off` for no bound")
        }
        _ => format!("write a size from {least_shown} to {}", shown_size(most)),
    };
    let is = if size < least { "small" } else { "large" };
    let problem = format!("{} is too {is} for `{}`", show(&word.text), name.text);
    Err(Wrong::Range(word.error(problem).remedy(remedy)))
}

/// A rate as it is written.
fn shown_rate(rate: Rate) -> String {
    let unit = match rate.period().as_secs() {
        3600 => "h",
        60 => "m",
        _ => "s",
    };
    let amount = format!("{}/{unit}", rate.amount());
    match rate.burst() == rate.amount() {
        true => amount,
        false => format!("{amount} {}", rate.burst()),
    }
}

/// A duration in the largest unit that pages use: whole hours, else seconds, else milliseconds.
pub(crate) fn shown_duration(duration: Duration) -> String {
    let (seconds, is_whole) = (duration.as_secs(), duration.subsec_nanos() == 0);
    match (seconds, is_whole) {
        (3600.., true) if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        (_, true) => format!("{seconds}s"),
        (_, false) => format!("{}ms", duration.as_millis()),
    }
}

/// A size in the largest binary unit of which it is a multiple.
pub(crate) fn shown_size(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = units
        .into_iter()
        .find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    match (unit, bytes) {
        (Some((name, unit)), _) => format!("{}{name}", bytes / unit),
        (None, 1) => "1 byte".to_owned(),
        (None, _) => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_in_their_largest_unit() {
        for (bytes, shown) in [
            (1, "1 byte"),
            (1000, "1000 bytes"),
            (1 << 10, "1KiB"),
            (1536, "1536 bytes"),
            (64 << 20, "64MiB"),
            (1 << 30, "1GiB"),
        ] {
            assert_eq!(shown_size(bytes), shown);
        }
        for (milliseconds, shown) in [(100, "100ms"), (600_000, "600s"), (7_200_000, "2h")] {
            assert_eq!(shown_duration(Duration::from_millis(milliseconds)), shown);
        }
    }
}

//! Lines: how a record is written, as JSON or for people. Whatever a client sends, a line is short, and one line.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use talaria_config::settings::{
    DurationNotation, LevelNotation, LogForm, LogNotation, TimeNotation,
};
use tracing::Level;

use super::record::{Field, Record, Value};
use super::secrets::cut;
use super::times;

/// The most bytes of a line.
pub(super) const LINE_BYTES: usize = 16 * 1024;
/// The most bytes of each text in it: the first of these with which the line is short enough.
const TEXT_BYTES: [usize; 4] = [4 * 1024, 1024, 256, 64];
/// The name of the field that has the stable name of an event.
const EVENT: &str = "event";

/// How the lines of a log are written.
#[derive(Debug, Clone)]
pub(super) struct Style {
    /// The form.
    pub form: LogForm,
    /// Names and notations.
    pub notation: LogNotation,
    /// Whether the console shows colours.
    pub colors: bool,
}

impl Style {
    /// The line of a record with these fields, its ending included.
    pub(super) fn line(&self, record: &Record, fields: &[Field]) -> String {
        for most in TEXT_BYTES {
            let line = self.written(record, fields, most);
            if line.len() <= LINE_BYTES {
                return line;
            }
        }
        let cut = [(Cow::Borrowed("cut"), Value::Flag(true))];
        self.written(record, &cut, TEXT_BYTES[1])
    }

    fn written(&self, record: &Record, fields: &[Field], most: usize) -> String {
        let mut line = match self.form {
            LogForm::Json => self.json(record, fields, most),
            LogForm::Console => self.console(record, fields, most),
        };
        line.push_str(&self.notation.ending);
        line
    }

    fn json(&self, record: &Record, fields: &[Field], most: usize) -> String {
        let notation = &self.notation;
        let json = &mut Json {
            line: "{".to_owned(),
            most,
            durations: notation.durations,
        };
        let text = |text: &str| Value::Text(text.to_owned());
        if !notation.level.is_empty() {
            let level = level(
                record.level,
                notation.levels.unwrap_or(LevelNotation::Lower),
            );
            json.field(&notation.level, &text(&level));
        }
        if !notation.time.is_empty() {
            let times = notation.times.as_ref().unwrap_or(&TimeNotation::Seconds);
            let time = times::value(record.time, times, notation.local);
            json.field(&notation.time, &time);
        }
        if !notation.logger.is_empty() && !record.logger.is_empty() {
            json.field(&notation.logger, &text(&record.logger));
        }
        if !notation.message.is_empty() {
            json.field(&notation.message, &text(&record.message));
        }
        if !record.event.is_empty() {
            json.field(EVENT, &text(record.event));
        }
        for (name, value) in fields {
            json.field(name, value);
        }
        json.line.push('}');
        std::mem::take(&mut json.line)
    }

    /// Time, level, sentence, then `name=value`. The logger is left out, but for requests.
    fn console(&self, record: &Record, fields: &[Field], most: usize) -> String {
        let notation = &self.notation;
        let (dim, plain) = if self.colors {
            ("\u{1b}[2m", "\u{1b}[0m")
        } else {
            ("", "")
        };
        let mut line = String::new();
        if !notation.time.is_empty() {
            let time = match &notation.times {
                None => times::console(record.time, notation.local),
                Some(times) => written(&times::value(record.time, times, notation.local), notation),
            };
            // Writing to a string does not fail, here and below.
            _ = write!(line, "{dim}{time}{plain} ");
        }
        if !notation.level.is_empty() {
            let usual = match self.colors {
                true => LevelNotation::Color,
                false => LevelNotation::Upper,
            };
            let used = notation.levels.unwrap_or(usual);
            let padding = 5_usize.saturating_sub(record.level.as_str().len());
            _ = write!(line, "{:padding$}{} ", "", level(record.level, used));
        }
        line.push_str(&on_one_line(&cut(&record.message, most)));
        if record.logger.starts_with("http.log.") && !notation.logger.is_empty() {
            _ = write!(line, " {}={}", notation.logger, record.logger);
        }
        for (name, value) in fields {
            self.pair(&mut line, &cut(name, most), value, most);
        }
        line
    }

    /// ` name=value`, or one such pair for each field of a group.
    fn pair(&self, line: &mut String, name: &str, value: &Value, most: usize) {
        match value {
            Value::Group(fields) => {
                for (inner, value) in fields {
                    let name = format!("{name}.{}", cut(inner, most));
                    self.pair(line, &name, value, most);
                }
            }
            Value::Text(text) => _ = write!(line, " {name}={:?}", cut(text, most)),
            Value::Plain(text) => _ = write!(line, " {name}={}", on_one_line(&cut(text, most))),
            Value::Word(text) => {
                let text = cut(text, most);
                let is_plain = !text.is_empty()
                    && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"');
                match is_plain {
                    true => _ = write!(line, " {name}={text}"),
                    false => _ = write!(line, " {name}={text:?}"),
                }
            }
            // One value alone needs no brackets.
            Value::List(values) if values.len() == 1 => {
                for value in values {
                    self.pair(line, name, value, most);
                }
            }
            other => {
                let json = &mut Json {
                    line: String::new(),
                    most,
                    durations: self.notation.durations,
                };
                json.value(other);
                _ = write!(line, " {name}={}", json.line);
            }
        }
    }
}

/// A text without control characters, which would end the line or command the terminal.
fn on_one_line(text: &str) -> Cow<'_, str> {
    match text.contains(|c: char| c.is_control()) {
        false => Cow::Borrowed(text),
        true => Cow::Owned(text.escape_debug().to_string()),
    }
}

fn level(level: Level, notation: LevelNotation) -> Cow<'static, str> {
    match notation {
        LevelNotation::Lower => Cow::Owned(level.as_str().to_ascii_lowercase()),
        LevelNotation::Upper => Cow::Borrowed(level.as_str()),
        LevelNotation::Color => {
            let color = match level {
                Level::ERROR => 31,
                Level::WARN => 33,
                Level::INFO => 32,
                Level::DEBUG => 34,
                _ => 35,
            };
            Cow::Owned(format!("\u{1b}[{color}m{level}\u{1b}[0m"))
        }
    }
}

/// A value as the console shows it: a time.
fn written(value: &Value, notation: &LogNotation) -> String {
    match value.text() {
        Some(text) => on_one_line(text).into_owned(),
        None => {
            let mut json = Json {
                line: String::new(),
                most: TEXT_BYTES[3],
                durations: notation.durations,
            };
            json.value(value);
            json.line
        }
    }
}

/// A JSON object on its way.
struct Json {
    line: String,
    /// The most bytes of each text.
    most: usize,
    durations: DurationNotation,
}

impl Json {
    fn field(&mut self, name: &str, value: &Value) {
        if !self.line.ends_with('{') {
            self.line.push(',');
        }
        self.text(name);
        self.line.push(':');
        self.value(value);
    }

    fn value(&mut self, value: &Value) {
        // Writing to a string does not fail.
        match value {
            Value::Flag(flag) => _ = write!(self.line, "{flag}"),
            Value::Signed(number) => _ = write!(self.line, "{number}"),
            Value::Unsigned(number) => _ = write!(self.line, "{number}"),
            Value::Real(number) => self.real(*number),
            Value::Duration(duration) => self.duration(*duration),
            Value::Text(text) | Value::Plain(text) | Value::Word(text) => self.text(text),
            Value::List(values) => {
                self.line.push('[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        self.line.push(',');
                    }
                    self.value(value);
                }
                self.line.push(']');
            }
            Value::Group(fields) => {
                self.line.push('{');
                for (name, value) in fields {
                    self.field(name, value);
                }
                self.line.push('}');
            }
        }
    }

    fn real(&mut self, number: f64) {
        match serde_json::Number::from_f64(number) {
            Some(number) => _ = write!(self.line, "{number}"),
            // JSON has no other number.
            None => self.line.push_str("null"),
        }
    }

    fn duration(&mut self, duration: Duration) {
        match self.durations {
            DurationNotation::Seconds => self.real(duration.as_secs_f64()),
            DurationNotation::Milliseconds => self.real(duration.as_secs_f64() * 1e3),
            DurationNotation::Nanoseconds => _ = write!(self.line, "{}", duration.as_nanos()),
            DurationNotation::Text => self.text(&format!("{duration:?}")),
        }
    }

    fn text(&mut self, text: &str) {
        self.line
            .push_str(&serde_json::Value::from(&*cut(text, self.most)).to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(message: &str) -> Record {
        Record {
            level: Level::INFO,
            time: 1_796_040_000.25,
            logger: "talaria".into(),
            event: "something",
            message: message.to_owned(),
            fields: Vec::new(),
        }
    }

    fn style(form: LogForm, notation: LogNotation) -> Style {
        Style {
            form,
            notation,
            colors: false,
        }
    }

    fn word(text: &str) -> Value {
        Value::Word(text.to_owned())
    }

    /// Both forms of one record (B-701).
    #[test]
    fn a_record_has_two_forms() {
        let inner = vec![("uri".into(), word("/a b")), ("host".into(), word("a"))];
        let fields: Vec<Field> = vec![
            ("text".into(), Value::Text("a\n\"".to_owned())),
            ("plain".into(), Value::Plain("b c".to_owned())),
            ("number".into(), Value::Unsigned(7)),
            (
                "duration".into(),
                Value::Duration(Duration::from_millis(1500)),
            ),
            ("request".into(), Value::Group(inner)),
            ("list".into(), Value::List(vec![word("x"), word("y")])),
        ];
        let json = style(LogForm::Json, LogNotation::default());
        assert_eq!(
            json.line(&record("done"), &fields),
            "{\"level\":\"info\",\"ts\":1796040000.25,\"logger\":\"talaria\",\"msg\":\"done\",\"event\":\"something\",\"text\":\"a\\n\\\"\",\"plain\":\"b c\",\"number\":7,\"duration\":1.5,\"request\":{\"uri\":\"/a b\",\"host\":\"a\"},\"list\":[\"x\",\"y\"]}\n"
        );
        let console = style(LogForm::Console, LogNotation::default());
        assert_eq!(
            console.line(&record("done"), &fields),
            "2026-11-30T12:00:00.250000Z  INFO done text=\"a\\n\\\"\" plain=b c number=7 duration=1.5 request.uri=\"/a b\" request.host=a list=[\"x\",\"y\"]\n"
        );
    }

    /// Names and notations are those of the configuration.
    #[test]
    fn names_and_notations_are_configured() {
        let notation = LogNotation {
            message: "message".to_owned(),
            level: "severity".to_owned(),
            time: String::new(),
            logger: String::new(),
            levels: Some(LevelNotation::Upper),
            durations: DurationNotation::Text,
            ending: "\r\n".to_owned(),
            ..LogNotation::default()
        };
        let fields: Vec<Field> =
            vec![("took".into(), Value::Duration(Duration::from_millis(1500)))];
        let line = style(LogForm::Json, notation).line(&record("done"), &fields);
        assert_eq!(
            line,
            "{\"severity\":\"INFO\",\"message\":\"done\",\"event\":\"something\",\"took\":\"1.5s\"}\r\n"
        );
    }

    /// No text of a client makes a line longer than its bound, and what is left of a line of JSON is JSON.
    #[test]
    fn a_line_is_bounded() {
        for long in ["x".repeat(1 << 20), "ä€🦀\u{1}".repeat(1 << 16)] {
            for form in [LogForm::Json, LogForm::Console] {
                for count in [1, 10, 200, 2_000] {
                    let fields: Vec<Field> = (0..count)
                        .map(|_| ("field".into(), Value::Text(cut(&long, 500).into_owned())))
                        .collect();
                    let line = style(form, LogNotation::default()).line(&record(&long), &fields);
                    assert!(line.len() <= LINE_BYTES, "{}", line.len());
                    assert_eq!(line.matches('\n').count(), 1);
                    if form == LogForm::Json {
                        let parsed: Result<serde_json::Value, _> = serde_json::from_str(&line);
                        assert!(parsed.is_ok(), "{line}");
                    }
                }
            }
        }
    }
}

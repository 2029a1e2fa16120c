//! The `transport` directive, and the same in a URL (B-250 to B-256).

use std::path::{Path, PathBuf};
use std::time::Duration;

use talaria_hub::UnknownCursor;
use talaria_transport::history::SyncMode;

use super::Environment;
use crate::config::draft::Draft;
use crate::config::error::{ConfigError, show};
use crate::config::lexer::Word;
use crate::config::settings::{HistorySettings, Notice, TransportSettings};
use crate::config::site::refuse;
use crate::config::source::Place;
use crate::config::tree::Line;
use crate::config::value;
use crate::folders::data_home;

/// Transports that are not supported yet (B-260 to B-263).
pub(super) const LATER: &[&str] = &["kafka", "nats", "postgres", "pulsar", "redis", "valkey"];

/// Bytes of the newest updates in memory unless told otherwise (design §5).
pub const DEFAULT_MAX_BYTES: u64 = 32 * 1024 * 1024;

const BOLT: &[&str] = &[
    "path",
    "bucket_name",
    "size",
    "cleanup_frequency",
    "max_bytes",
    "max_age",
    "sync",
    "ring_bytes",
    "unknown_cursor",
];
const MEMORY: &[&str] = &["size", "max_bytes", "unknown_cursor"];
const LOCAL: &[&str] = &["max_bytes"];

/// The directive `transport <name> { … }`.
pub fn transport(
    draft: &mut Draft,
    line: &Line,
    environment: Environment<'_>,
) -> Result<(), ConfigError> {
    let name = line.one("the transport's name")?;
    let known = match name.text.as_str() {
        "bolt" => BOLT,
        "memory" => MEMORY,
        "local" => LOCAL,
        _ => {
            let known = &["bolt", "memory", "local"];
            return Err(refuse(name, "transport", LATER, known));
        }
    };
    let mut values = Values::default();
    for option in line.block.iter().flatten() {
        option.without_block()?;
        if !known.contains(&option.name.text.as_str()) {
            return Err(refuse(&option.name, "transport option", &[], known));
        }
        option.at_most(2, "one value")?;
        let most = if option.name.text == "sync" { 2 } else { 1 };
        option.at_most(most, "one value")?;
        if option.args.is_empty() {
            return Err(option.missing("a value"));
        }
        values.set(&option.name.text, &option.args)?;
    }
    draft.transport = Some(match name.text.as_str() {
        "bolt" => TransportSettings::History(values.history(environment, &mut draft.notices)),
        "memory" => TransportSettings::Memory {
            size: values.size,
            max_bytes: values.memory_bytes()?,
            unknown_cursor: values.unknown_cursor.unwrap_or(UnknownCursor::Replay),
        },
        _ => TransportSettings::Local {
            max_bytes: values.memory_bytes()?,
        },
    });
    Ok(())
}

/// The history where the existing hub has its own (B-070).
pub fn default_transport(environment: Environment<'_>) -> TransportSettings {
    TransportSettings::History(Values::default().history(environment, &mut Vec::new()))
}

/// The history as nothing but its path configures it.
pub fn default_history() -> HistorySettings {
    Values::default().history(&|_| None, &mut Vec::new())
}

/// A transport as a URL (B-253), which came from a variable.
///
/// # Errors
///
/// Anything but `local://…` and `bolt://…` with options that are known and right. The URL is shown
/// without its password.
pub fn from_url(
    variable: &str,
    text: &str,
    environment: Environment<'_>,
    notices: &mut Vec<Notice>,
) -> Result<TransportSettings, ConfigError> {
    let Ok(url) = url::Url::parse(text) else {
        // It may hold a password that cannot be told from the rest.
        let problem = if text.contains(['"', '\'', '“', '‘']) {
            format!("{variable} is not a URL: it holds quotes")
        } else {
            format!("{variable} is not a URL")
        };
        return Err(ConfigError::general(problem)
            .remedy("write for example bolt:///data/mercure.db, or unset it"));
    };
    let mut shown = url.clone();
    if url.scheme() != "bolt" {
        // The options of other transports may be passwords.
        shown.set_query(None);
    }
    let refused = |problem: String| {
        let place = Place::variable(variable);
        ConfigError::at(&place, format!("{problem} in {}", show(shown.as_str())))
    };
    match url.scheme() {
        "local" => {
            return Ok(TransportSettings::Local {
                max_bytes: DEFAULT_MAX_BYTES,
            });
        }
        "bolt" => {}
        scheme if LATER.contains(&scheme) => {
            return Err(refused(format!(
                "the transport {} is not supported yet",
                show(scheme)
            ))
            .remedy("unset it, or write `transport bolt` in MERCURE_EXTRA_DIRECTIVES"));
        }
        scheme => {
            return Err(refused(format!("unknown transport {}", show(scheme)))
                .remedy("write for example bolt:///data/mercure.db, or unset it"));
        }
    }
    let mut values = Values {
        path: Some(url_path(&url).ok_or_else(|| {
            refused("no path, or a path with a host before it,".to_owned())
                .remedy("write bolt:///absolute/path.db or bolt://relative.db")
        })?),
        ..Values::default()
    };
    for (name, value) in url.query_pairs() {
        let known: Vec<&str> = BOLT
            .iter()
            .copied()
            .filter(|known| *known != "path")
            .collect();
        if !known.contains(&&*name) {
            return Err(refused(format!("unknown transport option {}", show(&name)))
                .remedy(format!("known are: {}", known.join(", "))));
        }
        let texts: Vec<&str> = match &*name {
            "sync" => value.split_whitespace().collect(),
            _ => Some(&*value)
                .filter(|text| !text.is_empty())
                .into_iter()
                .collect(),
        };
        let words: Vec<Word> = texts.iter().map(|text| word(text, variable)).collect();
        if words.is_empty() {
            return Err(refused(format!("{} has no value", show(&name))));
        }
        values.set(&name, &words).map_err(|error| {
            error.remedy(format!(
                "it is the value of {} in {}",
                show(&name),
                show(shown.as_str())
            ))
        })?;
    }
    Ok(TransportSettings::History(
        values.history(environment, notices),
    ))
}

fn url_path(url: &url::Url) -> Option<PathBuf> {
    let decoded = |text: &str| {
        let bytes = percent_encoding::percent_decode_str(text);
        bytes.decode_utf8().ok().map(|text| text.into_owned())
    };
    match (url.host_str().filter(|host| !host.is_empty()), url.path()) {
        (None, path) if path.len() > 1 => decoded(path).map(PathBuf::from),
        (Some(host), "" | "/") => decoded(host).map(PathBuf::from),
        _ => None,
    }
}

fn word(text: &str, variable: &str) -> Word {
    Word {
        text: text.to_owned(),
        place: Place::variable(variable),
        quoted: false,
        line: 0,
        end_line: 0,
    }
}

/// What was written.
#[derive(Default)]
struct Values {
    path: Option<PathBuf>,
    bucket_name: Option<String>,
    size: Option<u64>,
    cleanup_frequency: Option<(f64, Place)>,
    max_bytes: Option<(u64, Word)>,
    max_age: Option<Duration>,
    sync: SyncMode,
    ring_bytes: Option<u64>,
    unknown_cursor: Option<UnknownCursor>,
}

impl Values {
    /// Takes an option over; there is at least one word.
    fn set(&mut self, name: &str, words: &[Word]) -> Result<(), ConfigError> {
        let word = &words[0];
        match name {
            "path" if word.text.is_empty() => {
                return Err(word.error("the path is empty").remedy("name a file"));
            }
            "path" => self.path = Some(PathBuf::from(&word.text)),
            "bucket_name" => self.bucket_name = Some(word.text.clone()),
            "size" => self.size = Some(value::number(word, 0)?).filter(|size| *size > 0),
            "cleanup_frequency" => {
                let frequency = word
                    .text
                    .parse()
                    .ok()
                    .filter(|number: &f64| number.is_finite());
                let frequency = frequency.ok_or_else(|| {
                    word.error(format!("{} is not a number", show(&word.text)))
                        .remedy("write 0 to turn `size` off, or remove it")
                })?;
                self.cleanup_frequency = Some((frequency, word.place.clone()));
            }
            "max_bytes" => self.max_bytes = Some((value::size(word)?, word.clone())),
            "max_age" => {
                self.max_age = Some(value::duration(word)?).filter(|age| !age.is_zero());
            }
            "sync" => self.sync = sync(words)?,
            "ring_bytes" => self.ring_bytes = Some(ring_bytes(word)?),
            _ => self.unknown_cursor = Some(unknown_cursor(word)?),
        }
        Ok(())
    }

    /// The bound of a log in memory.
    fn memory_bytes(&self) -> Result<u64, ConfigError> {
        match &self.max_bytes {
            Some((0, word)) => Err(word
                .error("`max_bytes` must be more than 0")
                .remedy("a log in memory needs a bound, for example 32MiB")),
            Some((bytes, _)) => Ok(*bytes),
            None => Ok(DEFAULT_MAX_BYTES),
        }
    }

    fn history(self, environment: Environment<'_>, notices: &mut Vec<Notice>) -> HistorySettings {
        if let Some(path) = self.path.as_deref().and_then(Path::to_str)
            && path.ends_with([',', ';', '"', '\''])
        {
            notices.push(Notice::warning(format!(
                "the path of the history, {}, ends with a mark that is part of the file's name; remove the mark unless it is meant",
                show(path)
            )));
        }
        let mut size = self.size;
        match &self.cleanup_frequency {
            Some((frequency, place)) if *frequency <= 0.0 => {
                let written = size.take();
                if written.is_some() {
                    notices.push(Notice::info(format!(
                        "{place}: `cleanup_frequency 0` turns `size` off, so everything is kept; remove it to keep the newest only"
                    )));
                }
            }
            Some((_, place)) => notices.push(Notice::info(format!(
                "{place}: `cleanup_frequency` has no effect but for 0: `size` is exact after every publish"
            ))),
            None => {}
        }
        HistorySettings {
            path: self.path.unwrap_or_else(|| default_path(environment)),
            bucket_name: self.bucket_name.unwrap_or_else(|| "updates".to_owned()),
            size,
            max_bytes: self
                .max_bytes
                .map(|(bytes, _)| bytes)
                .filter(|bytes| *bytes > 0),
            max_age: self.max_age,
            sync: self.sync,
            ring_bytes: self.ring_bytes.unwrap_or(DEFAULT_MAX_BYTES),
            unknown_cursor: self.unknown_cursor.unwrap_or(UnknownCursor::Live),
        }
    }
}

/// Where the existing hub keeps its history unless told otherwise (B-070).
pub fn default_path(environment: Environment<'_>) -> PathBuf {
    let data = data_home(environment).unwrap_or_else(|| PathBuf::from("."));
    data.join("caddy/mercure.db")
}

fn sync(words: &[Word]) -> Result<SyncMode, ConfigError> {
    match words {
        [word] if word.text == "always" => Ok(SyncMode::Always),
        [word] if word.text == "never" => Ok(SyncMode::Never),
        [word, interval] if word.text == "interval" => {
            let duration = value::duration(interval)?;
            if duration.is_zero() {
                return Err(interval
                    .error("an interval of nothing is no interval")
                    .remedy("write `sync always`"));
            }
            Ok(SyncMode::Interval(duration))
        }
        [word, ..] => Err(word
            .error(format!("{} is no way to sync", show(&word.text)))
            .remedy("write `sync always`, `sync interval 100ms` or `sync never`")),
        [] => Ok(SyncMode::Always),
    }
}

fn ring_bytes(word: &Word) -> Result<u64, ConfigError> {
    const LEAST: u64 = 64 << 10;
    let bytes = value::size(word)?;
    if bytes < LEAST {
        return Err(word
            .error(format!("`ring_bytes` must be at least {LEAST}"))
            .remedy("leave it out for 32MiB"));
    }
    Ok(bytes)
}

fn unknown_cursor(word: &Word) -> Result<UnknownCursor, ConfigError> {
    match word.text.as_str() {
        "replay" => Ok(UnknownCursor::Replay),
        "live" => Ok(UnknownCursor::Live),
        other => Err(word
            .error(format!("{} is neither replay nor live", show(other)))
            .remedy("write `unknown_cursor replay` or `unknown_cursor live`")),
    }
}

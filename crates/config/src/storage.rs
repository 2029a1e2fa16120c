//! The `transport` directive's block while it is read, and the notations of its options.

use std::path::{Path, PathBuf};

use talaria_hub::UnknownCursor;
use talaria_transport::MemoryOptions;
use talaria_transport::history::SyncMode;

use crate::error::Error;
use crate::folders::data_home;
use crate::lexer::Word;
use crate::postgres::PostgresDraft;
use crate::redis::RedisDraft;
use crate::settings::{HistorySettings, Notice, TransportSettings};
use crate::shown::show;
use crate::source::{Environment, Place};
use crate::tree::Line;
use crate::value;

/// A transport, by its name in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Bolt,
    Memory,
    Local,
    Redis,
    Postgres,
}

impl Kind {
    pub(crate) const ALL: &'static [Self] = &[
        Self::Bolt,
        Self::Memory,
        Self::Local,
        Self::Redis,
        Self::Postgres,
    ];

    /// The names that a file may have; some transports have two.
    pub(crate) const NAMES: &'static [(&'static str, Self)] = &[
        ("bolt", Self::Bolt),
        ("memory", Self::Memory),
        ("local", Self::Local),
        ("redis", Self::Redis),
        ("valkey", Self::Redis),
        ("postgres", Self::Postgres),
        ("postgresql", Self::Postgres),
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bolt => "bolt",
            Self::Memory => "memory",
            Self::Local => "local",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
        }
    }

    /// The names of some as a sentence has them.
    pub(crate) fn list(kinds: &[Self]) -> String {
        let names = kinds.iter().map(|kind| format!("`{}`", kind.name()));
        let names: Vec<String> = names.collect();
        match names.split_last() {
            Some((last, others)) if !others.is_empty() => {
                format!("{} and {last}", others.join(", "))
            }
            _ => names.concat(),
        }
    }
}

/// A transport whose options are being read.
#[derive(Debug)]
pub(crate) struct Storage {
    pub(crate) kind: Kind,
    /// The options of `bolt`.
    pub(crate) history: HistorySettings,
    /// The options of `memory` and `local`.
    pub(crate) memory: MemoryOptions,
    /// The options of `redis`.
    pub(crate) redis: RedisDraft,
    /// The options of `postgres`.
    pub(crate) postgres: PostgresDraft,
    /// What a subscriber gets first when its `Last-Event-ID` is unknown.
    pub(crate) unknown_cursor: UnknownCursor,
    /// The value of `cleanup_frequency`.
    frequency: Option<(f64, Place)>,
}

impl Storage {
    /// A transport with every option at its default. Of the history only the path is missing.
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            history: HistorySettings::new(PathBuf::from("mercure.db")),
            memory: match kind {
                Kind::Local => MemoryOptions::local(),
                _ => MemoryOptions::default(),
            },
            redis: RedisDraft::default(),
            postgres: PostgresDraft::default(),
            unknown_cursor: match kind {
                Kind::Memory => UnknownCursor::Replay,
                Kind::Bolt | Kind::Local | Kind::Redis | Kind::Postgres => UnknownCursor::Live,
            },
            frequency: None,
        }
    }

    /// The same, with what the environment says: its history is where the existing hub has its own, and variables
    /// name its server.
    pub(crate) fn in_environment(kind: Kind, environment: Environment<'_>) -> Self {
        let mut storage = Self::new(kind);
        storage.history.path = default_path(environment);
        if kind == Kind::Postgres {
            storage.postgres = PostgresDraft::in_environment(environment);
        }
        storage
    }

    /// The transport, which is named at `place`, as its options configure it.
    ///
    /// # Errors
    ///
    /// Options contradict each other.
    pub(crate) fn finish(
        mut self,
        place: &Place,
        notices: &mut Vec<Notice>,
    ) -> Result<TransportSettings, Error> {
        if self.kind == Kind::Bolt {
            notices.extend(mark_in_path(&self.history.path));
            notices.extend(self.apply_frequency());
        }
        Ok(match self.kind {
            Kind::Bolt => TransportSettings::History(self.history),
            Kind::Memory => TransportSettings::Memory(self.memory),
            Kind::Local => TransportSettings::Local(self.memory),
            Kind::Redis => {
                let redis = self.redis.finish(place, notices)?;
                TransportSettings::Redis(Box::new(redis))
            }
            Kind::Postgres => {
                let postgres = self.postgres.finish(place, notices)?;
                TransportSettings::Postgres(Box::new(postgres))
            }
        })
    }

    /// A frequency of zero turns `size` off, as in the existing hub; any other number has no effect, since
    /// `size` is exact after every publish (B-251, B-255).
    fn apply_frequency(&mut self) -> Option<Notice> {
        let (frequency, place) = self.frequency.as_ref()?;
        if *frequency > 0.0 {
            return Some(Notice::info(format!(
                "{place}: `cleanup_frequency` has no effect except for 0: `size` is exact after every publish"
            )));
        }
        self.history.options.size.take().map(|_| {
            Notice::info(format!(
                "{place}: `cleanup_frequency 0` turns `size` off, so everything is kept; remove it to keep only the newest updates"
            ))
        })
    }
}

fn mark_in_path(path: &Path) -> Option<Notice> {
    let path = path.to_str()?;
    path.ends_with([',', ';', '"', '\'']).then(|| {
        Notice::warning(format!(
            "the path of the history, {}, ends with a mark that is part of the file's name; remove the mark unless it is meant",
            show(path)
        ))
    })
}

/// Where the existing hub keeps its history unless told otherwise (B-070).
pub fn default_path(environment: Environment<'_>) -> PathBuf {
    let data = data_home(environment).unwrap_or_else(|| PathBuf::from("."));
    data.join("caddy/mercure.db")
}

type Done = Result<(), Error>;

pub(crate) fn path(storage: &mut Storage, line: &Line, _: Environment<'_>) -> Done {
    let word = line.without_block()?.one("a value")?;
    if word.text.is_empty() {
        return Err(word.error("the path is empty").remedy("name a file"));
    }
    storage.history.path = PathBuf::from(&word.text);
    Ok(())
}

pub(crate) fn bucket_name(storage: &mut Storage, line: &Line, _: Environment<'_>) -> Done {
    let word = line.without_block()?.one("a value")?;
    storage.history.bucket_name.clone_from(&word.text);
    Ok(())
}

pub(crate) fn cleanup_frequency(storage: &mut Storage, line: &Line, _: Environment<'_>) -> Done {
    let word = line.without_block()?.one("a number")?;
    let number = word.text.parse().ok();
    let frequency = number.filter(|number: &f64| number.is_finite());
    let frequency = frequency.ok_or_else(|| {
        word.error(format!("{} is not a number", show(&word.text)))
            .remedy("write 0 to turn `size` off, or remove it")
    })?;
    storage.frequency = Some((frequency, word.place.clone()));
    Ok(())
}

pub(crate) fn max_bytes(storage: &mut Storage, line: &Line, _: Environment<'_>) -> Done {
    let word = line.without_block()?.one("a size")?;
    let bytes = value::size(word)?;
    match (storage.kind, bytes) {
        (Kind::Bolt, _) => storage.history.options.max_bytes = Some(bytes).filter(|n| *n > 0),
        (_, 0) => {
            return Err(word
                .error("`max_bytes` must be more than 0")
                .remedy("a log in memory needs a bound, for example 32MiB"));
        }
        _ => storage.memory.max_bytes = usize::try_from(bytes).unwrap_or(usize::MAX),
    }
    Ok(())
}

pub(crate) fn sync(storage: &mut Storage, line: &Line, _: Environment<'_>) -> Done {
    line.without_block()?.at_most(2, "one value")?;
    storage.history.options.sync = match line.args.as_slice() {
        [word] if word.text == ALWAYS => SyncMode::Always,
        [word] if word.text == NEVER => SyncMode::Never,
        [word, interval] if word.text == INTERVAL => SyncMode::Interval(sync_interval(interval)?),
        [word, ..] => {
            return Err(word
                .error(format!("{} is not a way to sync", show(&word.text)))
                .remedy("write `sync always`, `sync interval 100ms` or `sync never`"));
        }
        [] => return Err(line.missing("a value")),
    };
    Ok(())
}

const ALWAYS: &str = "always";
const INTERVAL: &str = "interval";
const NEVER: &str = "never";

fn sync_interval(word: &Word) -> Result<std::time::Duration, Error> {
    let duration = value::duration(word)?;
    if duration.is_zero() {
        return Err(word
            .error("the interval is zero")
            .remedy("write `sync always`"));
    }
    Ok(duration)
}

/// A way to sync as the file names it.
pub(crate) fn shown_sync(sync: SyncMode) -> &'static str {
    match sync {
        SyncMode::Always => ALWAYS,
        SyncMode::Interval(_) => INTERVAL,
        SyncMode::Never => NEVER,
    }
}

const REPLAY: &str = "replay";
const LIVE: &str = "live";

pub(crate) fn unknown_cursor(storage: &mut Storage, line: &Line, _: Environment<'_>) -> Done {
    let word = line.without_block()?.one("a value")?;
    storage.unknown_cursor = match word.text.as_str() {
        REPLAY => UnknownCursor::Replay,
        LIVE => UnknownCursor::Live,
        other => {
            return Err(word
                .error(format!("{} is neither {REPLAY} nor {LIVE}", show(other)))
                .remedy("write `unknown_cursor replay` or `unknown_cursor live`"));
        }
    };
    Ok(())
}

/// What a subscriber gets first, as the file names it.
pub(crate) fn shown_cursor(cursor: UnknownCursor) -> &'static str {
    match cursor {
        UnknownCursor::Replay => REPLAY,
        UnknownCursor::Live => LIVE,
    }
}

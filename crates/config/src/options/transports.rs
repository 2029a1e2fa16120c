//! The options of a `transport` block, and the directive that opens it.

use super::form::{Form, shown_size};
use super::row::{Effect, Preset, Row, Section, Setter, by_kind};
use crate::draft::Draft;
use crate::error::Error;
use crate::source::Environment;
use crate::storage::{self, Kind, Storage};
use crate::tree::Line;
use crate::unknown::refuse;

/// Transports that are not supported yet (B-260 to B-263).
pub(crate) const LATER: &[&str] = &["kafka", "nats", "postgres", "pulsar", "redis", "valkey"];

/// The transport that is used where none is named.
pub(crate) const DEFAULT: Kind = Kind::Bolt;

const BOLT: &[Kind] = &[Kind::Bolt];
const LOOKED_UP: &[Kind] = &[Kind::Bolt, Kind::Memory];

const fn of(
    kinds: &'static [Kind],
    name: &'static str,
    arguments: &'static str,
    set: Setter<Storage>,
    doc: &'static str,
) -> Row {
    let effect = Effect::Transport(kinds, set);
    let row = Row::new(Section::Transport, name, arguments, effect, doc);
    row.preset(Preset::Value { none: "none" })
}

/// The options, in the order of the reference page, which says of which transports each is.
pub(crate) const TRANSPORT: &[Row] = &[
    of(
        BOLT,
        "path",
        "<file>",
        Setter::Read(storage::path),
        "the database of the existing hub. The history is the directory beside it, \
         `<path>.talaria`; if the database exists, its updates are imported at start and it is \
         left untouched.",
    )
    .said("`mercure.db` in `$XDG_DATA_HOME/caddy`, else in `$HOME/.local/share/caddy`"),
    of(
        BOLT,
        "bucket_name",
        "<name>",
        Setter::Read(storage::bucket_name),
        "the bucket of that database.",
    )
    .preset(Preset::Shown(|| {
        Storage::new(Kind::Bolt).history.bucket_name
    })),
    of(
        LOOKED_UP,
        "size",
        "<n>",
        Setter::Value(Form::count(0, u64::MAX), |storage| match storage.kind {
            Kind::Bolt => (&mut storage.history.options.size).into(),
            Kind::Memory | Kind::Local => (&mut storage.memory.size).into(),
        }),
        "the maximum number of updates kept for resuming; exact after every publish.",
    )
    .none("0: no bound"),
    of(
        BOLT,
        "cleanup_frequency",
        "<number>",
        Setter::Read(storage::cleanup_frequency),
        "`0`, written, turns `size` off, as in the existing hub; any other number has no effect.",
    )
    .said("none"),
    of(
        Kind::ALL,
        "max_bytes",
        "<size>",
        Setter::Read(storage::max_bytes),
        "Bytes that kept updates occupy, at most: on disk for `bolt`, else in memory.",
    )
    .preset(Preset::Shown(|| by_kind(Kind::ALL, default_bytes))),
    of(
        BOLT,
        "max_age",
        "<duration>",
        Setter::Value(Form::DURATION, |storage| {
            (&mut storage.history.options.max_age).into()
        }),
        "how long an update is kept. An older one is hidden within a second, and deleted.",
    )
    .none("0s: no bound"),
    of(
        BOLT,
        "sync",
        "always|interval <duration>|never",
        Setter::Read(storage::sync),
        "when an acknowledged update is on the disk. `always`: before it is acknowledged, so that \
         nothing acknowledged is lost. `interval`: so much later, which a crash of the system may cost, \
         one of the hub not. `never`: when the system likes.",
    )
    .preset(Preset::Shown(|| {
        storage::shown_sync(Storage::new(Kind::Bolt).history.options.sync).to_owned()
    })),
    of(
        BOLT,
        "ring_bytes",
        "<size>",
        Setter::Value(Form::size(64 << 10, u64::MAX), |storage| {
            (&mut storage.history.options.ring_bytes).into()
        }),
        "memory for the newest updates, which live subscribers read without the disk.",
    ),
    of(
        LOOKED_UP,
        "unknown_cursor",
        "replay|live",
        Setter::Read(storage::unknown_cursor),
        "what a client with an unknown `Last-Event-ID` gets first, everything kept or nothing.",
    )
    .preset(Preset::Shown(|| {
        by_kind(LOOKED_UP, |kind| {
            storage::shown_cursor(Storage::new(kind).unknown_cursor).to_owned()
        })
    })),
];

fn default_bytes(kind: Kind) -> String {
    let storage = Storage::new(kind);
    let bytes = match kind {
        Kind::Bolt => storage.history.options.max_bytes,
        Kind::Memory | Kind::Local => Some(storage.memory.max_bytes as u64),
    };
    bytes.map_or_else(|| "0, no bound".to_owned(), shown_size)
}

/// The names of the options of a transport.
pub(crate) fn names(kind: Kind) -> Vec<&'static str> {
    let of_kind =
        |row: &&Row| matches!(&row.effect, Effect::Transport(kinds, _) if kinds.contains(&kind));
    TRANSPORT
        .iter()
        .filter(of_kind)
        .map(|row| row.name)
        .collect()
}

/// Takes an option over, if the transport has one of this name.
///
/// # Errors
///
/// What is wrong with its value.
pub(crate) fn set(
    storage: &mut Storage,
    line: &Line,
    environment: Environment<'_>,
) -> Result<bool, Error> {
    for row in TRANSPORT.iter().filter(|row| row.name == line.name.text) {
        if let Effect::Transport(kinds, setter) = &row.effect
            && kinds.contains(&storage.kind)
        {
            setter.apply(storage, line, environment, &row.default())?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// The directive `transport <name> { … }`.
pub(crate) fn transport(
    draft: &mut Draft,
    line: &Line,
    environment: Environment<'_>,
) -> Result<(), Error> {
    let name = line.one("the transport's name")?;
    let named = Kind::ALL.iter().find(|kind| kind.name() == name.text);
    let Some(kind) = named else {
        let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        return Err(refuse(name, "transport", LATER, &known));
    };
    let mut storage = Storage::in_environment(*kind, environment);
    let apply = |option: &Line| {
        option.without_block()?;
        if set(&mut storage, option, environment)? {
            return Ok(());
        }
        Err(refuse(&option.name, "transport option", &[], &names(*kind)))
    };
    let options = line.block.iter().flatten();
    Error::all(options.map(apply).filter_map(Result::err).collect())?;
    take_over(draft, storage);
    Ok(())
}

/// Makes a transport that of the hub.
pub(crate) fn take_over(draft: &mut Draft, storage: Storage) {
    draft.mark_written("transport");
    draft.hub.unknown_cursor = storage.unknown_cursor;
    draft.transport = storage.finish(&mut draft.notices);
}

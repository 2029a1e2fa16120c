//! The options of `transport` blocks that say what is kept, and where it is kept on this machine.

use super::form::{Form, shown_size};
use super::row::{Effect, Preset, Row, Section, Setter, by_kind};
use crate::storage::{self, Kind, Storage};

const BOLT: &[Kind] = &[Kind::Bolt];
const LOOKED_UP: &[Kind] = &[Kind::Bolt, Kind::Memory, Kind::Redis, Kind::Postgres];
const COUNTED: &[Kind] = &[Kind::Bolt, Kind::Memory, Kind::Postgres];
const OF_ONE_NODE: &[Kind] = &[Kind::Bolt, Kind::Memory, Kind::Local];
const AGED: &[Kind] = &[Kind::Bolt, Kind::Redis, Kind::Postgres];

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
pub(super) const OPTIONS: &[Row] = &[
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
        COUNTED,
        "size",
        "<n>",
        Setter::Value(Form::count(0, u64::MAX), |storage| match storage.kind {
            Kind::Bolt => (&mut storage.history.options.size).into(),
            Kind::Postgres => (&mut storage.postgres.settings.size).into(),
            _ => (&mut storage.memory.size).into(),
        }),
        "the maximum number of updates kept for resuming; exact after every publish, except for `postgres`, which deletes \
         older ones in the background.",
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
        OF_ONE_NODE,
        "max_bytes",
        "<size>",
        Setter::Read(storage::max_bytes),
        "the bytes that kept updates occupy, at most: on disk for `bolt`, else in memory.",
    )
    .preset(Preset::Shown(|| by_kind(OF_ONE_NODE, default_bytes))),
    of(
        AGED,
        "max_age",
        "<duration>",
        Setter::Value(Form::DURATION, |storage| match storage.kind {
            Kind::Redis => (&mut storage.redis.settings.max_age).into(),
            Kind::Postgres => (&mut storage.postgres.settings.max_age).into(),
            _ => (&mut storage.history.options.max_age).into(),
        }),
        "how long an update is kept. An older one is hidden and deleted: by `bolt` within a second, by the others within a third of the `lease`.",
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
        AGED,
        "ring_bytes",
        "<size>",
        Setter::Value(Form::size(64 << 10, u64::MAX), |storage| match storage.kind {
            Kind::Redis => (&mut storage.redis.settings.ring_bytes).into(),
            Kind::Postgres => (&mut storage.postgres.settings.ring_bytes).into(),
            _ => (&mut storage.history.options.ring_bytes).into(),
        }),
        "memory for the newest updates, which live subscribers read without the disk or the server.",
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
        _ => Some(storage.memory.max_bytes as u64),
    };
    bytes.map_or_else(|| "0, no bound".to_owned(), shown_size)
}

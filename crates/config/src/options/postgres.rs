//! The options of `transport postgres` alone.

use super::row::{Effect, Preset, Row, Section, Setter};
use crate::storage::{Kind, Storage};

const POSTGRES: &[Kind] = &[Kind::Postgres];

const fn of(
    name: &'static str,
    arguments: &'static str,
    set: Setter<Storage>,
    doc: &'static str,
) -> Row {
    let effect = Effect::Transport(POSTGRES, set);
    let row = Row::new(Section::Transport, name, arguments, effect, doc);
    row.preset(Preset::Value { none: "none" })
}

/// The options, in the order of the reference page.
pub(super) const OPTIONS: &[Row] = &[
    of(
        "schema",
        "<name>",
        Setter::Read(|storage, line, _| storage.postgres.schema(line)),
        "the schema of the tables. Hubs with one schema in one database share updates and subscribers.",
    )
    .preset(Preset::Shown(|| {
        Storage::new(Kind::Postgres).postgres.settings.schema
    })),
    of(
        "topic_index",
        "on|off",
        Setter::Read(|storage, line, _| storage.postgres.topic_index(line)),
        "whether the table has an index of topics, when a node makes it. With it your own queries by topic are quick; \
         without it a busy node publishes 15 to 20 % more.",
    )
    .said("on"),
];

//! The options of the transports that several nodes may share.

use std::time::Duration;

use super::form::Form;
use super::row::{Effect, Preset, Row, Section, Setter};
use crate::redis;
use crate::storage::{Kind, Storage};

/// The transports that several nodes may share.
pub(super) const SHARED: &[Kind] = &[Kind::Redis, Kind::Postgres];

/// A publish that waits longer than this helps no client.
const PUBLISH: Form = Form::Duration {
    range: Some((Duration::from_millis(100), Duration::from_secs(300))),
};

/// A node adds to its counter each third of a lease, and a server may be silent for a second or two.
const LEASE: Form = Form::Duration {
    range: Some((Duration::from_secs(3), Duration::from_secs(600))),
};

const fn of(
    name: &'static str,
    arguments: &'static str,
    set: Setter<Storage>,
    doc: &'static str,
) -> Row {
    let effect = Effect::Transport(SHARED, set);
    let row = Row::new(Section::Transport, name, arguments, effect, doc);
    row.preset(Preset::Value { none: "none" })
}

/// The options, in the order of the reference page.
pub(super) const OPTIONS: &[Row] = &[
    of(
        "password",
        "<password>",
        Setter::Read(|storage, line, environment| match storage.kind {
            Kind::Postgres => storage.postgres.password(line, environment),
            _ => redis::password(&mut storage.redis.settings.credentials, line, environment),
        }),
        "the password. `{env.NAME}` is replaced, and `{file.PATH}` reads it from a file, such as a secret of a container. \
         Where neither this nor the URL has one, `postgres` reads the variable `PGPASSWORD`, then the password file.",
    )
    .said("none"),
    of(
        "publish_timeout",
        PUBLISH.arguments(),
        Setter::Value(PUBLISH, |storage| match storage.kind {
            Kind::Postgres => (&mut storage.postgres.settings.publish_timeout).into(),
            _ => (&mut storage.redis.settings.publish_timeout).into(),
        }),
        "how long a publish waits for the server. What is not stored by then is answered with 503; if it is \
         unknown whether it is stored, the connection is closed without an answer.",
    ),
    of(
        "lease",
        LEASE.arguments(),
        Setter::Value(LEASE, |storage| match storage.kind {
            Kind::Postgres => (&mut storage.postgres.settings.lease).into(),
            _ => (&mut storage.redis.settings.lease).into(),
        }),
        "how long a node may be silent until the others end its subscriptions. The same on all nodes.",
    ),
];

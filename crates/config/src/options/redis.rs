//! The options of `transport redis` alone.

use super::form::Form;
use super::row::{Effect, Preset, Row, Section, Setter};
use crate::redis;
use crate::storage::{Kind, Storage};

const REDIS: &[Kind] = &[Kind::Redis];

const fn of(
    name: &'static str,
    arguments: &'static str,
    set: Setter<Storage>,
    doc: &'static str,
) -> Row {
    let effect = Effect::Transport(REDIS, set);
    let row = Row::new(Section::Transport, name, arguments, effect, doc);
    row.preset(Preset::Value { none: "none" })
}

/// The options, in the order of the reference page.
pub(super) const OPTIONS: &[Row] = &[
    of(
        "address",
        "<host>:<port>",
        Setter::Read(|storage, line, _| storage.redis.addresses(line)),
        "the server. Without a port it is 6379; `unix:/path` is a socket in the file system, and an IPv6 address \
         stands in brackets.",
    )
    .said("none: a server must be named"),
    of(
        "addresses",
        "<host>:<port>…",
        Setter::Read(|storage, line, _| storage.redis.addresses(line)),
        "as `address`; several are nodes of one Redis Cluster, which name the others.",
    )
    .said("none"),
    of(
        "sentinel",
        "<name> <host>:<port>…",
        Setter::Read(|storage, line, _| storage.redis.sentinel(line)),
        "what the Sentinels call the primary, and where they are; without a port it is 26379. The hub asks them \
         again whenever the primary fails.",
    )
    .said("none"),
    of(
        "username",
        "<name>",
        Setter::Read(|storage, line, environment| {
            redis::username(&mut storage.redis.settings.credentials, line, environment)
        }),
        "the user of the server's ACL. `{env.NAME}` and `{file.PATH}` are replaced, as in `password`.",
    )
    .said("`default`"),
    of(
        "sentinel_username",
        "<name>",
        Setter::Read(|storage, line, environment| {
            redis::username(&mut storage.redis.settings.sentinel_credentials, line, environment)
        }),
        "the user at the Sentinels, which may differ from that of the server.",
    )
    .said("`default`"),
    of(
        "sentinel_password",
        "<password>",
        Setter::Read(|storage, line, environment| {
            redis::password(&mut storage.redis.settings.sentinel_credentials, line, environment)
        }),
        "the password at the Sentinels.",
    )
    .said("none"),
    of(
        "database",
        "<n>",
        Setter::Value(Form::count(0, 65_535), |storage| {
            (&mut storage.redis.settings.database).into()
        }),
        "the number of the database. A cluster has only 0.",
    ),
    of(
        "tls",
        "",
        Setter::Read(|storage, line, _| storage.redis.encrypt(line)),
        "encrypts connections, those to Sentinels too. The server's certificate must name the host of its address.",
    )
    .said("off"),
    of(
        "ca",
        "<file>",
        Setter::Read(|storage, line, _| storage.redis.authorities(line)),
        "with `tls`: the certificates of the authorities that are trusted, in PEM.",
    )
    .said("the authorities that this machine trusts"),
    of(
        "client_certificate",
        "<certificate> <key>",
        Setter::Read(|storage, line, _| storage.redis.identity(line)),
        "with `tls`: the files of the certificate that the hub shows, and of its key, in PEM.",
    )
    .said("none"),
    of(
        "stream",
        "<name>",
        Setter::Read(|storage, line, _| storage.redis.stream(line)),
        "the name of the log. Hubs with one name on one server share updates and subscribers; each key of the log begins \
         with `{<name>}:`.",
    )
    .preset(Preset::Shown(|| {
        Storage::new(Kind::Redis).redis.settings.stream
    })),
    of(
        "max_length",
        "<n>",
        Setter::Value(Form::count(0, u64::MAX), |storage| {
            (&mut storage.redis.settings.max_length).into()
        }),
        "how many updates are kept, about; older ones are deleted.",
    )
    .none("0: no bound"),
    of(
        "replicas",
        "<n>",
        Setter::Value(Form::count(0, 100), |storage| {
            (&mut storage.redis.settings.replicas).into()
        }),
        "how many replicas must have an update before it is acknowledged and before a subscriber sees it. With `0` the \
         primary alone is asked, and a failover may lose what it acknowledged last. With `1` it takes two replicas to \
         stay available while one is down.",
    ),
];

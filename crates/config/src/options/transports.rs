//! The options of a `transport` block, and the directive that opens it.

use super::form::{Form, shown_size};
use super::redis::{OPTIONS, of as of_redis};
use super::row::{Effect, Preset, Row, Section, Setter, by_kind};
use crate::draft::Draft;
use crate::error::Error;
use crate::key;
use crate::lexer::Word;
use crate::redis::SAID_BY_URL;
use crate::redis::url::{Part, parts};
use crate::settings::Notice;
use crate::shown::show;
use crate::source::{Environment, Place};
use crate::storage::{self, Kind, Storage};
use crate::tree::Line;
use crate::unknown::refuse;

/// Transports that are not supported yet (B-261 to B-263).
pub(crate) const LATER: &[&str] = &["kafka", "nats", "postgres", "pulsar"];

/// The transport that is used where none is named.
pub(crate) const DEFAULT: Kind = Kind::Bolt;

const BOLT: &[Kind] = &[Kind::Bolt];
const LOOKED_UP: &[Kind] = &[Kind::Bolt, Kind::Memory, Kind::Redis];
const COUNTED: &[Kind] = &[Kind::Bolt, Kind::Memory];
const OF_ONE_NODE: &[Kind] = &[Kind::Bolt, Kind::Memory, Kind::Local];
const AGED: &[Kind] = &[Kind::Bolt, Kind::Redis];

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
        COUNTED,
        "size",
        "<n>",
        Setter::Value(Form::count(0, u64::MAX), |storage| match storage.kind {
            Kind::Bolt => (&mut storage.history.options.size).into(),
            _ => (&mut storage.memory.size).into(),
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
            _ => (&mut storage.history.options.max_age).into(),
        }),
        "how long an update is kept. An older one is hidden and deleted: by `bolt` within a second, by `redis` within a third of the `lease`.",
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
    of_redis(
        "url",
        "<url>",
        Setter::Read(url),
        "the server as `redis://[[<user>:]<password>@]<host>[:<port>][/<database>]`; `rediss://` speaks TLS, `valkey://` and \
         `valkeys://` are the same, and `unix:/path` is a socket. Several hosts, separated by commas, are a cluster, or \
         with `?sentinel=<name>` the Sentinels of that primary. The other options of this block may follow as parameters; \
         `address`, `username`, `password` and `tls` beside it have no effect. `{env.NAME}` and `{file.PATH}` are replaced.",
    )
    .said("none"),
];

/// The options of all transports.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> + Clone {
    TRANSPORT.iter().chain(OPTIONS)
}

fn default_bytes(kind: Kind) -> String {
    let storage = Storage::new(kind);
    let bytes = match kind {
        Kind::Bolt => storage.history.options.max_bytes,
        _ => Some(storage.memory.max_bytes as u64),
    };
    bytes.map_or_else(|| "0, no bound".to_owned(), shown_size)
}

/// The names of the options of a transport.
pub(crate) fn names(kind: Kind) -> Vec<&'static str> {
    let of_kind =
        |row: &&Row| matches!(&row.effect, Effect::Transport(kinds, _) if kinds.contains(&kind));
    rows().filter(of_kind).map(|row| row.name).collect()
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
    for row in rows().filter(|row| row.name == line.name.text) {
        if let Effect::Transport(kinds, setter) = &row.effect
            && kinds.contains(&storage.kind)
        {
            setter.apply(storage, line, environment, &row.default())?;
            storage.redis.mark(row.name, &line.name.place);
            return Ok(true);
        }
    }
    Ok(false)
}

/// Takes `url` over, as the options that it stands for.
fn url(storage: &mut Storage, line: &Line, environment: Environment<'_>) -> Result<(), Error> {
    let line = line.without_block().map_err(Error::hide_line)?;
    let [word] = line.args.as_slice() else {
        return Err(line
            .missing("one URL")
            .remedy(
                "write for example `url redis://cache:6379`; a variable in its place must be set",
            )
            .hide_line());
    };
    let text = key::plain(word, environment)?;
    set_by_url(storage, &word.place, &text, environment)
}

/// Takes the URL of a server over, which stands at a place.
///
/// # Errors
///
/// It is not such a URL, or one of the options that it stands for is wrong.
pub(super) fn set_by_url(
    storage: &mut Storage,
    place: &Place,
    text: &str,
    environment: Environment<'_>,
) -> Result<(), Error> {
    let mut errors = Vec::new();
    for Part { line, is_parameter } in parts(place, text)? {
        let name = &line.name.text;
        match set(storage, &line, environment) {
            Ok(true) => {}
            Ok(false) => errors.push(unknown(&line, storage.kind)),
            Err(error) if is_parameter => {
                let remedy = format!("it is the value of the parameter {} in the URL", show(name));
                errors.push(error.remedy(remedy));
            }
            Err(error) => errors.push(error),
        }
    }
    Error::all(errors)
}

/// The error for an option that a transport does not have.
fn unknown(option: &Line, kind: Kind) -> Error {
    const KIND: &str = "transport option";
    let name = option.name.text.as_str();
    let of = rows().find_map(|row| match &row.effect {
        Effect::Transport(kinds, _) if row.name == name => Some(*kinds),
        _ => None,
    });
    let error = refuse(&option.name, KIND, &[], &names(kind));
    match (kind, name, of) {
        (Kind::Redis, "gob", _) => option
            .name
            .error("`gob` is not supported: the updates of this hub are fields that any client of the server can read")
            .remedy("remove it; nothing else has to be written"),
        (Kind::Redis, "size" | "max_bytes", _) => error.remedy("write `max_length <n>`"),
        (_, _, Some(kinds)) => error.remedy(format!(
            "it is one of {}; known here are: {}",
            Kind::list(kinds),
            names(kind).join(", ")
        )),
        _ => error,
    }
}

/// The directive `transport <name> { … }`.
pub(crate) fn transport(
    draft: &mut Draft,
    line: &Line,
    environment: Environment<'_>,
) -> Result<(), Error> {
    let name = line.one("the transport's name")?;
    let named = Kind::NAMES.iter().find(|(known, _)| *known == name.text);
    let Some((_, kind)) = named else {
        let known: Vec<&str> = Kind::NAMES.iter().map(|(known, _)| *known).collect();
        return Err(refuse(name, "transport", LATER, &known));
    };
    let mut storage = Storage::in_environment(*kind, environment);
    let options = || line.block.iter().flatten();
    let is_said = |option: &&Line| {
        *kind == Kind::Redis
            && options().any(|other| other.name.text == "url")
            && SAID_BY_URL.contains(&option.name.text.as_str())
    };
    draft
        .notices
        .extend(said_by_url(name, options().filter(is_said)));
    let apply = |option: &Line| {
        option.without_block()?;
        if set(&mut storage, option, environment)? {
            return Ok(());
        }
        Err(unknown(option, *kind))
    };
    let options = options().filter(|option| !is_said(option));
    Error::all(options.map(apply).filter_map(Result::err).collect())?;
    take_over(draft, storage, &name.place)
}

/// The warning about options that have no effect because a URL says the same.
fn said_by_url<'a>(transport: &Word, options: impl Iterator<Item = &'a Line>) -> Option<Notice> {
    let names: Vec<String> = options
        .map(|option| format!("`{}`", option.name.text))
        .collect();
    (!names.is_empty()).then(|| {
        Notice::warning(format!(
            "{}: `url` says where the server is and how to sign in, so {} beside it has no effect; remove one or the other",
            transport.place,
            names.join(", ")
        ))
    })
}

/// Makes a transport, which is named at `place`, that of the hub.
///
/// # Errors
///
/// Its options contradict each other.
pub(crate) fn take_over(draft: &mut Draft, storage: Storage, place: &Place) -> Result<(), Error> {
    draft.mark_written("transport");
    draft.hub.unknown_cursor = storage.unknown_cursor;
    draft.transport = storage.finish(place, &mut draft.notices)?;
    Ok(())
}

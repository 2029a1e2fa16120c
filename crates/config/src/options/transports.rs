//! The options of a `transport` block, and the directive that opens it.

use super::row::{Effect, Row, Section, Setter};
use super::shared::SHARED;
use super::{postgres as of_postgres, redis as of_redis, shared, stores};
use crate::draft::Draft;
use crate::error::Error;
use crate::key;
use crate::lexer::Word;
use crate::postgres::conninfo;
use crate::postgres::known;
use crate::redis::SAID_BY_URL;
use crate::redis::url::{Part, parts};
use crate::settings::Notice;
use crate::shown::show;
use crate::source::{Environment, Place};
use crate::storage::{Kind, Storage};
use crate::tree::Line;
use crate::unknown::refuse;

/// Transports that are not supported yet (B-262, B-263).
pub(crate) const LATER: &[&str] = &["kafka", "nats", "pulsar"];

/// The transport that is used where none is named.
pub(crate) const DEFAULT: Kind = Kind::Bolt;

const fn of(
    name: &'static str,
    arguments: &'static str,
    set: Setter<Storage>,
    doc: &'static str,
) -> Row {
    let effect = Effect::Transport(SHARED, set);
    Row::new(Section::Transport, name, arguments, effect, doc)
}

/// The one option that stands for many.
const URL: &[Row] = &[
    of(
        "url",
        "<url>",
        Setter::Read(url),
        "the server. `redis`: `redis://[[<user>:]<password>@]<host>[:<port>][/<database>]`; `rediss://` speaks TLS, `valkey://` and \
         `valkeys://` are the same, and `unix:/path` is a socket. Several hosts, separated by commas, are a cluster, or \
         with `?sentinel=<name>` the Sentinels of that primary. The other options of this block may follow as parameters; \
         `address`, `username`, `password` and `tls` beside it have no effect. `postgres`: what libpq takes, \
         `postgres://<user>[:<password>]@<host>[:<port>]/<database>?sslmode=verify-full` or `'host=… user=… dbname=…'` in \
         quotes, with several hosts, `hostaddr`, `sslrootcert`, `sslcert`, `sslkey`, `connect_timeout`, `application_name`, \
         `options`, `passfile` and `target_session_attrs`; what it does not name, libpq's variables do (`PGHOST`, `PGUSER`, …). \
         The options of this block may follow as parameters. `{env.NAME}` and `{file.PATH}` are replaced.",
    )
    .said("none"),
];

/// The options of all transports.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> + Clone {
    let sections = [
        stores::OPTIONS,
        URL,
        of_redis::OPTIONS,
        of_postgres::OPTIONS,
        shared::OPTIONS,
    ];
    sections.into_iter().flatten()
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
                match storage.kind {
                    Kind::Postgres => "write for example `url postgres://hub@db.example/app`, or pairs in quotes; a variable in its place must be set",
                    _ => "write for example `url redis://cache:6379`; a variable in its place must be set",
                },
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
    if storage.kind == Kind::Postgres {
        return set_by_conninfo(storage, place, text, environment);
    }
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

/// The same for PostgreSQL: parameters of libpq, and options of the block.
fn set_by_conninfo(
    storage: &mut Storage,
    place: &Place,
    text: &str,
    environment: Environment<'_>,
) -> Result<(), Error> {
    let place = place.hidden();
    storage.postgres.begin_url(&place)?;
    let mut errors = Vec::new();
    let options: Vec<&str> = names(Kind::Postgres)
        .into_iter()
        .filter(|name| *name != "url" && *name != "password")
        .collect();
    for (name, value) in conninfo::pairs(&place, text)? {
        match storage.postgres.parameter(&name, &value, &place) {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                errors.push(error);
                continue;
            }
        }
        let line = parameter(&place, &name, &value);
        if !options.contains(&&*name) {
            let known: Vec<&str> = known::READ
                .iter()
                .copied()
                .chain(options.iter().copied())
                .collect();
            errors.push(refuse(&line.name, "parameter", &[], &known));
        } else if let Err(error) = set(storage, &line, environment) {
            errors.push(error.remedy(format!(
                "it is the value of the parameter {} in the URL",
                show(&name)
            )));
        }
    }
    Error::all(errors)
}

/// A parameter as the line that it would be in a block.
fn parameter(place: &Place, name: &str, value: &str) -> Line {
    let word = |text: &str| Word {
        text: text.to_owned(),
        place: place.clone(),
        quoted: true,
        line: 0,
        end_line: 0,
    };
    Line {
        name: word(name),
        args: vec![word(value)],
        block: None,
    }
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
        (Kind::Postgres, "max_length" | "max_bytes", _) => error.remedy("write `size <n>`"),
        (Kind::Postgres, name, None) if known::READ.contains(&name) => error.remedy(format!(
            "it is a parameter of the URL: write `url postgres://<user>@<host>/<database>?{name}=…`"
        )),
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

//! A transport as a URL: `transport_url`, and the variable `MERCURE_TRANSPORT_URL` (B-250 to B-256).

use std::path::PathBuf;

use url::Url;

use super::transports::{LATER, names, set, set_by_url, take_over};
use crate::draft::Draft;
use crate::error::Error;
use crate::key;
use crate::lexer::Word;
use crate::postgres::conninfo;
use crate::redis;
use crate::settings::{Notice, PostgresSettings, RedisSettings};
use crate::shown::show;
use crate::source::{Environment, Place, Source, SourceKind};
use crate::storage::{Kind, Storage};
use crate::tree::Line;

/// The directive `transport_url`, which older files have (B-216).
pub(crate) fn directive(
    draft: &mut Draft,
    line: &Line,
    environment: Environment<'_>,
) -> Result<(), Error> {
    let word = line.without_block()?.one("a URL")?;
    let place = word.place.hidden();
    let storage = read(&place, &word.text, environment)?;
    take_over(draft, storage, &place)
}

/// The variable, where no directive names a transport (B-125).
pub(crate) fn variable(
    draft: &mut Draft,
    name: &'static str,
    text: &str,
    environment: Environment<'_>,
) -> Result<(), Error> {
    if text.is_empty() {
        return Ok(());
    }
    draft.notices.push(Notice::warning(format!(
        "{name} is deprecated: write a `transport` directive instead"
    )));
    let place = Place::variable(name);
    let storage = read(&place, text, environment)?;
    take_over(draft, storage, &place)
}

/// The log that the URL of a flag names, as `url` in `transport redis` does.
///
/// # Errors
///
/// It is not such a URL. The message shows no password.
pub fn redis_of_flag(
    flag: &str,
    text: &str,
    environment: Environment<'_>,
) -> Result<(RedisSettings, Vec<Notice>), Error> {
    let (storage, place) = of_flag(Kind::Redis, flag, text, environment)?;
    let mut notices = Vec::new();
    let settings = storage.redis.finish(&place, &mut notices)?;
    Ok((settings, notices))
}

/// The log that the URL of a flag names, as `url` in `transport postgres` does.
///
/// # Errors
///
/// It is not such a URL. The message shows no password.
pub fn postgres_of_flag(
    flag: &str,
    text: &str,
    environment: Environment<'_>,
) -> Result<(PostgresSettings, Vec<Notice>), Error> {
    let (storage, place) = of_flag(Kind::Postgres, flag, text, environment)?;
    let mut notices = Vec::new();
    let settings = storage.postgres.finish(&place, &mut notices)?;
    Ok((settings, notices))
}

fn of_flag(
    kind: Kind,
    flag: &str,
    text: &str,
    environment: Environment<'_>,
) -> Result<(Storage, Place), Error> {
    let place = Place::whole(Source::new(SourceKind::Flag, flag, "", true));
    let word = Word {
        text: text.to_owned(),
        place: place.clone(),
        quoted: true,
        line: 0,
        end_line: 0,
    };
    let url = key::plain(&word, environment)?;
    let mut storage = Storage::in_environment(kind, environment);
    set_by_url(&mut storage, &place, &url, environment)?;
    Ok((storage, place))
}

/// A transport as a URL, which stands at `place` (B-253). The line of the place must not be shown.
///
/// # Errors
///
/// Anything but `local://…`, `bolt://…`, `redis://…` and `postgres://…` with options that are known and right. The URL is shown
/// without its password.
fn read(place: &Place, text: &str, environment: Environment<'_>) -> Result<Storage, Error> {
    if redis::url::is_one(text) {
        let mut storage = Storage::new(Kind::Redis);
        set_by_url(&mut storage, place, text, environment)?;
        return Ok(storage);
    }
    if conninfo::is_uri(text) {
        let mut storage = Storage::in_environment(Kind::Postgres, environment);
        set_by_url(&mut storage, place, text, environment)?;
        return Ok(storage);
    }
    let url = Url::parse(text).map_err(|_| not_a_url(place, text))?;
    let mut shown = url.clone();
    if url.scheme() != Kind::Bolt.name() {
        // The options of other transports may be passwords.
        shown.set_query(None);
    }
    let refused =
        |problem: String| Error::at(place, format!("{problem} in {}", show(shown.as_str())));
    match url.scheme() {
        "local" => return Ok(Storage::in_environment(Kind::Local, environment)),
        "bolt" => {}
        scheme if LATER.contains(&scheme) => {
            let problem = format!("the transport {} is not supported yet", show(scheme));
            return Err(refused(problem)
                .remedy("unset it, or write `transport bolt` in MERCURE_EXTRA_DIRECTIVES"));
        }
        scheme => {
            return Err(refused(format!("unknown transport {}", show(scheme)))
                .remedy("write for example bolt:///data/mercure.db, or unset it"));
        }
    }
    let mut storage = Storage::new(Kind::Bolt);
    storage.history.path = path(&url).ok_or_else(|| {
        refused("no path, or a path with a host before it,".to_owned())
            .remedy("write bolt:///absolute/path.db or bolt://relative.db")
    })?;
    let known: Vec<&str> = names(Kind::Bolt)
        .into_iter()
        .filter(|name| *name != PATH)
        .collect();
    for (name, value) in url.query_pairs() {
        if !known.contains(&&*name) {
            return Err(refused(format!("unknown transport option {}", show(&name)))
                .remedy(format!("known are: {}", known.join(", "))));
        }
        let option = option(place, &name, &value);
        if option.args.is_empty() {
            return Err(refused(format!("{} has no value", show(&name))));
        }
        set(&mut storage, &option, environment).map_err(|error| {
            let shown = show(shown.as_str());
            error.remedy(format!("it is the value of {} in {shown}", show(&name)))
        })?;
    }
    Ok(storage)
}

/// The option that the URL's own path stands for.
const PATH: &str = "path";

fn not_a_url(source: &Place, text: &str) -> Error {
    // It may hold a password that cannot be told from the rest.
    let problem = match text.contains(['"', '\'', '“', '‘']) {
        true => format!("{source} is not a URL: it holds quotes"),
        false => format!("{source} is not a URL"),
    };
    Error::new(problem).remedy("write for example bolt:///data/mercure.db, or unset it")
}

fn path(url: &Url) -> Option<PathBuf> {
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

/// An option of the URL as the line that it would be in a block.
fn option(place: &Place, name: &str, value: &str) -> Line {
    let word = |text: &str| Word {
        text: text.to_owned(),
        place: place.clone(),
        quoted: false,
        line: 0,
        end_line: 0,
    };
    let args = match name {
        // The one option of several words.
        "sync" => value.split_whitespace().map(word).collect(),
        _ if value.is_empty() => Vec::new(),
        _ => vec![word(value)],
    };
    Line {
        name: word(name),
        args,
        block: None,
    }
}

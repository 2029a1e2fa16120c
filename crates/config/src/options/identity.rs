//! Directives about the URLs by which the hub is known, the proxies in front of it, the origins whose pages
//! may use it, and the cookie.

use url::Url;

use crate::draft::Draft;
use crate::error::Error;
use crate::global;
use crate::lexer::{self, Word};
use crate::list;
use crate::origins;
use crate::settings::Notice;
use crate::shown::show;
use crate::source::Environment;
use crate::tree::Line;

type Done = Result<(), Error>;

/// The items of a list, at least one.
fn items(line: &Line, what: &str) -> Result<Vec<Word>, Error> {
    let words = line.without_block()?.some(what)?;
    let items = list::items(&line.name.text, words)?;
    match items.is_empty() {
        true => Err(line.missing(what)),
        false => Ok(items),
    }
}

fn urls(line: &Line) -> Result<Vec<Word>, Error> {
    items(line, "at least one URL")
}

/// `public_urls`, of which only scheme, host and port count (B-204).
pub(crate) fn public_urls(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let mut origins = Vec::new();
    for word in urls(line)? {
        origins.push(absolute(&word)?.origin().ascii_serialization());
    }
    draft.hub.public_origins = origins;
    Ok(())
}

/// `trusted_proxies`, whose `X-Forwarded-…` fields are believed (B-958).
pub(crate) fn trusted_proxies(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let ranges = match line.without_block()?.args.as_slice() {
        // As in the global options.
        [source, ranges @ ..] if source.text == "static" => ranges,
        ranges => ranges,
    };
    draft.program.proxies = global::proxies(line, ranges)?;
    Ok(())
}

/// `accepted_audiences`: the URLs by which publishers inside a network reach the hub.
pub(crate) fn accepted_audiences(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let words = urls(line)?;
    for word in &words {
        absolute(word)?;
    }
    draft.hub.accepted_audiences = words.into_iter().map(|word| word.text).collect();
    Ok(())
}

fn absolute(word: &Word) -> Result<Url, Error> {
    Url::parse(&word.text)
        .ok()
        .filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.fragment().is_none()
                // A user name would be logged.
                && url.username().is_empty()
                && url.password().is_none()
                // A wildcard would be compared as it stands, and equal nothing.
                && !url.host_str().unwrap_or_default().contains('*')
        })
        .ok_or_else(|| {
            word.error(format!(
                "{} is not an http:// or https:// URL without a fragment, wildcard or user name",
                show(&word.text)
            ))
            .remedy("write for example https://hub.example/.well-known/mercure")
        })
}

/// `resource_identifier` (B-203).
pub(crate) fn resource_identifier(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let word = line.without_block()?.one("a URL")?;
    list::one("resource_identifier", word)?;
    let place = &word.place;
    let scheme = absolute(word)?.scheme().to_owned();
    if word.text.ends_with("/.well-known/mercure/") {
        draft.notices.push(Notice::warning(format!(
            "{place}: resource_identifier ends with a slash, which the `aud` of tokens must then have too; the hub's path has none"
        )));
    }
    if scheme != "https" {
        draft.notices.push(Notice::warning(format!(
            "{place}: resource_identifier does not begin with https://, so tokens travel unencrypted; \
             put a proxy that does TLS in front and write its https URL here and in `aud`"
        )));
    }
    draft.hub.resource_identifier = Some(word.text.clone());
    Ok(())
}

/// `cors_origins` (B-207).
pub(crate) fn cors_origins(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let origins = origins::readable(&items(line, "at least one origin")?)?;
    draft.hub.cors_origins = Some(origins);
    Ok(())
}

/// The variable for the same; an empty one counts as unset.
pub(crate) fn cors_origins_variable(
    draft: &mut Draft,
    name: &'static str,
    text: &str,
    _: Environment<'_>,
) -> Done {
    let items = list::items(name, &lexer::words_of_variable(name, text)?)?;
    if !items.is_empty() {
        draft.hub.cors_origins = Some(origins::readable(&items)?);
        draft.mark_written("cors_origins");
    }
    Ok(())
}

/// `publish_origins` (B-206).
pub(crate) fn publish_origins(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let items = items(line, "at least one origin")?;
    draft.hub.publish_origins = origins::publishing(&items)?;
    Ok(())
}

/// Reads `cookie_name`, which must be a token (RFC 6265, section 4.1.1).
pub(crate) fn cookie_name(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let word = line.without_block()?.one("a cookie name")?;
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if word.text.is_empty() || !word.text.bytes().all(is_token) {
        return Err(word
            .error(format!("{} is not a cookie name", show(&word.text)))
            .remedy("use letters, digits, `-` and `_`"));
    }
    draft.hub.cookie_name.clone_from(&word.text);
    Ok(())
}

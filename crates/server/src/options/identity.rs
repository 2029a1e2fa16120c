//! The directives that say by which URLs a hub is known, and which proxies are in front of it.

use crate::config::draft::Draft;
use crate::config::error::{ConfigError, show};
use crate::config::global;
use crate::config::lexer::Word;
use crate::config::list;
use crate::config::settings::Notice;
use crate::config::tree::Line;
use crate::options::Environment;

type Done = Result<(), ConfigError>;

/// B-204: only scheme, host and port count.
pub fn public_urls(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let mut origins = Vec::new();
    for word in urls(line)? {
        origins.push(absolute(&word)?.origin().ascii_serialization());
    }
    draft.public_origins = origins;
    Ok(())
}

/// The URLs of a list, at least one.
fn urls(line: &Line) -> Result<Vec<Word>, ConfigError> {
    let words = line.without_block()?.some("at least one URL")?;
    let items = list::items(&line.name.text, words)?;
    if items.is_empty() {
        return Err(line.missing("at least one URL"));
    }
    Ok(items)
}

/// Whose `X-Forwarded-Proto` and `X-Forwarded-Host` count (B-958).
pub fn trusted_proxies(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let ranges = match line.without_block()?.args.as_slice() {
        // As in the global options.
        [source, ranges @ ..] if source.text == "static" => ranges,
        ranges => ranges,
    };
    draft.proxies = global::proxies(line, ranges)?;
    Ok(())
}

/// What `aud` may contain, too: the URL by which publishers inside a network reach the hub.
pub fn accepted_audiences(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let words = urls(line)?;
    for word in &words {
        absolute(word)?;
    }
    draft.accepted_audiences = words.into_iter().map(|word| word.text).collect();
    Ok(())
}

fn absolute(word: &Word) -> Result<url::Url, ConfigError> {
    url::Url::parse(&word.text)
        .ok()
        .filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.fragment().is_none()
                // What these name is logged.
                && url.username().is_empty()
                && url.password().is_none()
                // Both would be compared as they stand, and equal nothing.
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

/// B-203.
pub fn resource_identifier(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
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
    draft.resource_identifier = Some(word.text.clone());
    Ok(())
}

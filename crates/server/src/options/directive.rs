//! One function a directive of the `mercure` block.

use std::time::Duration;

use talaria_hub::access::Role;

use crate::config::draft::{Compatibility, Draft};
use crate::config::error::{ConfigError, show};
use crate::config::issuer;
use crate::config::key;
use crate::config::list;
use crate::config::settings::{KeySource, Notice, OriginSetting};
use crate::config::tree::Line;
use crate::config::value;
use crate::options::{Environment, from_url};

/// Directives of the existing hub that are not supported yet (B-201 to B-221c).
pub const LATER: &[&str] = &["import"];

/// The bound that `max_request_body_size 0` leaves.
const UNBOUNDED_BODY: u64 = 10 * 1024 * 1024;

type Done = Result<(), ConfigError>;

pub fn issuer(draft: &mut Draft, line: &Line, environment: Environment<'_>) -> Done {
    let issuer = issuer::parse(line, environment, &mut draft.missing)?;
    draft.issuers.push(issuer);
    draft.issuer_named = true;
    Ok(())
}

/// B-221b.
pub fn publisher_jwt(draft: &mut Draft, line: &Line, environment: Environment<'_>) -> Done {
    let key = key::parse(line, environment, &mut draft.missing)?;
    set_older_key(draft, line, Role::Publisher, key.map(KeySource::Static));
    Ok(())
}

/// B-221b.
pub fn subscriber_jwt(draft: &mut Draft, line: &Line, environment: Environment<'_>) -> Done {
    let key = key::parse(line, environment, &mut draft.missing)?;
    set_older_key(draft, line, Role::Subscriber, key.map(KeySource::Static));
    Ok(())
}

/// B-221c.
pub fn publisher_jwks_url(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let set = issuer::key_set(line)?;
    set_older_key(draft, line, Role::Publisher, Some(KeySource::Set(set)));
    Ok(())
}

/// B-221c.
pub fn subscriber_jwks_url(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let set = issuer::key_set(line)?;
    set_older_key(draft, line, Role::Subscriber, Some(KeySource::Set(set)));
    Ok(())
}

/// A set stands above a key, whichever comes first (B-221c).
fn set_older_key(draft: &mut Draft, line: &Line, role: Role, source: Option<KeySource>) {
    let keys = &mut draft.older_keys;
    keys.place = Some(line.name.place.clone());
    let own = match role {
        Role::Publisher => &mut keys.publisher,
        Role::Subscriber => &mut keys.subscriber,
    };
    let has_set = matches!(own, Some(KeySource::Set(_)));
    let is_beside_key = matches!(source, Some(KeySource::Static(_))) && has_set
        || matches!(
            (&source, &*own),
            (Some(KeySource::Set(_)), Some(KeySource::Static(_)))
        );
    if is_beside_key {
        draft.notices.push(Notice::warning(format!(
            "{}: of `{role}_jwt` and `{role}_jwks_url` the key set takes precedence, and the key is not used",
            line.name.place,
            role = role.name(),
        )));
    }
    if !has_set || matches!(source, Some(KeySource::Set(_))) {
        *own = source;
    }
}

/// B-209, B-601.
pub fn compatibility(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let word = line.without_block()?.one("7 or 8")?;
    draft.compatibility = Some(match word.text.as_str() {
        "7" => Compatibility::Seven,
        "8" => Compatibility::Eight,
        other => {
            return Err(word
                .error(format!(
                    "{} is no version whose clients are served",
                    show(other)
                ))
                .remedy("write 8 for clients of Mercure 0.x, or 7 for those before version 8"));
        }
    });
    Ok(())
}

/// B-1030: an argument means what it says, with a warning; none, or an empty one, means on.
pub fn anonymous(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    line.without_block()?.at_most(1, "on or off")?;
    let on = match line.args.first().map(|word| (word, word.text.as_str())) {
        None | Some((_, "")) => true,
        Some((word, text @ ("0" | "1" | "true" | "false" | "on" | "off"))) => {
            let on = matches!(text, "1" | "true" | "on");
            draft.notices.push(Notice::warning(format!(
                "{}: `anonymous {text}` is not portable (another hub refuses it, or turns anonymous access on \
                 whatever it says); here it is {}",
                word.place,
                if on { "on" } else { "off" },
            )));
            on
        }
        Some((word, text)) => {
            return Err(word
                .error(format!("{} is neither on nor off", show(text)))
                .remedy("write `anonymous` alone to let subscribers in without a token"));
        }
    };
    draft.anonymous = Some(on);
    Ok(())
}

/// B-090.
pub fn playground(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    line.without_block()?.at_most(0, "")?;
    draft.playground = true;
    Ok(())
}

/// B-221, B-221a: the hub works the same without its pages.
pub fn user_interface(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    line.without_block()?.at_most(0, "")?;
    let (name, place) = (&line.name.text, &line.name.place);
    draft.notices.push(Notice::warning(format!(
        "{place}: `{name}` has no effect: there is no user interface yet"
    )));
    Ok(())
}

/// B-201: it tells hubs of one process apart, and here is one.
pub fn name(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    line.without_block()?.one("a name")?;
    without_effect(draft, line);
    Ok(())
}

/// B-216.
pub fn transport_url(draft: &mut Draft, line: &Line, environment: Environment<'_>) -> Done {
    let word = line.without_block()?.one("a URL")?;
    let place = word.place.to_string();
    let transport = from_url(&place, &word.text, environment, &mut draft.notices)?;
    draft.transport = Some(transport);
    Ok(())
}

/// B-210.
pub fn subscriptions(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    line.without_block()?.at_most(1, "token_holders")?;
    draft.presence.token_holders_only = match line.args.first() {
        None => false,
        Some(word) if word.text == "token_holders" => true,
        Some(word) => {
            return Err(word
                .error(format!("{} does not say whom to announce", show(&word.text)))
                .remedy("write `subscriptions` to announce every subscriber, or `subscriptions token_holders` to leave anonymous ones out"));
        }
    };
    draft.subscriptions = true;
    Ok(())
}

pub fn subscription_events_per_request(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    /// What one subscription takes without a payload, and some room for its matcher.
    const LEAST: u64 = 4096;
    let word = line.without_block()?.one("a size")?;
    let size = value::size(word)?;
    if size < LEAST {
        return Err(word
            .error(format!(
                "{} is too little for the events of a subscription",
                show(&word.text)
            ))
            .remedy(format!("write at least {LEAST}, or remove `subscriptions`")));
    }
    draft.presence.bytes_per_request = usize::try_from(size).unwrap_or(usize::MAX);
    Ok(())
}

pub fn subscription_events_per_second(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    draft.presence.bytes_per_second = value::size(line.without_block()?.one("a size")?)?;
    Ok(())
}

pub fn cookie_name(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let word = line.without_block()?.one("a cookie name")?;
    // RFC 6265 section 4.1.1: a cookie's name is an RFC 9110 token.
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if word.text.is_empty() || !word.text.bytes().all(token) {
        return Err(word
            .error(format!("{} is not a cookie name", show(&word.text)))
            .remedy("use letters, digits, `-` and `_`"));
    }
    draft.cookie_name = Some(word.text.clone());
    Ok(())
}

fn duration(line: &Line) -> Result<Duration, ConfigError> {
    value::duration(line.without_block()?.one("a duration")?)
}

pub fn heartbeat(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    draft.heartbeat = Some(duration(line)?);
    Ok(())
}

pub fn write_timeout(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    draft.write_timeout = Some(duration(line)?);
    Ok(())
}

pub fn dispatch_timeout(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    draft.dispatch_timeout = Some(duration(line)?);
    Ok(())
}

pub fn drain_timeout(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    draft.drain_timeout = Some(duration(line)?);
    Ok(())
}

pub fn max_request_body_size(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let size = value::size(line.without_block()?.one("a size")?)?;
    draft.max_request_body_size = Some(if size == 0 { UNBOUNDED_BODY } else { size });
    Ok(())
}

pub fn max_token_lifetime(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    draft.max_token_lifetime = Some(duration(line)?);
    Ok(())
}

pub fn repeat_window(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    draft.repeat_window = Some(duration(line)?);
    Ok(())
}

fn origins(line: &Line) -> Result<Vec<OriginSetting>, ConfigError> {
    let words = line.without_block()?.some("at least one origin")?;
    let items = list::items(&line.name.text, words)?;
    if items.is_empty() {
        return Err(line.missing("at least one origin"));
    }
    Ok(items.into_iter().map(OriginSetting::from).collect())
}

pub fn cors_origins(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    draft.cors_origins = Some(origins(line)?);
    Ok(())
}

pub fn publish_origins(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    draft.publish_origins = Some(origins(line)?);
    Ok(())
}

fn limit(line: &Line) -> Result<usize, ConfigError> {
    let word = line.without_block()?.one("a number")?;
    let number = value::number(word, 1)?;
    usize::try_from(number).map_err(|_| word.error(format!("{} is too large", show(&word.text))))
}

pub fn matchers_per_request(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    draft.limits.matchers = limit(line)?;
    Ok(())
}

pub fn details_per_token(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    draft.limits.details = limit(line)?;
    Ok(())
}

pub fn topics_per_token(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    draft.limits.granted_topics = limit(line)?;
    Ok(())
}

/// B-217 to B-219: any integer is valid there; the 0.x ones take a shard count too.
pub fn cache_size(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let most = if line.name.text == "topic_matcher_cache" {
        1
    } else {
        2
    };
    line.without_block()?.at_most(most, "whole numbers")?;
    if line.args.is_empty() {
        return Err(line.missing("a whole number"));
    }
    for word in &line.args {
        if word.text.parse::<i64>().is_err() {
            return Err(word
                .error(format!("{} is not a whole number", show(&word.text)))
                .remedy("write it in digits only, or remove the line: it has no effect here"));
        }
    }
    without_effect(draft, line);
    Ok(())
}

/// B-220: a negative number is refused.
pub fn list_cache_size(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    value::number(line.without_block()?.one("a number")?, 0)?;
    without_effect(draft, line);
    Ok(())
}

fn without_effect(draft: &mut Draft, line: &Line) {
    let (name, place) = (&line.name.text, &line.name.place);
    draft.notices.push(Notice::info(format!(
        "{place}: `{name}` is accepted and has no effect here"
    )));
}

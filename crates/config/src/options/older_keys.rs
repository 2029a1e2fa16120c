//! The key directives of Mercure 0.x (B-221b, B-221c).

use talaria_hub::access::Role;

use crate::draft::Draft;
use crate::error::Error;
use crate::issuer;
use crate::key;
use crate::settings::{KeySource, Notice};
use crate::source::Environment;
use crate::tree::Line;

type Done = Result<(), Error>;

pub(crate) fn publisher_jwt(draft: &mut Draft, line: &Line, environment: Environment<'_>) -> Done {
    let key = key::parse(line, environment, &mut draft.missing)?;
    set(draft, line, Role::Publisher, key.map(KeySource::Static));
    Ok(())
}

pub(crate) fn subscriber_jwt(draft: &mut Draft, line: &Line, environment: Environment<'_>) -> Done {
    let key = key::parse(line, environment, &mut draft.missing)?;
    set(draft, line, Role::Subscriber, key.map(KeySource::Static));
    Ok(())
}

pub(crate) fn publisher_jwks_url(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let keys = issuer::key_set(line)?;
    set(draft, line, Role::Publisher, Some(KeySource::Set(keys)));
    Ok(())
}

pub(crate) fn subscriber_jwks_url(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let keys = issuer::key_set(line)?;
    set(draft, line, Role::Subscriber, Some(KeySource::Set(keys)));
    Ok(())
}

/// A set takes precedence over a key, whichever is written first (B-221c).
fn set(draft: &mut Draft, line: &Line, role: Role, source: Option<KeySource>) {
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

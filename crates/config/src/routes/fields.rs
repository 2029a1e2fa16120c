//! Changes to the fields of requests and answers.

use super::texts::Texts;
use crate::error::Error;
use crate::lexer::Word;
use crate::settings::{Change, FieldChange};
use crate::shown::show;
use crate::tree::Line;

/// Fields that decide where a message ends.
const FRAMING: [&str; 4] = [
    "connection",
    "content-length",
    "transfer-encoding",
    "upgrade",
];

/// `header` and `request_header`: `[+|-|?|>]<name> [<value>]`, or a block of such lines.
///
/// # Errors
/// A name that no field can have, or a value too many or too few.
pub(super) fn fields(
    line: &Line,
    args: &[Word],
    texts: Texts<'_>,
) -> Result<Vec<FieldChange>, Error> {
    let mut changes = Vec::new();
    if let [name, values @ ..] = args {
        changes.push(field(name, values, texts)?);
    }
    let mut is_deferred = false;
    let mut apply = |option: &Line| -> Result<(), Error> {
        option.without_block()?;
        if option.name.is("defer") && option.args.is_empty() {
            is_deferred = true;
        } else {
            changes.push(field(&option.name, &option.args, texts)?);
        }
        Ok(())
    };
    let options = line.block.iter().flatten();
    Error::all(options.filter_map(|option| apply(option).err()).collect())?;
    if changes.is_empty() {
        return Err(line.missing("a field"));
    }
    // What must wait for the answer makes the whole block wait, so that its values replace those of the answer.
    let waits = |one: &FieldChange| {
        matches!(
            one.change,
            Change::Remove | Change::Default(_) | Change::Override(_)
        )
    };
    is_deferred |= changes.iter().any(waits);
    for change in changes.iter_mut().filter(|_| is_deferred) {
        if let Change::Set(value) = &change.change {
            change.change = Change::Override(value.clone());
        }
    }
    Ok(changes)
}

fn field(name: &Word, values: &[Word], texts: Texts<'_>) -> Result<FieldChange, Error> {
    let (sign, bare) = parts(name)?;
    let change = match (sign, values) {
        ("-", []) => Change::Remove,
        ("-", [value, ..]) => {
            return Err(value
                .error(format!("{} takes no value", show(&name.text)))
                .remedy("remove it")
                .hide_line());
        }
        (_, []) => {
            return Err(name
                .error(format!("{} has no value", show(&name.text)))
                .remedy(format!("write a value behind it, or -{bare} to remove it")));
        }
        ("+", [value]) => Change::Add(texts.template(value)?),
        ("?", [value]) => Change::Default(texts.template(value)?),
        (">", [value]) => Change::Override(texts.template(value)?),
        (_, [value]) => Change::Set(texts.template(value)?),
        (_, [_, second, ..]) => {
            return Err(second
                .error("replacing within the value of a field is not supported yet")
                .remedy("quote a value that holds spaces")
                .hide_line());
        }
    };
    Ok(FieldChange {
        name: bare.to_ascii_lowercase(),
        change,
    })
}

/// The sign before the name of a field, and the name.
///
/// # Errors
/// No field can have the name, or none that may be set.
pub(super) fn parts(name: &Word) -> Result<(&str, &str), Error> {
    let (sign, bare) = match name.text.split_at_checked(1) {
        Some((sign @ ("+" | "-" | "?" | ">"), rest)) => (sign, rest),
        _ => ("", name.text.as_str()),
    };
    // Older files write a colon after the name.
    let bare = bare.strip_suffix(':').unwrap_or(bare);
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&byte);
    if bare.is_empty() || !bare.bytes().all(is_token) {
        let problem = format!("{} is not the name of a field", show(&name.text));
        return Err(name
            .error(problem)
            .remedy("write for example X-Frame-Options"));
    }
    if FRAMING
        .iter()
        .any(|framing| bare.eq_ignore_ascii_case(framing))
    {
        let problem = format!("{} decides where a message ends", show(bare));
        return Err(name
            .error(problem)
            .remedy("remove it; it is set by what answers"));
    }
    Ok((sign, bare))
}

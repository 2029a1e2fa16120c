//! Directives that are one action each.

use crate::error::Error;
use crate::lexer::Word;
use crate::settings::{Action, Change, Coding, FieldChange, Rewrite, Template};
use crate::shown::show;
use crate::tree::Line;

/// Fields that decide where a message ends.
const FRAMING: [&str; 4] = [
    "connection",
    "content-length",
    "transfer-encoding",
    "upgrade",
];

/// `respond [<body>|<status>] [<status>]` (B-284).
///
/// # Errors
/// An argument too many, or a status that is not one.
pub(super) fn respond(line: &Line, args: &[Word]) -> Result<Action, Error> {
    let mut closes = false;
    let mut body_of_block = None;
    for option in line.block.iter().flatten() {
        match option.name.text.as_str() {
            "close" => {
                option.without_block()?.at_most(0, "")?;
                closes = true;
            }
            "body" => body_of_block = Some(option.without_block()?.one("a text")?),
            _ => {
                let name = show(&option.name.text);
                let error = option
                    .name
                    .error(format!("unknown option {name} of `respond`"));
                return Err(error.remedy("known are: body, close"));
            }
        }
    }
    let (body, status) = match args {
        [] => (None, None),
        [one] if is_status(&one.text) => (None, Some(one)),
        [body] => (Some(body), None),
        [body, status] => (Some(body), Some(status)),
        [_, _, surplus, ..] => return Err(surplus_of("respond", "a body and a status", surplus)),
    };
    Ok(Action::Respond {
        status: status.map_or(Ok(200), status_of)?,
        body: match body.or(body_of_block) {
            None => Template::default(),
            Some(word) => body_of(word)?,
        },
        closes,
    })
}

/// A page or another text, in which most braces are its own.
fn body_of(word: &Word) -> Result<Template, Error> {
    let names = ["{env.", "{http.", "{file.", "{vars."];
    let is_reference = names.iter().any(|name| word.text.contains(name));
    if is_reference {
        template(word)
    } else {
        Ok(Template::new(&word.text))
    }
}

/// A text with placeholders, all of which are known.
pub(super) fn template(word: &Word) -> Result<Template, Error> {
    Template::strict(&word.text).map_err(|unknown| {
        word.error(format!(
            "the placeholder {{{unknown}}} is not supported yet"
        ))
        .remedy("write {$NAME} for a variable, or one of those that docs/sites.md lists")
        .hide_line()
    })
}

fn is_status(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn status_of(word: &Word) -> Result<u16, Error> {
    let status = word.text.parse().ok();
    status
        .filter(|status| (200..=599).contains(status))
        .ok_or_else(|| {
            word.error(format!("{} is not a status code", show(&word.text)))
                .remedy("write a number from 200 to 599")
        })
}

fn surplus_of(name: &str, takes: &str, word: &Word) -> Error {
    word.error(format!(
        "`{name}` takes {takes} and nothing more, but there is {}",
        show(&word.text)
    ))
    .remedy("quote a text that holds spaces")
}

/// `redir <to> [<status>|permanent|temporary]`.
///
/// # Errors
/// There is no target, an argument too many, or a status that is not a redirect.
pub(super) fn redirect(line: &Line, args: &[Word]) -> Result<Action, Error> {
    line.without_block()?;
    let (to, status) = match args {
        [] => return Err(line.missing("a target")),
        [to] => (to, None),
        [to, status] => (to, Some(status)),
        [_, _, surplus, ..] => return Err(surplus_of("redir", "a target and a status", surplus)),
    };
    let status = match status.map(|word| (word, word.text.as_str())) {
        None | Some((_, "temporary")) => 302,
        Some((_, "permanent")) => 301,
        Some((word, text)) => {
            let status = text.parse().ok();
            status
                .filter(|status| [301, 302, 303, 307, 308].contains(status))
                .ok_or_else(|| {
                    word.error(format!("{} is not a status of redirects", show(text)))
                        .remedy("write permanent, temporary, 301, 302, 303, 307 or 308")
                })?
        }
    };
    Ok(Action::Redirect {
        status,
        to: template(to)?,
    })
}

/// `header` and `request_header`: `[+|-|?|>]<name> [<value>]`, or a block of such lines.
///
/// # Errors
/// A name that no field can have, or a value too many or too few.
pub(super) fn fields(line: &Line, args: &[Word]) -> Result<Vec<FieldChange>, Error> {
    let mut changes = Vec::new();
    if let [name, values @ ..] = args {
        changes.push(field(name, values)?);
    }
    let mut is_deferred = false;
    for option in line.block.iter().flatten() {
        option.without_block()?;
        if option.name.is("defer") && option.args.is_empty() {
            is_deferred = true;
            continue;
        }
        changes.push(field(&option.name, &option.args)?);
    }
    if changes.is_empty() {
        return Err(line.missing("a field"));
    }
    for change in changes.iter_mut().filter(|_| is_deferred) {
        if let Change::Set(value) = &change.change {
            change.change = Change::Override(value.clone());
        }
    }
    Ok(changes)
}

fn field(name: &Word, values: &[Word]) -> Result<FieldChange, Error> {
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
        ("+", [value]) => Change::Add(template(value)?),
        ("?", [value]) => Change::Default(template(value)?),
        (">", [value]) => Change::Override(template(value)?),
        (_, [value]) => Change::Set(template(value)?),
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

/// `encode <coding>…`, or a block of codings.
///
/// # Errors
/// A coding that is not known, or an option.
pub(super) fn encode(line: &Line, args: &[Word]) -> Result<Vec<Coding>, Error> {
    let mut words: Vec<&Word> = args.iter().collect();
    for option in line.block.iter().flatten() {
        if ["match", "minimum_length"].contains(&option.name.text.as_str()) {
            let problem = format!(
                "{} of `encode` is not supported yet",
                show(&option.name.text)
            );
            let remedy = "remove it; texts of 512 bytes and more are compressed";
            return Err(option.name.error(problem).remedy(remedy));
        }
        option.without_block()?.at_most(0, "")?;
        words.push(&option.name);
    }
    let mut codings = Vec::new();
    for word in words {
        codings.push(match word.text.as_str() {
            "zstd" => Coding::Zstd,
            "br" => Coding::Brotli,
            "gzip" => Coding::Gzip,
            other => {
                let problem = format!("{} is not a coding that is known", show(other));
                return Err(word.error(problem).remedy("known are: zstd, br, gzip"));
            }
        });
    }
    if codings.is_empty() {
        codings = vec![Coding::Zstd, Coding::Gzip];
    }
    Ok(codings)
}

/// `rewrite <to>`.
///
/// # Errors
/// Not one target.
pub(super) fn rewrite(line: &Line, args: &[Word]) -> Result<Rewrite, Error> {
    line.without_block()?;
    match args {
        [to] => Ok(Rewrite::To(template(to)?)),
        [] => Err(line.missing("a target")),
        [_, surplus, ..] => Err(surplus_of("rewrite", "a matcher and a target", surplus)),
    }
}

/// `uri strip_prefix <prefix>` or `uri strip_suffix <suffix>`.
///
/// # Errors
/// Another form.
pub(super) fn uri(line: &Line, args: &[Word]) -> Result<Rewrite, Error> {
    line.without_block()?;
    match args {
        [what, text] if what.text == "strip_prefix" => {
            Ok(Rewrite::WithoutPrefix(with_slash(&text.text)))
        }
        [what, text] if what.text == "strip_suffix" => {
            Ok(Rewrite::WithoutSuffix(text.text.clone()))
        }
        _ => {
            let problem = "this form of `uri` is not supported yet";
            let remedy =
                "write uri strip_prefix <prefix>, uri strip_suffix <suffix>, or rewrite <target>";
            Err(line.name.error(problem).remedy(remedy))
        }
    }
}

/// A prefix of a path with its slash.
fn with_slash(prefix: &str) -> String {
    match prefix.starts_with('/') {
        true => prefix.to_owned(),
        false => format!("/{prefix}"),
    }
}

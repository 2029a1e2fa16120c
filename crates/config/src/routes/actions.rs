//! Directives that are one action each.

use super::texts::Texts;
use crate::error::Error;
use crate::lexer::Word;
use crate::settings::{Coding, Rewrite, Simple, StatusPattern, Template};
use crate::shown::show;
use crate::tree::Line;
use crate::unknown::refuse;
use crate::value;

/// `respond [<body>|<status>] [<status>]` (B-284).
///
/// # Errors
/// An argument too many, or a status that is not one.
pub(super) fn respond(line: &Line, args: &[Word], texts: Texts<'_>) -> Result<Simple, Error> {
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
    Ok(Simple::Respond {
        status: status.map(status_of).transpose()?,
        body: match body.or(body_of_block) {
            None => Template::default(),
            Some(word) => texts.body(word)?,
        },
        closes,
    })
}

/// `metrics [{ disable_openmetrics }]` (B-724). Returns whether OpenMetrics may be answered.
///
/// # Errors
/// An argument, or an unknown option.
pub(super) fn metrics(line: &Line, args: &[Word]) -> Result<bool, Error> {
    none(args)?;
    let mut may_be_open = true;
    for option in line.block.iter().flatten() {
        match option.name.text.as_str() {
            "disable_openmetrics" => {
                option.without_block()?.at_most(0, "")?;
                may_be_open = false;
            }
            _ => {
                let known = &["disable_openmetrics"];
                return Err(refuse(&option.name, "option of `metrics`", &[], known));
            }
        }
    }
    Ok(may_be_open)
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
pub(super) fn redirect(line: &Line, args: &[Word], texts: Texts<'_>) -> Result<Simple, Error> {
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
    Ok(Simple::Redirect {
        status,
        to: texts.template(to)?,
    })
}

/// `error [<message>|<status>] [<status>] [{ message <text> }]`.
///
/// # Errors
/// An argument too many, or a status that is not one of errors.
pub(super) fn fail(line: &Line, args: &[Word], texts: Texts<'_>) -> Result<Simple, Error> {
    let mut message_of_block = None;
    for option in line.block.iter().flatten() {
        match option.name.text.as_str() {
            "message" => message_of_block = Some(option.without_block()?.one("a text")?),
            _ => return Err(refuse(&option.name, "option of `error`", &[], &["message"])),
        }
    }
    let (message, status) = match args {
        [] => (None, None),
        [one] if is_status(&one.text) => (None, Some(one)),
        [message] => (Some(message), None),
        [message, status] => (Some(message), Some(status)),
        [_, _, surplus, ..] => return Err(surplus_of("error", "a message and a status", surplus)),
    };
    let status = match status {
        None => 500,
        Some(word) => {
            let status = word.text.parse().ok();
            let status = status.filter(|status| (400..=599).contains(status));
            status.ok_or_else(|| {
                word.error(format!(
                    "{} is not the status of an error",
                    show(&word.text)
                ))
                .remedy("write a number from 400 to 599")
            })?
        }
    };
    let message = message.or(message_of_block);
    let message = message.map(|word| texts.template(word)).transpose()?;
    Ok(Simple::Fail {
        status,
        message: message.unwrap_or_default(),
    })
}

/// The statuses of `handle_errors`, for example `404` or `5xx`; none of them stands for all.
///
/// # Errors
/// A word is not a status.
pub(super) fn statuses(words: &[Word]) -> Result<Vec<StatusPattern>, Error> {
    let one = |word: &Word| {
        let known = match word.text.as_bytes() {
            [digit @ b'4'..=b'5', b'x', b'x'] => Some(StatusPattern::Class((digit - b'0').into())),
            _ => word.text.parse().ok().map(StatusPattern::One),
        };
        let is_error = |pattern: &StatusPattern| match pattern {
            StatusPattern::One(status) => (400..=599).contains(status),
            StatusPattern::Class(_) => true,
        };
        known.filter(is_error).ok_or_else(|| {
            word.error(format!(
                "{} is not the status of an error",
                show(&word.text)
            ))
            .remedy("write for example 404 or 5xx")
        })
    };
    words.iter().map(one).collect()
}

/// `method <method>`.
///
/// # Errors
/// Not one method.
pub(super) fn method(line: &Line, args: &[Word]) -> Result<Simple, Error> {
    line.without_block()?;
    match args {
        [method] if is_token(&method.text) => Ok(Simple::Method(method.text.to_ascii_uppercase())),
        [method] => Err(method
            .error(format!("{} is not a method", show(&method.text)))
            .remedy("write for example GET")),
        [] => Err(line.missing("a method")),
        [_, surplus, ..] => Err(surplus_of("method", "a matcher and a method", surplus)),
    }
}

/// Whether a text is a token of HTTP (RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}

/// `vars <name> <value>`, or a block of such lines.
///
/// # Errors
/// Not a name and a value.
pub(super) fn variables(line: &Line, args: &[Word], texts: Texts<'_>) -> Result<Simple, Error> {
    let pair = |args: &[Word], line: &Line| match args {
        [name, value] => Ok((name.text.clone(), texts.template(value)?)),
        _ => Err(line.missing("a name and a value")),
    };
    let mut pairs = Vec::new();
    if !args.is_empty() || line.block.is_none() {
        pairs.push(pair(args, line)?);
    }
    for option in line.block.iter().flatten() {
        let option = option.without_block()?;
        let words = [std::slice::from_ref(&option.name), &option.args].concat();
        pairs.push(pair(&words, option)?);
    }
    Ok(Simple::Variables(pairs))
}

/// `request_body { max_size <size> }`.
///
/// # Errors
/// Another form, or a size that is not one.
pub(super) fn body_limit(line: &Line, args: &[Word]) -> Result<Simple, Error> {
    none(args)?;
    let mut limit = None;
    for option in line.block.iter().flatten() {
        match option.name.text.as_str() {
            "max_size" => limit = Some(value::size(option.without_block()?.one("a size")?)?),
            _ => {
                return Err(refuse(
                    &option.name,
                    "option of `request_body`",
                    &["read_timeout", "set", "write_timeout"],
                    &["max_size"],
                ));
            }
        }
    }
    limit
        .map(Simple::BodyLimit)
        .ok_or_else(|| line.missing("`max_size <size>` in a block"))
}

/// Refuses arguments, of which a directive takes none but a matcher.
///
/// # Errors
/// There is one.
pub(super) fn none(args: &[Word]) -> Result<(), Error> {
    match args.first() {
        None => Ok(()),
        Some(word) => Err(word
            .error(format!("{} is not a matcher", show(&word.text)))
            .remedy("write a path that begins with /, or a matcher that begins with @")),
    }
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
pub(super) fn rewrite(line: &Line, args: &[Word], texts: Texts<'_>) -> Result<Rewrite, Error> {
    line.without_block()?;
    match args {
        [to] => Ok(Rewrite::To(texts.template(to)?)),
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

/// `log_append <field> <value>`; a field that begins with `<`, which the existing server adds before it answers, is
/// added where the directive stands, as all are here.
///
/// # Errors
/// There are not exactly two words, or a placeholder is unknown.
pub(super) fn append_log(line: &Line, args: &[Word], texts: Texts<'_>) -> Result<Simple, Error> {
    line.without_block()?;
    match args {
        [name, value] => Ok(Simple::AppendLog {
            name: name.text.trim_start_matches('<').to_owned(),
            value: texts.template(value)?,
        }),
        [_, _, surplus, ..] => Err(surplus_of("log_append", "a field and its value", surplus)),
        _ => Err(line.missing("a field and its value")),
    }
}

/// `log_name <name>…`.
///
/// # Errors
/// There is no name, or a placeholder is unknown.
pub(super) fn name_log(line: &Line, args: &[Word], texts: Texts<'_>) -> Result<Simple, Error> {
    line.without_block()?;
    if args.is_empty() {
        return Err(line.missing("the name of a log"));
    }
    let names = args.iter().map(|word| texts.template(word));
    Ok(Simple::NameLog(names.collect::<Result<_, _>>()?))
}

//! `format filter`: what is done to the fields of a line.

use regex::RegexBuilder;

use crate::error::Error;
use crate::lexer::Word;
use crate::settings::{AddressMask, FieldFilter, LogStep, ParameterChange, Substitution};
use crate::shown::show;
use crate::tree::Line;
use crate::unknown::refuse;
use crate::value;

/// Fields of requests that may be named without the group that they are in.
const OF_REQUEST: &[&str] = &[
    "client_ip",
    "headers",
    "host",
    "method",
    "proto",
    "remote_ip",
    "remote_port",
    "tls",
    "uri",
];
const FILTERS: &[&str] = &[
    "cookie",
    "delete",
    "hash",
    "ip_mask",
    "multi_regexp",
    "query",
    "regexp",
    "rename",
    "replace",
];
/// The memory of one regular expression.
const REGEX_BYTES: usize = 1 << 20;

/// Reads `<field> <filter> …`, in which `>` stands between the names of groups.
///
/// # Errors
/// The filter is unknown or malformed.
pub(super) fn field(line: &Line) -> Result<LogStep, Error> {
    let [kind, rest @ ..] = line.args.as_slice() else {
        return Err(line.missing(&format!("a filter: one of {}", FILTERS.join(", "))));
    };
    let mut path: Vec<String> = line.name.text.split('>').map(str::to_owned).collect();
    if path
        .first()
        .is_some_and(|name| OF_REQUEST.contains(&name.as_str()))
    {
        path.insert(0, "request".to_owned());
    }
    let none = |filter| match (rest, line.without_block()) {
        ([], Ok(_)) => Ok(filter),
        (_, Err(error)) => Err(error),
        ([surplus, ..], _) => Err(surplus
            .error(format!("`{}` takes no {}", kind.text, show(&surplus.text)))
            .remedy("remove it")),
    };
    let one = |what: &str| match rest {
        [word] => line.without_block().map(|_| word.text.clone()),
        _ => Err(line.missing(what)),
    };
    let filter = match kind.text.as_str() {
        "delete" => none(FieldFilter::Delete)?,
        "hash" => none(FieldFilter::Hash)?,
        "replace" => FieldFilter::Replace(one("one new value")?),
        "rename" => FieldFilter::Rename(one("one new name")?),
        "ip_mask" => FieldFilter::IpMask(mask(line, rest)?),
        "query" => FieldFilter::Query(changes(line, rest, "query", "a parameter")?),
        "cookie" => FieldFilter::Cookie(changes(line, rest, "cookie", "a cookie")?),
        "regexp" => match rest {
            [pattern, with] => FieldFilter::Regexp(vec![substitution(pattern, with)?]),
            _ => return Err(line.missing("a regular expression and what stands instead")),
        },
        "multi_regexp" => FieldFilter::Regexp(substitutions(line)?),
        _ => return Err(refuse(kind, "filter", &[], FILTERS)),
    };
    Ok(LogStep::Filter { path, filter })
}

/// What happens to parameters or cookies.
fn changes(
    line: &Line,
    rest: &[Word],
    kind: &str,
    what: &str,
) -> Result<Vec<(String, ParameterChange)>, Error> {
    if let Some(surplus) = rest.first() {
        return Err(surplus
            .error(format!("`{kind}` takes no {}", show(&surplus.text)))
            .remedy("write its changes in a block"));
    }
    let each = line.block.iter().flatten();
    let each = each.map(|line| change(line, kind, what));
    let changes: Vec<_> = each.collect::<Result<_, _>>()?;
    match changes.is_empty() {
        true => Err(line.missing("a block with replace, delete or hash")),
        false => Ok(changes),
    }
}

fn change(line: &Line, kind: &str, what: &str) -> Result<(String, ParameterChange), Error> {
    let change = match line.name.text.as_str() {
        "replace" => match line.without_block()?.args.as_slice() {
            [_, value] => ParameterChange::Replace(value.text.clone()),
            _ => return Err(line.missing(&format!("{what} and its new value"))),
        },
        "delete" => ParameterChange::Delete,
        "hash" => ParameterChange::Hash,
        _ => {
            let known = &["delete", "hash", "replace"];
            let kind = format!("option of `{kind}`");
            return Err(refuse(&line.name, &kind, &[], known));
        }
    };
    let name = match change {
        ParameterChange::Replace(_) => line.args.first(),
        _ => Some(line.without_block()?.one(what)?),
    };
    let name = name.ok_or_else(|| line.missing(what))?;
    Ok((name.text.clone(), change))
}

/// `multi_regexp { regexp <pattern> <instead> … }`.
fn substitutions(line: &Line) -> Result<Vec<Substitution>, Error> {
    let each = line.block.iter().flatten().map(|line| {
        match (line.name.text.as_str(), line.args.as_slice()) {
            ("regexp", [pattern, with]) => substitution(pattern, with),
            ("regexp", _) => Err(line.missing("a regular expression and what stands instead")),
            _ => Err(refuse(
                &line.name,
                "option of `multi_regexp`",
                &[],
                &["regexp"],
            )),
        }
    });
    each.collect()
}

fn substitution(pattern: &Word, with: &Word) -> Result<Substitution, Error> {
    let mut builder = RegexBuilder::new(&pattern.text);
    let regex = builder.size_limit(REGEX_BYTES).dfa_size_limit(REGEX_BYTES);
    let regex = regex.build().map_err(|_| {
        pattern
            .error(format!(
                "{} is not a regular expression",
                show(&pattern.text)
            ))
            .remedy("write one in the notation of RE2, without look-around and back-references")
    })?;
    Ok(Substitution {
        regex,
        with: with.text.clone(),
    })
}

/// `ip_mask [<ipv4> [<ipv6>]] [{ ipv4 <bits> ipv6 <bits> }]`. Of a kind of address that is not named nothing stays.
fn mask(line: &Line, bits: &[Word]) -> Result<AddressMask, Error> {
    let mut mask = AddressMask::default();
    match bits {
        [] => {}
        [ipv4] => mask.ipv4 = length(ipv4, 32)?,
        [ipv4, ipv6] => {
            mask.ipv4 = length(ipv4, 32)?;
            mask.ipv6 = length(ipv6, 128)?;
        }
        _ => return Err(line.missing("the bits of IPv4 and those of IPv6")),
    }
    for option in line.block.iter().flatten() {
        let bits = || option.without_block()?.one("a number of bits");
        match option.name.text.as_str() {
            "ipv4" => mask.ipv4 = length(bits()?, 32)?,
            "ipv6" => mask.ipv6 = length(bits()?, 128)?,
            _ => {
                let known = &["ipv4", "ipv6"];
                return Err(refuse(&option.name, "option of `ip_mask`", &[], known));
            }
        }
    }
    Ok(mask)
}

fn length(word: &Word, most: u8) -> Result<u8, Error> {
    let bits = value::number(word, 0)?;
    let bits = u8::try_from(bits).ok().filter(|bits| *bits <= most);
    bits.ok_or_else(|| {
        word.error(format!("{} is not a number of bits", show(&word.text)))
            .remedy(format!("write 0 to {most}"))
    })
}

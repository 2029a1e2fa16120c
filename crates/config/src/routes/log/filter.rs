//! `log { format filter { … } }`: what the lines leave out.

use crate::error::Error;
use crate::lexer::Word;
use crate::settings::{AddressMask, LogFilter, Notice, ParameterChange};
use crate::shown::show;
use crate::tree::Line;
use crate::unknown::refuse;
use crate::value;

/// Parts of the existing server's lines that are in none of ours, so that nothing must be done for them.
const ABSENT: &[&str] = &[
    "bytes_read",
    "common_log",
    "headers",
    "resp_headers",
    "size",
    "tls",
    "user_id",
];

/// Reads the filters of a format. Those without effect are named in a warning.
///
/// # Errors
/// A filter that is known is malformed.
pub(super) fn filter(
    format: &Line,
    filter: &mut LogFilter,
    notices: &mut Vec<Notice>,
) -> Result<(), Error> {
    let mut ignored = Vec::new();
    for option in format.block.iter().flatten() {
        match (option.name.text.as_str(), &option.block) {
            ("wrap", _) => {}
            ("fields", Some(fields)) => {
                for line in fields {
                    field(line, filter, &mut ignored)?;
                }
            }
            _ => field(option, filter, &mut ignored)?,
        }
    }
    if !ignored.is_empty() {
        notices.push(Notice::warning(format!(
            "{}: these filters of the log have no effect: {}; known are `uri query` with `replace`, `delete` and `hash`, and `ip_mask` for `remote_ip` and `client_ip`",
            format.name.place,
            ignored.join(", ")
        )));
    }
    Ok(())
}

/// The filter of one field.
fn field(line: &Line, filter: &mut LogFilter, ignored: &mut Vec<String>) -> Result<(), Error> {
    let name = line.name.text.trim_start_matches("request>");
    let [kind, rest @ ..] = line.args.as_slice() else {
        return Err(line.missing("a filter"));
    };
    match (name, kind.text.as_str()) {
        ("uri", "query") => {
            for parameter in line.block.iter().flatten() {
                filter.query.push(query(parameter)?);
            }
        }
        ("remote_ip", "ip_mask") => filter.remote_ip = Some(mask(line, rest)?),
        ("client_ip", "ip_mask") => filter.client_ip = Some(mask(line, rest)?),
        (name, _) if ABSENT.contains(&name.split('>').next().unwrap_or_default()) => {}
        (_, kind) => ignored.push(format!("{} {}", show(&line.name.text), show(kind))),
    }
    Ok(())
}

/// What happens to a parameter.
fn query(line: &Line) -> Result<(String, ParameterChange), Error> {
    let change = match line.name.text.as_str() {
        "replace" => match line.without_block()?.args.as_slice() {
            [_, value] => ParameterChange::Replace(value.text.clone()),
            _ => return Err(line.missing("a parameter and its new value")),
        },
        "delete" => ParameterChange::Delete,
        "hash" => ParameterChange::Hash,
        _ => {
            let known = &["delete", "hash", "replace"];
            return Err(refuse(&line.name, "option of `query`", &[], known));
        }
    };
    let name = match change {
        ParameterChange::Replace(_) => line.args.first(),
        _ => Some(line.without_block()?.one("a parameter")?),
    };
    let name = name.ok_or_else(|| line.missing("a parameter"))?;
    Ok((name.text.clone(), change))
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
                return Err(refuse(
                    &option.name,
                    "option of `ip_mask`",
                    &[],
                    &["ipv4", "ipv6"],
                ));
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

//! What clients may hold: the directives of the budgets.

use talaria_hub::limits::{Bounds, BudgetOptions};

use crate::config::draft::Draft;
use crate::config::error::ConfigError;
use crate::config::lexer::Word;
use crate::config::settings::Notice;
use crate::config::tree::Line;
use crate::config::value;
use crate::options::{Environment, Opt, Section};

/// What is counted in numbers.
const COUNT: &str = "<n>|off";
/// What is counted in bytes.
const SIZE: &str = "<size>|off";

const fn budget(
    directive: &'static str,
    arguments: &'static str,
    default: &'static str,
    doc: &'static str,
) -> Opt {
    Opt {
        section: Section::Limits,
        directive,
        arguments,
        variables: &[],
        flag: "",
        default,
        doc,
        apply: Some(apply),
    }
}

/// The directives, in alphabetical order.
pub const BUDGETS: &[Opt] = &[
    budget(
        "max_body_memory",
        SIZE,
        "128MiB, and at least twice `max_request_body_size`",
        "Request bodies under way of all clients together, from their first byte until they are published; \
         those of requests without a token may have a quarter.",
    ),
    budget(
        "max_body_memory_per_address",
        SIZE,
        "off",
        "Request bodies under way of one address.",
    ),
    budget(
        "max_body_memory_per_subject",
        SIZE,
        "off",
        "Request bodies under way of one token subject.",
    ),
    budget(
        "max_matcher_memory",
        SIZE,
        "256MiB",
        "Memory for the matchers and grants of all open streams together. Streams that select the same count \
         once.",
    ),
    budget(
        "max_matcher_memory_per_address",
        SIZE,
        "off",
        "Memory for the matchers and grants of the open streams of one address.",
    ),
    budget(
        "max_matcher_memory_per_connection",
        SIZE,
        "16MiB",
        "Memory for the matchers and grants of the open streams of one connection.",
    ),
    budget(
        "max_matcher_memory_per_subject",
        SIZE,
        "off",
        "Memory for the matchers and grants of the open streams of one token subject.",
    ),
    budget(
        "max_matcher_states",
        COUNT,
        "4194304",
        "States of the patterns of all open streams together; an ordinary pattern has some tens. Streams that \
         select the same count once.",
    ),
    budget(
        "max_matcher_states_per_address",
        COUNT,
        "off",
        "States of the patterns of the open streams of one address: what they cost a publish at worst.",
    ),
    budget(
        "max_matcher_states_per_connection",
        COUNT,
        "131072",
        "States of the patterns of the open streams of one connection.",
    ),
    budget(
        "max_matcher_states_per_subject",
        COUNT,
        "off",
        "States of the patterns of the open streams of one token subject.",
    ),
    budget(
        "max_streams",
        COUNT,
        "250000",
        "Open streams of all clients together. Beyond it, and beyond every bound of this section, a request is \
         answered 429.",
    ),
    budget(
        "max_streams_per_address",
        COUNT,
        "off",
        "Open streams of one address, of IPv6 a network of 64 bits. Behind a proxy that `trusted_proxies` \
         does not name, all clients have its address.",
    ),
    budget(
        "max_streams_per_subject",
        COUNT,
        "off",
        "Open streams of one token subject: `iss` and `sub`, without a `sub` the token itself.",
    ),
];

type Done = Result<(), ConfigError>;

fn apply(draft: &mut Draft, line: &Line, _: Environment<'_>) -> Done {
    let name = line.name.text.as_str();
    let Some((bounds, scope)) = bounds(&mut draft.budgets, name) else {
        return Ok(());
    };
    let what = if is_size(name) {
        "a size or `off`"
    } else {
        "a number or `off`"
    };
    let word = line.without_block()?.one(what)?;
    let bound = bound(name, word)?;
    match scope {
        "_per_address" => bounds.per_address = bound,
        "_per_subject" => bounds.per_subject = bound,
        "_per_connection" => bounds.per_connection = bound,
        _ => bounds.total = bound,
    }
    if scope.is_empty() && bound.is_none() {
        draft.notices.push(Notice::warning(format!(
            "{}: `{name} off` lets one client take what all need; write a number that this machine can bear",
            line.name.place
        )));
    }
    Ok(())
}

/// Where the value of a directive goes: the resource that its name begins with, and the scope.
fn bounds<'d>(
    budgets: &'d mut BudgetOptions,
    directive: &'d str,
) -> Option<(&'d mut Bounds, &'d str)> {
    let resources = [
        ("max_streams", &mut budgets.streams),
        ("max_matcher_memory", &mut budgets.matcher_memory),
        ("max_matcher_states", &mut budgets.matcher_states),
        ("max_body_memory", &mut budgets.body_memory),
    ];
    resources
        .into_iter()
        .find_map(|(name, bounds)| Some((bounds, directive.strip_prefix(name)?)))
}

fn is_size(directive: &str) -> bool {
    directive.contains("_memory")
}

/// `0` and `off` stand for no bound.
fn bound(directive: &str, word: &Word) -> Result<Option<u64>, ConfigError> {
    if word.text == "off" {
        return Ok(None);
    }
    let amount = match is_size(directive) {
        true => value::size(word),
        false => value::number(word, 0),
    };
    let amount = amount.map_err(|error| {
        error.remedy(format!(
            "write {}, or `off` for no bound",
            if is_size(directive) {
                "a size such as 64MiB"
            } else {
                "a number in digits only"
            }
        ))
    })?;
    Ok(Some(amount).filter(|amount| *amount > 0))
}

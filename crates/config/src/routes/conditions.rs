//! Matchers: for which requests a directive is (B-282).

use std::collections::HashMap;

use crate::error::Error;
use crate::lexer::Word;
use crate::settings::{Condition, PathPattern, ValuePattern};
use crate::shown::show;
use crate::tree::Line;
use crate::unknown::refuse;

/// Matchers of the existing server that are not supported yet.
const LATER: &[&str] = &[
    "client_ip",
    "expression",
    "file",
    "header_regexp",
    "path_regexp",
    "remote_ip",
    "tls",
    "vars",
    "vars_regexp",
];
const KNOWN: &[&str] = &[
    "header", "host", "method", "not", "path", "protocol", "query",
];

/// The named matchers of a block and of those around it.
#[derive(Debug, Clone, Default)]
pub(super) struct Named(HashMap<String, (Condition, usize)>);

impl Named {
    /// Adds the matcher of a line that begins with `@`, in a block within `depth` others.
    ///
    /// # Errors
    /// The matcher is unknown, not supported yet, or wrong, or the block has another of its name.
    pub(super) fn add(&mut self, line: &Line, depth: usize) -> Result<(), Error> {
        let condition = match (line.args.as_slice(), &line.block) {
            ([], Some(lines)) if !lines.is_empty() => all(lines)?,
            ([], _) => return Err(line.missing("a matcher, for example `path /x/*`")),
            ([name, args @ ..], block) => {
                // The first argument is the matcher, as if it stood on a line of a block.
                let line = Line {
                    name: name.clone(),
                    args: args.to_vec(),
                    block: block.clone(),
                };
                one(&line)?
            }
        };
        let name = line.name.text.clone();
        match self.0.insert(name, (condition, depth)) {
            Some((_, other)) if other == depth => Err(line
                .name
                .error("this matcher is defined twice")
                .remedy("give one of them another name")),
            _ => Ok(()),
        }
    }

    /// The matcher that precedes the other arguments of a directive, if there is one, and those arguments.
    ///
    /// # Errors
    /// No matcher has the name.
    pub(super) fn split<'l>(&self, args: &'l [Word]) -> Result<(Condition, &'l [Word]), Error> {
        let [first, rest @ ..] = args else {
            return Ok((Condition::Any, args));
        };
        Ok(match first.text.as_bytes() {
            b"*" => (Condition::Any, rest),
            [b'/', ..] => (Condition::Path(vec![path(first)?]), rest),
            [b'@', ..] => {
                let found = self.0.get(&first.text);
                let condition = found
                    .map(|(condition, _)| condition.clone())
                    .ok_or_else(|| {
                        first
                        .error(format!("no matcher is called `{}`", first.text.escape_debug()))
                        .remedy(format!(
                            "define it in this block or one around it, for example {} path /x/*",
                            first.text
                        ))
                    })?;
                (condition, rest)
            }
            _ => (Condition::Any, args),
        })
    }
}

/// The matchers of a block, all of which must hold. Several of the same kind are alternatives only for `host`,
/// `path`, `method` and `query` (their values are merged).
fn all(lines: &[Line]) -> Result<Condition, Error> {
    let mut conditions: Vec<Condition> = Vec::new();
    for line in lines {
        let next = one(line)?;
        let merged = conditions.iter_mut().any(|known| merge(known, &next));
        if !merged {
            conditions.push(next);
        }
    }
    Ok(match conditions.len() {
        1 => conditions.remove(0),
        _ => Condition::All(conditions),
    })
}

/// Adds the alternatives of a matcher to those of another of the same kind; returns whether it did.
fn merge(known: &mut Condition, next: &Condition) -> bool {
    match (known, next) {
        (Condition::Path(known), Condition::Path(next)) => known.extend(next.iter().cloned()),
        (Condition::Host(known), Condition::Host(next))
        | (Condition::Method(known), Condition::Method(next)) => known.extend(next.iter().cloned()),
        (Condition::Query(known), Condition::Query(next)) => known.extend(next.iter().cloned()),
        (
            Condition::Field {
                name: known_name,
                values: Some(known),
            },
            Condition::Field {
                name,
                values: Some(next),
            },
        ) if known_name == name => known.extend(next.iter().cloned()),
        _ => return false,
    }
    true
}

fn one(line: &Line) -> Result<Condition, Error> {
    let values = || {
        let words = line.without_block()?.some("at least one value")?;
        Ok::<_, Error>(words.iter().map(|word| word.text.as_str()))
    };
    Ok(match line.name.text.as_str() {
        "path" => {
            let words = line.without_block()?.some("at least one path")?;
            Condition::Path(words.iter().map(path).collect::<Result<_, _>>()?)
        }
        "host" => Condition::Host(values()?.map(str::to_ascii_lowercase).collect()),
        "method" => Condition::Method(values()?.map(str::to_ascii_uppercase).collect()),
        "query" => Condition::Query(query(line)?),
        "header" => field(line)?,
        "protocol" => match line.without_block()?.one("http or https")?.text.as_str() {
            "https" => Condition::Protocol { tls: true },
            "http" => Condition::Protocol { tls: false },
            other => {
                return Err(line
                    .name
                    .error(format!("the protocol {} is not known", show(other)))
                    .remedy("write http or https"));
            }
        },
        "not" => Condition::Not(Box::new(negated(line)?)),
        _ => return Err(refuse(&line.name, "matcher", LATER, KNOWN)),
    })
}

/// The pattern of a path.
fn path(word: &Word) -> Result<PathPattern, Error> {
    let text = word.text.as_str();
    let inner = text.trim_start_matches('*').trim_end_matches('*');
    let is_mixed = text.starts_with('*') && inner.contains('*');
    if is_mixed || text.contains(['[', '?']) || text.contains("//") || text.contains('{') {
        let problem = format!("the path {} is not supported", show(text));
        return Err(word
            .error(problem)
            .remedy("write a path with one * at its end, at its beginning or between its parts"));
    }
    Ok(PathPattern::new(text))
}

/// The matchers behind `not`, on its line or in its block.
fn negated(line: &Line) -> Result<Condition, Error> {
    match (line.args.as_slice(), &line.block) {
        ([], Some(lines)) => all(lines),
        ([name, ..], _) if name.is("not") => {
            Err(name.error("`not` follows `not`").remedy("remove both"))
        }
        ([name, args @ ..], block) => one(&Line {
            name: name.clone(),
            args: args.to_vec(),
            block: block.clone(),
        }),
        ([], None) => Err(line.missing("a matcher")),
    }
}

fn query(line: &Line) -> Result<Vec<(String, ValuePattern)>, Error> {
    let words = line.without_block()?.some("<name>=<value>")?;
    let pairs = words.iter().map(|word| match word.text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), ValuePattern::new(value))),
        None => Err(word
            .error(format!(
                "{} is not a parameter of a query",
                show(&word.text)
            ))
            .remedy("write <name>=<value>, with * for any value")),
    });
    pairs.collect()
}

fn field(line: &Line) -> Result<Condition, Error> {
    let words = line.without_block()?.some("a name and a value")?;
    let name = words.first().map_or("", |word| word.text.as_str());
    let (name, is_absent) = match name.strip_prefix('!') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let values: Vec<_> = words
        .iter()
        .skip(1)
        .map(|word| ValuePattern::new(&word.text))
        .collect();
    let values = match (is_absent, values.is_empty()) {
        (true, _) => None,
        (false, true) => Some(vec![ValuePattern::new("*")]),
        (false, false) => Some(values),
    };
    Ok(Condition::Field {
        name: name.to_ascii_lowercase(),
        values,
    })
}

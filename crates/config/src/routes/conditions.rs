//! Matchers: for which requests a directive is (B-282).

mod simple;

use std::collections::HashMap;

use super::expression::{self, Arguments, Expression};
use super::texts::Texts;
use crate::error::Error;
use crate::global;
use crate::lexer::Word;
use crate::settings::{Comparison, Condition, RegexPattern, Template};
use crate::tree::Line;
use crate::unknown::refuse;

/// Matchers of the existing server that are not supported yet.
const LATER: &[&str] = &["file", "tls", "vars_regexp"];
const KNOWN: &[&str] = &[
    "client_ip",
    "expression",
    "header",
    "header_regexp",
    "host",
    "method",
    "not",
    "path",
    "path_regexp",
    "protocol",
    "query",
    "remote_ip",
    "vars",
];

/// The named matchers of a block and of those around it.
#[derive(Debug, Clone, Default)]
pub(super) struct Named(HashMap<String, (Condition, usize)>);

impl Named {
    /// Adds the matcher of a line that begins with `@`, in a block within `depth` others.
    ///
    /// # Errors
    /// The matcher is unknown, not supported yet, or wrong, or the block has another of its name.
    pub(super) fn add(&mut self, line: &Line, depth: usize, texts: Texts<'_>) -> Result<(), Error> {
        let name = line.name.text.clone();
        let reader = Reader {
            name: name.trim_start_matches('@'),
            texts,
        };
        let read = reader.matcher(line);
        // What names one that is wrong is not wrong too.
        let condition = read.as_ref().map_or(Condition::Any, Condition::clone);
        let earlier = self.0.insert(name, (condition, depth));
        read?;
        match earlier {
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
            [b'/', ..] => (Condition::Path(vec![simple::path(first)?]), rest),
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

/// Reads the matchers of one name.
#[derive(Clone, Copy)]
struct Reader<'a> {
    /// The name, without its `@`; what a regular expression captures is found under it.
    name: &'a str,
    texts: Texts<'a>,
}

impl Reader<'_> {
    /// The matcher of a line that begins with `@`.
    fn matcher(self, line: &Line) -> Result<Condition, Error> {
        match (line.args.as_slice(), &line.block) {
            ([], Some(lines)) if !lines.is_empty() => self.all(lines),
            ([], _) => Err(line.missing("a matcher, for example `path /x/*`")),
            ([only], None) if only.quoted => self.expression(only),
            ([name, args @ ..], block) => {
                // The first argument is the matcher, as if it stood on a line of a block.
                let line = Line {
                    name: name.clone(),
                    args: args.to_vec(),
                    block: block.clone(),
                };
                self.one(&line)
            }
        }
    }

    /// The matchers of a block, all of which must hold. Several of the same kind are alternatives only for `host`,
    /// `path`, `method` and `query` (their values are merged).
    fn all(self, lines: &[Line]) -> Result<Condition, Error> {
        let mut conditions: Vec<Condition> = Vec::new();
        let mut errors = Vec::new();
        for line in lines {
            let next = match self.one(line) {
                Ok(next) => next,
                Err(error) => {
                    errors.push(error);
                    continue;
                }
            };
            let merged = conditions.iter_mut().any(|known| merge(known, &next));
            if !merged {
                conditions.push(next);
            }
        }
        Error::all(errors)?;
        Ok(match conditions.len() {
            1 => conditions.remove(0),
            _ => Condition::All(conditions),
        })
    }

    fn one(self, line: &Line) -> Result<Condition, Error> {
        let values = || {
            let words = line.without_block()?.some("at least one value")?;
            let texts = words.iter().map(|word| simple::value(word));
            texts.collect::<Result<Vec<_>, Error>>()
        };
        Ok(match line.name.text.as_str() {
            "path" => {
                let words = line.without_block()?.some("at least one path")?;
                Condition::Path(words.iter().map(simple::path).collect::<Result<_, _>>()?)
            }
            "host" => Condition::Host(
                values()?
                    .iter()
                    .map(|one| one.to_ascii_lowercase())
                    .collect(),
            ),
            "method" => Condition::Method(
                values()?
                    .iter()
                    .map(|one| one.to_ascii_uppercase())
                    .collect(),
            ),
            "query" => Condition::Query(simple::query(line)?),
            "header" => simple::field(line)?,
            "protocol" => simple::protocol(line)?,
            "not" => Condition::Not(Box::new(self.negated(line)?)),
            "path_regexp" => match line.without_block()?.args.as_slice() {
                [text] => Condition::PathRegex(self.regex(None, text)?),
                [name, text] => Condition::PathRegex(self.regex(Some(name), text)?),
                _ => return Err(line.missing("a regular expression, and before it perhaps a name")),
            },
            "header_regexp" => {
                let (name, field, text) = match line.without_block()?.args.as_slice() {
                    [field, text] => (None, field, text),
                    [name, field, text] => (Some(name), field, text),
                    _ => return Err(line.missing("a field and a regular expression")),
                };
                Condition::FieldRegex {
                    name: field.text.to_ascii_lowercase(),
                    pattern: self.regex(name, text)?,
                }
            }
            name @ ("remote_ip" | "client_ip") => Condition::Address {
                of_client: name == "client_ip",
                ranges: global::proxies(line, line.without_block()?.some("at least one range")?)?,
            },
            "vars" => self.variables(line)?,
            "expression" => self.expression(&joined(line)?)?,
            _ => return Err(refuse(&line.name, "matcher", LATER, KNOWN)),
        })
    }

    /// The matchers behind `not`, on its line or in its block.
    fn negated(self, line: &Line) -> Result<Condition, Error> {
        match (line.args.as_slice(), &line.block) {
            ([], Some(lines)) => self.all(lines),
            ([name, ..], _) if name.is("not") => {
                Err(name.error("`not` follows `not`").remedy("remove both"))
            }
            ([name, args @ ..], block) => self.one(&Line {
                name: name.clone(),
                args: args.to_vec(),
                block: block.clone(),
            }),
            ([], None) => Err(line.missing("a matcher")),
        }
    }

    fn regex(self, name: Option<&Word>, text: &Word) -> Result<RegexPattern, Error> {
        let name = name.map_or(self.name, |name| name.text.as_str());
        let name = Some(name).filter(|name| !name.is_empty());
        RegexPattern::new(name, &text.text).map_err(|error| {
            // Its messages draw the expression over several lines.
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default();
            let reason = reason.trim_start_matches("error: ");
            text.error(format!("not a regular expression: {reason}"))
                .remedy("correct it; quote one that holds spaces with backquotes")
        })
    }

    /// `vars <name or placeholder> <value>…`.
    fn variables(self, line: &Line) -> Result<Condition, Error> {
        let [name, values @ ..] = line.without_block()?.args.as_slice() else {
            return Err(line.missing("the name of a variable and a value"));
        };
        if values.is_empty() {
            return Err(line.missing("at least one value"));
        }
        let left = match name.text.contains('{') {
            true => self.texts.template(name)?,
            false => Template::new(&format!("{{vars.{}}}", name.text)),
        };
        let equal = |value| {
            Ok(Condition::Compared {
                left: left.clone(),
                how: Comparison::Equal,
                right: self.texts.template(value)?,
            })
        };
        let all = values.iter().map(equal).collect::<Result<_, Error>>()?;
        Ok(Condition::AtLeastOne(all))
    }

    /// An expression (B-284).
    fn expression(self, word: &Word) -> Result<Condition, Error> {
        // Whatever paths it names, it does not count as a path when directives are ordered.
        let condition = self.condition(expression::parse(word)?, word)?;
        Ok(Condition::AtLeastOne(vec![condition]))
    }

    fn condition(self, expression: Expression, word: &Word) -> Result<Condition, Error> {
        let each = |all: Vec<Expression>| {
            let all = all.into_iter().map(|one| self.condition(one, word));
            all.collect::<Result<_, _>>()
        };
        let with = |text: String| Word {
            text,
            ..word.clone()
        };
        Ok(match expression {
            Expression::All(all) => Condition::All(each(all)?),
            Expression::AtLeastOne(all) => Condition::AtLeastOne(each(all)?),
            Expression::Not(one) => Condition::Not(Box::new(self.condition(*one, word)?)),
            Expression::Compared(left, how, right) => Condition::Compared {
                left: self.texts.template(&with(left))?,
                how,
                right: self.texts.template(&with(right))?,
            },
            Expression::Matches(text, regex) => Condition::TextRegex(
                self.texts.template(&with(text))?,
                self.regex(None, &with(regex))?,
            ),
            Expression::Call {
                name,
                arguments: Arguments::Texts(texts),
            } => self.one(&Line {
                name: with(name),
                args: texts.into_iter().map(with).collect(),
                block: None,
            })?,
            Expression::Call {
                name,
                arguments: Arguments::Map(pairs),
            } => {
                let lines = pairs.into_iter().map(|(key, values)| Line {
                    name: with(name.clone()),
                    args: match name.as_str() {
                        "query" => values
                            .iter()
                            .map(|one| with(format!("{key}={one}")))
                            .collect(),
                        _ => std::iter::once(key).chain(values).map(with).collect(),
                    },
                    block: None,
                });
                let all = lines
                    .map(|line| self.one(&line))
                    .collect::<Result<_, _>>()?;
                Condition::All(all)
            }
        })
    }
}

/// The words of a line as one; those that were quoted get quotes again.
fn joined(line: &Line) -> Result<Word, Error> {
    match line.without_block()?.args.as_slice() {
        [] => Err(line.missing("an expression")),
        [word] => Ok(word.clone()),
        words @ [first, ..] => {
            let texts = words.iter().map(|word| match word.quoted {
                true => format!("\"{}\"", word.text.replace('"', "\\\"")),
                false => word.text.clone(),
            });
            Ok(Word {
                text: texts.collect::<Vec<_>>().join(" "),
                ..first.clone()
            })
        }
    }
}

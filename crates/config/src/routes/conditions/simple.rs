//! Matchers that compare a part of the request with words.

use crate::error::Error;
use crate::lexer::Word;
use crate::settings::{Condition, PathPattern, Template, ValuePattern};
use crate::shown::show;
use crate::tree::Line;

/// The pattern of a path.
///
/// # Errors
/// A form that is not supported.
pub(super) fn path(word: &Word) -> Result<PathPattern, Error> {
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

/// A value to compare with.
///
/// # Errors
/// It depends on the request.
pub(super) fn value(word: &Word) -> Result<&str, Error> {
    match Template::new(&word.text).fixed() {
        Some(_) => Ok(&word.text),
        None => Err(word
            .error("a placeholder in the value of this matcher is not supported")
            .remedy("write an expression, for example `{header.X-A} == {host}` in backquotes")),
    }
}

/// `protocol http|https`.
///
/// # Errors
/// Another protocol.
pub(super) fn protocol(line: &Line) -> Result<Condition, Error> {
    match line.without_block()?.one("http or https")?.text.as_str() {
        "https" => Ok(Condition::Protocol { tls: true }),
        "http" => Ok(Condition::Protocol { tls: false }),
        other => Err(line
            .name
            .error(format!("the protocol {} is not known", show(other)))
            .remedy("write http or https")),
    }
}

/// `query <name>=<value>…`.
///
/// # Errors
/// Another form, or a value that depends on the request.
pub(super) fn query(line: &Line) -> Result<Vec<(String, ValuePattern)>, Error> {
    let words = line.without_block()?.some("<name>=<value>")?;
    let pairs = words.iter().map(|word| match word.text.split_once('=') {
        Some((name, _)) => {
            let value = value(word)?.split_once('=').map_or("", |(_, value)| value);
            Ok((name.to_owned(), ValuePattern::new(value)))
        }
        None => Err(word
            .error(format!(
                "{} is not a parameter of a query",
                show(&word.text)
            ))
            .remedy("write <name>=<value>, with * for any value")),
    });
    pairs.collect()
}

/// `header <field> [<value>…]`.
///
/// # Errors
/// Another form, or a value that depends on the request.
pub(super) fn field(line: &Line) -> Result<Condition, Error> {
    let words = line.without_block()?.some("a name and a value")?;
    let name = words.first().map_or("", |word| word.text.as_str());
    let (name, is_absent) = match name.strip_prefix('!') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let values: Vec<_> = words
        .iter()
        .skip(1)
        .map(|word| value(word).map(ValuePattern::new))
        .collect::<Result<_, _>>()?;
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

//! The tokens of an expression.

use crate::shown::show;

/// A token.
#[derive(Debug, PartialEq)]
pub(super) enum Token {
    /// A text in quotes, a placeholder with its braces, or a number.
    Text(String),
    /// The name of a matcher or a method.
    Name(String),
    /// A sign.
    Sign(&'static str),
}

/// The signs, the longer ones first.
const SIGNS: [&str; 18] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", "{", "}", ",", ":", ".",
];

/// Splits an expression into tokens.
///
/// # Errors
/// A text that is not closed, or a character that begins no token.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '\'' | '"' => quoted(rest, first)?,
            '{' => match placeholder(rest) {
                Some((placeholder, after)) => (Token::Text(placeholder.to_owned()), after),
                None => sign(rest)?,
            },
            '0'..='9' => {
                let (number, after) = split(rest, |c| c.is_ascii_digit());
                (Token::Text(number.to_owned()), after)
            }
            c if c.is_ascii_alphabetic() => {
                let (name, after) = split(rest, |c| c.is_ascii_alphanumeric() || c == '_');
                (Token::Name(name.to_owned()), after)
            }
            _ => sign(rest)?,
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at(end)
}

/// A text up to its closing quote, in which a backslash precedes some characters.
fn quoted(text: &str, quote: char) -> Result<(Token, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, 'r')) => value.push('\r'),
                Some((_, c @ ('\\' | '\'' | '"' | '`' | '?'))) => value.push(c),
                Some((_, c)) => {
                    return Err(format!(
                        "the escape {} is not known; write \\\\ for a backslash",
                        show(&format!("\\{c}"))
                    ));
                }
                None => break,
            },
            c if c == quote => {
                let after = text.get(at + c.len_utf8()..).unwrap_or_default();
                return Ok((Token::Text(value), after));
            }
            c => value.push(c),
        }
    }
    Err("a text is never closed".to_owned())
}

/// A placeholder with its braces, if one begins here and not a map.
fn placeholder(text: &str) -> Option<(&str, &str)> {
    let end = text.find('}')?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let name = text.get(1..end)?;
    (!name.is_empty() && name.chars().all(is_name)).then(|| text.split_at(end + 1))
}

fn sign(text: &str) -> Result<(Token, &str), String> {
    let found = SIGNS
        .iter()
        .find_map(|sign| Some((Token::Sign(sign), text.strip_prefix(sign)?)));
    found.ok_or_else(|| {
        let c: String = text.chars().take(1).collect();
        format!("the character {} begins nothing that is known", show(&c))
    })
}

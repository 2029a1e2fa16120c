//! Values that are lists, and the marks of other notations that get into them.

use std::net::Ipv6Addr;

use super::error::{ConfigError, show};
use super::lexer::Word;

/// Quotes of every notation that keys and lists are copied from.
pub(super) const QUOTES: [char; 12] = ['"', '\'', '`', '“', '”', '„', '‘', '’', '‚', '«', '»', '′'];
const BRACKETS: [char; 6] = ['[', ']', '{', '}', '<', '>'];

/// The items of a list called `name`: separated by spaces, commas or both; empty ones do not count.
///
/// # Errors
///
/// Quotes, brackets and other separators within an item, with the list as it should be written.
pub fn items(name: &str, words: &[Word]) -> Result<Vec<Word>, ConfigError> {
    let mut items = Vec::new();
    for word in words {
        for text in pieces(&word.text) {
            if let Some(problem) = stray(text) {
                return Err(refused(name, word, text, problem, words));
            }
            items.push(Word {
                text: text.to_owned(),
                ..word.clone()
            });
        }
    }
    Ok(items)
}

/// Refuses marks of a list, or quotes, in the one value of `name`. A comma is part of it unless
/// another URL follows, or nothing.
///
/// # Errors
///
/// As [`items`].
pub fn one(name: &str, word: &Word) -> Result<(), ConfigError> {
    let text = word.text.trim();
    let several = text.contains(",http") || text.contains(", ");
    let problem = if several {
        Some("is several values, and there may be one")
    } else if text.ends_with(',') {
        Some("ends with a comma")
    } else {
        stray(text)
    };
    match problem {
        None => Ok(()),
        Some(problem) => {
            let mut right = clean(&word.text);
            right.truncate(1);
            Err(refused_for(name, word, problem, &right))
        }
    }
}

fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace())
        .map(unquoted)
        .filter(|text| !text.is_empty())
}

/// Behind a comma a quote of the configuration's own does not begin a word.
fn unquoted(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('`')).unwrap_or(text)
}

fn refused(name: &str, word: &Word, text: &str, problem: &str, all: &[Word]) -> ConfigError {
    let right: Vec<String> = all.iter().flat_map(|word| clean(&word.text)).collect();
    let word = Word {
        text: text.to_owned(),
        ..word.clone()
    };
    refused_for(name, &word, problem, &right)
}

fn refused_for(name: &str, word: &Word, problem: &str, right: &[String]) -> ConfigError {
    // What precedes an @ may be a password.
    if word.text.contains('@') {
        return word.error(format!("a value {problem}")).hide_line();
    }
    let written = format!("{name} {}", right.join(" "));
    word.error(format!("{} {problem}", show(&word.text)))
        .remedy(format!("write {}", written.trim()))
}

/// What of a word is no part of any item that this configuration has.
fn stray(text: &str) -> Option<&'static str> {
    let text = &without_ipv6(text);
    if text.contains(QUOTES) {
        Some("holds a quote, which belongs to no value")
    } else if text.contains(BRACKETS) || text.starts_with('(') || text.ends_with(')') {
        Some("holds a bracket; a list has none around it")
    } else if text.contains("\\n") || text.contains("\\r") {
        Some("holds the two characters of an escaped line end, which end no line")
    } else if text.contains('\\') {
        Some("holds a backslash")
    } else if is_joined(text) {
        Some("holds a separator that is neither a space nor a comma")
    } else {
        None
    }
}

/// Whether another separator stands between or behind values; within a URL a semicolon is its own.
fn is_joined(text: &str) -> bool {
    const OTHERS: [char; 2] = [';', '|'];
    text.ends_with(OTHERS)
        || text.contains(";http")
        || text.contains("|http")
        || (!text.contains("://") && text.contains(OTHERS))
}

/// The text without an IPv6 address in brackets, as URLs have it.
fn without_ipv6(text: &str) -> String {
    let address = text.split_once('[').and_then(|(before, rest)| {
        let (address, after) = rest.split_once(']')?;
        address.parse::<Ipv6Addr>().ok()?;
        Some(format!("{before}{after}"))
    });
    address.unwrap_or_else(|| text.to_owned())
}

/// The items that were probably meant.
fn clean(text: &str) -> Vec<String> {
    let is_mark =
        |c: char| QUOTES.contains(&c) || BRACKETS.contains(&c) || matches!(c, '\\' | '(' | ')');
    let unescaped = text.replace("\\n", " ").replace("\\r", " ");
    let parts = unescaped.split(|c: char| matches!(c, ',' | ';' | '|') || c.is_whitespace());
    let parts = parts.map(|part| match part.trim_matches(is_mark) {
        // The brackets of an IPv6 address are its own.
        inner if inner.parse::<Ipv6Addr>().is_ok() => format!("[{inner}]"),
        inner if inner.contains('[') && !inner.contains(']') => format!("{inner}]"),
        inner => inner.to_owned(),
    });
    parts.filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::lexer::lex;
    use crate::config::lexer::tests::text;

    fn read(source: &str) -> Result<Vec<String>, String> {
        items("list", &lex(&text(source)).unwrap())
            .map(|items| items.into_iter().map(|item| item.text).collect())
            .map_err(|error| error.to_string())
    }

    /// Spaces, commas, both, quotes of the configuration's own and empty items are understood.
    #[test]
    fn separators_are_understood() {
        for written in [
            "a b",
            "a,b",
            "a, b",
            "a ,b",
            " a , ,, b, ",
            "\"a\", \"b\"",
            "\"a, b\"",
            "`a b`",
            "\"a\",\"b\"",
        ] {
            assert_eq!(
                read(written),
                Ok(vec!["a".to_owned(), "b".to_owned()]),
                "{written}"
            );
        }
        assert_eq!(read("http://[::1]:80 [::1]").unwrap().len(), 2);
    }

    /// Other notations are refused with the list as it should be written.
    #[test]
    fn other_notations_are_refused_with_the_right_form() {
        for written in [
            "'a','b'",
            "'a' 'b'",
            "[a, b]",
            "[\"a\",\"b\"]",
            "['a', 'b']",
            "“a” “b”",
            "‘a’,‘b’",
            "«a» «b»",
            "<a> <b>",
            "a; b",
            "a;b;",
            "{a b",
            "a\\nb",
            "a| b",
            "a;b",
            "(a b)",
        ] {
            let error = read(written).unwrap_err();
            assert!(error.ends_with("\n  write list a b"), "{written}: {error}");
        }
    }

    #[test]
    fn one_value_is_one() {
        let check = |source: &str| {
            let words = lex(&text(source)).unwrap();
            one("issuer", &words[0]).map_err(|error| error.to_string())
        };
        for fine in ["https://a/x,y", "https://[::1]/", "a"] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        for (wrong, right) in [
            ("https://a,https://b", "write issuer https://a"),
            ("https://a,", "write issuer https://a"),
            ("'https://a'", "write issuer https://a"),
            ("[https://a]", "write issuer https://a"),
            ("“https://a”", "write issuer https://a"),
            ("https://a;", "write issuer https://a"),
        ] {
            let error = check(wrong).unwrap_err();
            assert!(error.ends_with(right), "{wrong}: {error}");
        }
    }
}

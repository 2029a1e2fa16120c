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
        if is_reference(&word.text) {
            return Err(word
                .error(format!(
                    "{} is a reference that nothing replaced",
                    show(&word.text)
                ))
                .remedy("write the value itself, or {$NAME} in a configuration file"));
        }
        // Part of a URL whose password holds a comma; the other parts must not be shown.
        if pieces(&word.text).any(|text| text.contains('@') && !text.contains("://")) {
            let problem = format!("{} has user information", show(&word.text));
            return Err(word.error(problem).remedy("remove what precedes the @"));
        }
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

/// Refuses marks of a list, or quotes, around the one value of `name`. Within it every mark may be its
/// own: an issuer may be called `Acme, Inc` or `O'Reilly`.
///
/// # Errors
///
/// As [`items`].
pub fn one(name: &str, word: &Word) -> Result<(), ConfigError> {
    let text = word.text.trim();
    let first = match second_url(text) {
        Some(at) => text.get(..at).unwrap_or_default(),
        None => text,
    };
    let problem = if first != text {
        "is several values, and there may be one"
    } else if is_in(text, &QUOTES, &QUOTES) {
        "is in quotes, which belong to no value"
    } else if is_in(text, &['['], &[']']) && without_ipv6(text) == text {
        "is in brackets; one value has none around it"
    } else if text.ends_with(',') {
        "ends with a comma"
    } else if text.ends_with(';') {
        "ends with a semicolon"
    } else {
        return Ok(());
    };
    let is_mark = |c: char| QUOTES.contains(&c) || matches!(c, '[' | ']' | ',' | ';' | '|');
    let right = first.trim_matches(|c: char| is_mark(c) || c.is_whitespace());
    let right = match right.contains(char::is_whitespace) {
        true => format!("\"{right}\""),
        false => right.to_owned(),
    };
    Err(refused_for(name, word, problem, &[right]))
}

fn is_in(text: &str, before: &[char], after: &[char]) -> bool {
    text.chars().nth(1).is_some() && text.starts_with(before) && text.ends_with(after)
}

/// Where a second URL begins behind a separator.
fn second_url(text: &str) -> Option<usize> {
    let mut separators =
        text.match_indices(|c: char| matches!(c, ',' | ';' | '|') || c.is_whitespace());
    let found = separators.find(|(at, separator)| {
        let rest = text.get(at + separator.len()..).unwrap_or_default();
        let rest = rest.trim_start_matches(|c: char| QUOTES.contains(&c) || c.is_whitespace());
        rest.starts_with("http://") || rest.starts_with("https://")
    });
    found.map(|(at, _)| at)
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
    let mut right: Vec<String> = Vec::new();
    for item in all.iter().flat_map(|word| clean(&word.text)) {
        if !right.contains(&item) {
            right.push(item);
        }
    }
    let word = Word {
        text: text.to_owned(),
        ..word.clone()
    };
    refused_for(name, &word, problem, &right)
}

fn refused_for(name: &str, word: &Word, problem: &str, right: &[String]) -> ConfigError {
    let error = word.error(format!("{} {problem}", show(&word.text)));
    if right.is_empty() || !right.iter().all(|item| is_plain(item)) {
        return error;
    }
    let written = format!("{name} {}", right.join(" "));
    error.remedy(format!("write {}", written.trim()))
}

/// Whether an item is one that an author would write: not a password, an expression or another notation.
fn is_plain(item: &str) -> bool {
    let is_own = |c: char| c.is_alphanumeric() || ".:/*-_[]~%&=\" ".contains(c);
    item.contains(char::is_alphanumeric) && item.chars().all(is_own) || item == "*"
}

/// Whether a value is one that something else should have replaced.
fn is_reference(text: &str) -> bool {
    let text = text.trim_matches(QUOTES);
    text.starts_with('$')
        || ["${", "$(", "{$", "{{"]
            .iter()
            .any(|open| text.contains(open))
        || text.len() > 2 && text.starts_with('%') && text.ends_with('%')
}

/// What of a word is no part of any item that this configuration has.
fn stray(text: &str) -> Option<&'static str> {
    let text = &without_ipv6(text);
    if text.contains(QUOTES) {
        Some("holds a quote, which belongs to no value")
    } else if holds_brackets(text) {
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

/// Whether a bracket is that of a list; within a URL a pair is its own.
fn holds_brackets(text: &str) -> bool {
    if !text.contains("://") || text.starts_with(BRACKETS) || text.starts_with('(') {
        return text.contains(BRACKETS) || text.starts_with('(') || text.ends_with(')');
    }
    let count = |c| text.matches(c).count();
    [('[', ']'), ('{', '}'), ('<', '>'), ('(', ')')]
        .iter()
        .any(|(open, close)| count(*open) != count(*close))
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
        assert_eq!(read("https://a/(x) https://a/{y}/z").unwrap().len(), 2);
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

    /// One opaque value keeps the marks within it; around it and behind it they are refused.
    #[test]
    fn one_value_is_one() {
        let check = |source: &str| {
            let words = lex(&text(source)).unwrap();
            one("issuer", &words[0]).map_err(|error| error.to_string())
        };
        for fine in [
            "https://a/x,y",
            "https://[::1]/",
            "[::1]",
            "a",
            "\"Acme, Inc\"",
            "O'Reilly",
            "a|b",
            "CN=hub;O=x",
            "https://a.example/realms/(x)",
            "https://login.microsoftonline.com/{tenantid}/v2.0",
            "urn:x:{y}",
            "https://a/?next=https://b",
            "a\\b",
            "<a>",
            "\"the \\\"best\\\" hub\"",
        ] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        for (wrong, right) in [
            ("https://a,https://b", "write issuer https://a"),
            ("\"https://a, https://b\"", "write issuer https://a"),
            ("https://a;http://b", "write issuer https://a"),
            ("https://a|https://b", "write issuer https://a"),
            ("https://a,", "write issuer https://a"),
            ("'https://a'", "write issuer https://a"),
            ("\"'Acme Inc'\"", "write issuer \"Acme Inc\""),
            ("[https://a]", "write issuer https://a"),
            ("“https://a”", "write issuer https://a"),
            ("https://a;", "write issuer https://a"),
        ] {
            let error = check(wrong).unwrap_err();
            assert!(error.ends_with(right), "{wrong}: {error}");
        }
    }

    /// What cannot be meant has no remedy that shows it once more.
    #[test]
    fn remedies_are_what_one_may_write() {
        for (written, problem) in [
            ("${X}", "a reference that nothing replaced"),
            ("$(hostname)", "a reference that nothing replaced"),
            ("{{x}}", "a reference that nothing replaced"),
            ("$HOSTNAME", "a reference that nothing replaced"),
            ("%HOST%", "a reference that nothing replaced"),
            ("https://${HOST}:80", "a reference that nothing replaced"),
            (
                r"^https?://(localhost|127\.0\.0\.1)(:[0-9]+)?$",
                "holds a backslash",
            ),
            ("'https://u:PW@h'", "holds a quote"),
            ("[]", "holds a bracket"),
        ] {
            let error = read(written).unwrap_err();
            assert!(error.contains(problem), "{written}: {error}");
            assert!(
                !error.contains("write list") && !error.contains("PW"),
                "{written}: {error}"
            );
        }
    }
}

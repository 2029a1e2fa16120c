//! Values that are lists, and the punctuation of other notations that gets into them.

use std::net::Ipv6Addr;

use crate::error::Error;
use crate::lexer::Word;
use crate::shown::show;

/// The quotes of notations that keys and lists are copied from.
pub(super) const QUOTES: [char; 12] = ['"', '\'', '`', '“', '”', '„', '‘', '’', '‚', '«', '»', '′'];
const BRACKETS: [char; 6] = ['[', ']', '{', '}', '<', '>'];

/// The items of the list called `name`, separated by spaces, commas or both. Empty items are left out.
///
/// # Errors
///
/// An item holds a quote, a bracket or another separator; the remedy is the list as it should be written.
pub(crate) fn items(name: &str, words: &[Word]) -> Result<Vec<Word>, Error> {
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
        // A password may hold a comma, so the other pieces may be parts of it and must not be shown.
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

/// Refuses quotes, or the punctuation of a list, around the one value of `name`. Within the value any
/// character is allowed: an issuer may be called `Acme, Inc` or `O'Reilly`.
///
/// # Errors
///
/// As [`items`].
pub(crate) fn one(name: &str, word: &Word) -> Result<(), Error> {
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

/// The index at which a second URL begins after a separator.
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

/// The text without the quotes of the configuration, which only at the start of a word quote it.
fn unquoted(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('`')).unwrap_or(text)
}

fn refused(name: &str, word: &Word, text: &str, problem: &str, all: &[Word]) -> Error {
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

fn refused_for(name: &str, word: &Word, problem: &str, right: &[String]) -> Error {
    let error = word.error(format!("{} {problem}", show(&word.text)));
    if right.is_empty() || !right.iter().all(|item| is_plain(item)) {
        return error;
    }
    let written = format!("{name} {}", right.join(" "));
    error.remedy(format!("write {}", written.trim()))
}

/// Whether an item is one that an author would write, and so can be part of a remedy: not a password, an
/// expression or another notation.
fn is_plain(item: &str) -> bool {
    let is_own = |c: char| c.is_alphanumeric() || ".:/*-_[]~%&=\" ".contains(c);
    item.contains(char::is_alphanumeric) && item.chars().all(is_own) || item == "*"
}

/// Whether a value is a reference that a shell or a template should have replaced.
fn is_reference(text: &str) -> bool {
    let text = text.trim_matches(QUOTES);
    text.starts_with('$')
        || ["${", "$(", "{$", "{{"]
            .iter()
            .any(|open| text.contains(open))
        || text.len() > 2 && text.starts_with('%') && text.ends_with('%')
}

/// What is wrong with an item that holds punctuation of another notation.
fn stray(text: &str) -> Option<&'static str> {
    let text = &without_ipv6(text);
    if text.contains(QUOTES) {
        Some("holds a quote, which belongs to no value")
    } else if holds_brackets(text) {
        Some("holds a bracket; a list has none around it")
    } else if text.contains("\\n") || text.contains("\\r") {
        Some("holds a backslash and a letter instead of a line end")
    } else if text.contains('\\') {
        Some("holds a backslash")
    } else if is_joined(text) {
        Some("holds a separator that is neither a space nor a comma")
    } else {
        None
    }
}

/// Whether the text holds a bracket of a list; a URL may hold pairs, too.
fn holds_brackets(text: &str) -> bool {
    if !text.contains("://") || text.starts_with(BRACKETS) || text.starts_with('(') {
        return text.contains(BRACKETS) || text.starts_with('(') || text.ends_with(')');
    }
    let count = |c| text.matches(c).count();
    [('[', ']'), ('{', '}'), ('<', '>'), ('(', ')')]
        .iter()
        .any(|(open, close)| count(*open) != count(*close))
}

/// Whether another separator stands between or after values; a URL may hold semicolons, too.
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
        // An IPv6 address keeps its brackets.
        inner if inner.parse::<Ipv6Addr>().is_ok() => format!("[{inner}]"),
        inner if inner.contains('[') && !inner.contains(']') => format!("{inner}]"),
        inner => inner.to_owned(),
    });
    parts.filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::lex;
    use crate::lexer::tests::text;

    fn read(source: &str) -> Result<Vec<String>, String> {
        items("list", &lex(&text(source)).unwrap())
            .map(|items| items.into_iter().map(|item| item.text).collect())
            .map_err(|error| error.to_string())
    }

    /// Spaces, commas, both, the quotes of the configuration and empty items are understood.
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

    /// One value may hold any punctuation; around it and after it that is refused.
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

    /// A remedy does not repeat what cannot have been meant.
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

//! Hides the secrets of a configuration that is shown.
//!
//! The names decide, and rather too many than too few: a directive that is new has its values hidden if its
//! name sounds like one with a secret.

use super::tree::{Adapted, Directive};
use crate::shown::without_user;

/// What stands for a secret.
const HIDDEN: &str = "REDACTED";

/// Parts of the names of directives whose values, and those in their blocks, are secrets.
const SECRET: &[&str] = &[
    "jwt",
    "key",
    "secret",
    "passw",
    "token",
    "auth",
    "eab",
    "acme_dns",
    "dns",
    "credential",
];

/// Directives that such a part does not make secret, because their values are public.
const PUBLIC: &[&str] = &[
    "key_type",
    "max_token_lifetime",
    "authorization_servers",
    "token_cache_size",
];

/// Directives and matchers that name a field or a variable, and then its value.
const FIELDS: &[&str] = &[
    "header",
    "header_regexp",
    "request_header",
    "header_up",
    "header_down",
    "vars",
    "vars_regexp",
    "uri",
];

/// Parts of the names of fields, parameters and variables whose values are secrets.
const SECRET_FIELDS: &[&str] = &[
    "auth", "cookie", "token", "key", "secret", "passw", "jwt", "session",
];

/// What the directive around a block says of its lines.
#[derive(Clone, Copy, Default)]
struct Within {
    is_secret: bool,
    names_fields: bool,
}

impl Adapted {
    /// The same with `REDACTED` for what may be a secret.
    #[must_use]
    pub fn redacted(&self) -> Self {
        Self {
            global: all(&self.global, Within::default()),
            lines: all(&self.lines, Within::default()),
        }
    }

    /// Whether something of it was hidden, so that it configures nothing any more.
    #[must_use]
    pub fn is_redacted(&self) -> bool {
        fn any(lines: &[Directive]) -> bool {
            lines.iter().any(|line| {
                let mut words = std::iter::once(&line.name).chain(&line.args);
                words.any(|word| word.contains(HIDDEN)) || line.block.as_deref().is_some_and(any)
            })
        }
        any(&self.global) || any(&self.lines)
    }
}

/// The value of an environment variable in one line, without what may be a secret in it.
#[must_use]
pub fn shown_variable(name: &str, value: &str) -> String {
    if value.is_empty() {
        return String::new();
    }
    if contains(name, SECRET) || contains(name, &["pwd", "cookie", "headers"]) {
        return HIDDEN.to_owned();
    }
    if value.contains("-----BEGIN") && value.contains("PRIVATE KEY") {
        return HIDDEN.to_owned();
    }
    if !value.contains(['\n', ' ']) || is_pairs(value) {
        return shown(value);
    }
    shown_lines(value).join("\\n")
}

/// Lines that may be directives, which a variable can hold.
fn shown_lines(text: &str) -> Vec<String> {
    let text = text.replace("\\\n", " ");
    let mut blocks: Vec<Within> = Vec::new();
    let mut lines = Vec::new();
    for line in text.split('\n') {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let closes = words.first() == Some(&"}");
        if closes {
            blocks.pop();
        }
        let opens = words.pop_if(|last| *last == "{").is_some();
        let within = blocks.last().copied().unwrap_or_default();
        let (judged, inner) = judged(&words, within);
        let hides = judged.iter().any(|word| word.contains(HIDDEN));
        lines.push(match words.iter().eq(&judged) {
            true => line.to_owned(),
            false => {
                let mut judged = judged;
                judged.dedup_by(|word, before| word == HIDDEN && before == HIDDEN);
                judged.extend(opens.then(|| "{".to_owned()));
                judged.join(" ")
            }
        });
        let goes_on = line.contains("<<") || line.matches(['"', '`']).count() % 2 == 1;
        if goes_on && hides {
            // A text of several lines, whose end is not looked for.
            lines.push(HIDDEN.to_owned());
            break;
        }
        if opens {
            blocks.push(inner);
        }
    }
    lines
}

fn all(lines: &[Directive], within: Within) -> Vec<Directive> {
    lines.iter().map(|line| one(line, within)).collect()
}

fn one(line: &Directive, within: Within) -> Directive {
    let mut words = vec![line.name.as_str()];
    words.extend(line.args.iter().map(String::as_str));
    let (judged, inner) = judged(&words, within);
    let mut judged = judged.into_iter();
    Directive {
        name: judged.next().unwrap_or_default(),
        args: judged.collect(),
        block: line.block.as_deref().map(|lines| all(lines, inner)),
    }
}

/// The words of a line without secrets, and what it says of its block.
fn judged(words: &[&str], within: Within) -> (Vec<String>, Within) {
    // `@name` and `not` stand before a matcher.
    let leads = |word: &&&str| word.starts_with('@') || **word == "not";
    let lead = words.iter().take_while(leads).count();
    let (lead, line) = words.split_at_checked(lead).unwrap_or((words, &[]));
    let Some((name, args)) = line.split_first().filter(|_| !within.is_secret) else {
        return match within.is_secret {
            true => (hidden_line(words), within),
            false => (words.iter().map(|word| shown(word)).collect(), within),
        };
    };
    let mut judged: Vec<String> = lead.iter().map(|word| shown(word)).collect();
    if !lead.is_empty() && !is_word(name) {
        judged.extend(expression(line));
        return (judged, Within::default());
    }
    let inner = Within {
        is_secret: sounds_secret(name) || within.names_fields && contains(name, SECRET_FIELDS),
        names_fields: FIELDS.contains(name),
    };
    judged.push(shown(name));
    judged.extend(match *name {
        _ if inner.is_secret => args.iter().map(|arg| hidden(arg)).collect(),
        "expression" => expression(args),
        // The words of a URL as libpq writes it, whose quotes are not looked for.
        "url" | "transport_url" if args.len() > 1 => url(args),
        _ if inner.names_fields => fields(args),
        _ => {
            // The key of an authority follows its name, whichever directive names it.
            let key = args.iter().position(|arg| *arg == "zerossl");
            let is_key = |at: usize| key.is_some_and(|key| at > key);
            let args = args.iter().enumerate();
            args.map(|(at, arg)| match is_key(at) {
                true => hidden(arg),
                false => shown(arg),
            })
            .collect()
        }
    });
    (judged, inner)
}

/// A line of a block that is secret. A key that lost its directive may be the first word of its line.
fn hidden_line(words: &[&str]) -> Vec<String> {
    let Some((name, args)) = words.split_first() else {
        return Vec::new();
    };
    let name = match is_word(name) || sounds_secret(name) || *name == "}" {
        true => shown(name),
        false => hidden(name),
    };
    let args = args.iter().map(|arg| hidden(arg));
    std::iter::once(name).chain(args).collect()
}

fn hidden(word: &str) -> String {
    match is_placeholder(word) {
        true => word.to_owned(),
        false => HIDDEN.to_owned(),
    }
}

/// The words of a URL; what follows the name of a secret is hidden.
fn url(args: &[&str]) -> Vec<String> {
    let names = |arg: &&str| contains(arg, &["passw"]);
    let named = args.iter().position(names).unwrap_or(args.len());
    let words = args.iter().enumerate();
    words
        .map(|(at, arg)| match at > named {
            true => hidden(arg),
            false => shown(arg),
        })
        .collect()
}

/// The words after a directive of [`FIELDS`]: what follows the name of a secret field is hidden.
fn fields(args: &[&str]) -> Vec<String> {
    let names = |arg: &&str| !arg.starts_with('@') && contains(arg, SECRET_FIELDS);
    let named = args.iter().position(names).unwrap_or(args.len());
    let words = args.iter().enumerate();
    words
        .map(|(at, arg)| match at > named {
            true => hidden(arg),
            false => shown(arg),
        })
        .collect()
}

/// An expression; if it names a secret field, without its texts.
fn expression(words: &[&str]) -> Vec<String> {
    let is_secret = words.iter().any(|word| contains(word, SECRET_FIELDS));
    let operates = |word: &str| {
        word == "in" || word.contains(['{', '(']) || !word.contains(|c: char| c.is_alphanumeric())
    };
    let judged = words.iter().map(|&word| match is_secret {
        false => shown(word),
        true => match without_texts(word) {
            // A word without quotes may be part of a text, or a text whose quotes were taken off.
            Some(rest) if rest != word || operates(word) => rest,
            _ => hidden(word),
        },
    });
    judged.collect()
}

/// The same with `REDACTED` for each text in quotes; `None` if one does not end.
fn without_texts(word: &str) -> Option<String> {
    let mut rest = String::new();
    let mut chars = word.chars();
    while let Some(c) = chars.next() {
        rest.push(c);
        if matches!(c, '"' | '\'' | '`') {
            loop {
                match chars.next()? {
                    '\\' if c != '`' => _ = chars.next(),
                    end if end == c => break,
                    _ => {}
                }
            }
            rest.push_str(HIDDEN);
            rest.push(c);
        }
    }
    Some(rest)
}

fn sounds_secret(name: &str) -> bool {
    !PUBLIC.contains(&name) && contains(name, SECRET)
}

fn contains(text: &str, parts: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    parts.iter().any(|part| text.contains(part))
}

/// Whether it is a name, such as that of an option.
fn is_word(text: &str) -> bool {
    text.len() <= 32 && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// Whether it names a variable or a file, and holds no secret.
fn is_placeholder(text: &str) -> bool {
    let inner = text
        .strip_prefix('{')
        .and_then(|text| text.strip_suffix('}'));
    inner.is_some_and(|inner| {
        !inner.contains(['{', '}', ':'])
            && (inner.starts_with("env.") || inner.starts_with("file.") || inner.starts_with('$'))
    })
}

/// Whether a text is one URL with a password or another secret in it.
pub(super) fn is_url_with_secret(text: &str) -> bool {
    let is_url = text.contains("://") || text.starts_with("unix:");
    let is_one = is_url && !text.contains(char::is_whitespace) || is_pairs(text);
    is_one && shown(text) != text
}

/// Whether a text is `keyword=value …`, as libpq writes the URL of a server.
fn is_pairs(text: &str) -> bool {
    let name = text.split('=').next().unwrap_or_default().trim();
    text.contains('=') && !name.is_empty() && is_word(name)
}

/// A word without the user information and secret parameters of a URL in it.
fn shown(text: &str) -> String {
    let is_url = text.contains("://");
    if is_pairs(text)
        && let Some(first) = secret_pair(text)
    {
        return first;
    }
    let Some((before, query)) = text.split_once('?') else {
        return match is_url {
            true => without_user(text).into_owned(),
            false => parameters(text),
        };
    };
    let parameters = parameters(query);
    if !is_url {
        return format!("{before}?{parameters}");
    }
    // A secret parameter may hold an `@`, and a password a `?`.
    let hides_at = query.contains('@') && !parameters.contains('@') && !before.contains('@');
    if hides_at {
        let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
        return format!("{scheme}://…?{parameters}");
    }
    without_user(&format!("{before}?{parameters}")).into_owned()
}

/// `keyword=value …` up to the first that sounds secret, whose value may hold spaces; `None` if none does.
fn secret_pair(text: &str) -> Option<String> {
    let ends = text.match_indices('=').map(|(at, _)| at);
    let mut names = ends.filter(|at| {
        let before = text.get(..*at).unwrap_or_default().trim_end();
        let name = before
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .next_back();
        name.is_some_and(|name| contains(name, SECRET_FIELDS))
    });
    let end = names.next()?;
    let value = text.get(end + 1..)?;
    Some(format!("{}={}", text.get(..end)?.trim_end(), hidden(value)))
}

/// `name=value&…` without the values that are secrets.
fn parameters(text: &str) -> String {
    let parameters = text.split('&').map(|parameter| {
        match parameter
            .split_once('=')
            .filter(|(name, _)| contains(name, SECRET_FIELDS))
        {
            Some((name, value)) => format!("{name}={}", hidden(value)),
            None => parameter.to_owned(),
        }
    });
    parameters.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests;

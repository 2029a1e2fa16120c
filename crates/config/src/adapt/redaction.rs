//! Hides the secrets of a configuration that is shown.
//!
//! The names decide, and rather too many than too few: a directive that is new has its values hidden if its
//! name sounds like one with a secret.

use super::tree::{Adapted, Directive};
use crate::shown::without_user;
use crate::text::names_secret;

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

/// Directives that set a field of a head.
const FIELDS: &[&str] = &["header", "request_header", "header_up", "header_down"];

/// Parts of the names of fields whose values are secrets.
const SECRET_FIELDS: &[&str] = &["auth", "cookie", "token", "key", "secret", "passw"];

impl Adapted {
    /// The same with `REDACTED` for what may be a secret.
    #[must_use]
    pub fn redacted(&self) -> Self {
        Self {
            global: all(&self.global, false),
            lines: all(&self.lines, false),
        }
    }

    /// Whether something of it was hidden, so that it configures nothing any more.
    #[must_use]
    pub fn is_redacted(&self) -> bool {
        fn any(lines: &[Directive]) -> bool {
            lines.iter().any(|line| {
                line.args.iter().any(|arg| arg.contains(HIDDEN))
                    || line.block.as_deref().is_some_and(any)
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
    if contains(name, SECRET) || contains(name, &["pwd", "cookie"]) {
        return HIDDEN.to_owned();
    }
    let lines = value.split('\n').map(|line| {
        let first = line.split_whitespace().next().unwrap_or_default();
        // A line of directives.
        match value.contains('\n') || value.contains(' ') {
            true if sounds_secret(first) || names_field_of_secret(line) => {
                format!("{first} {HIDDEN}")
            }
            _ => shown(line),
        }
    });
    lines.collect::<Vec<_>>().join("\\n")
}

/// Whether a line sets a field whose value is a secret.
fn names_field_of_secret(line: &str) -> bool {
    let mut words = line.split_whitespace();
    words.any(|word| FIELDS.contains(&word)) && words.any(|word| contains(word, SECRET_FIELDS))
}

fn all(lines: &[Directive], is_secret: bool) -> Vec<Directive> {
    lines.iter().map(|line| one(line, is_secret)).collect()
}

fn one(line: &Directive, is_secret: bool) -> Directive {
    let is_secret = is_secret || sounds_secret(&line.name);
    let field = secret_field(line);
    let args = line.args.iter().enumerate().map(|(at, arg)| {
        let hides = is_secret || field.is_some_and(|field| at >= field);
        match hides && !is_placeholder(arg) {
            true => HIDDEN.to_owned(),
            false => shown(arg),
        }
    });
    Directive {
        // A key that lost its directive may be the first word of its line.
        name: match is_secret && !sounds_secret(&line.name) && !is_word(&line.name) {
            true => HIDDEN.to_owned(),
            false => shown(&line.name),
        },
        args: args.collect(),
        block: line.block.as_deref().map(|lines| all(lines, is_secret)),
    }
}

/// The place among the arguments from which on they are the value of a field that holds a secret.
fn secret_field(line: &Directive) -> Option<usize> {
    let is_matcher = line.name.starts_with('@');
    let mut words = std::iter::once(&line.name).chain(&line.args);
    if line.name == "expression" || is_matcher && words.any(|word| word == "expression") {
        let any = line.args.iter().any(|arg| contains(arg, SECRET_FIELDS));
        return any.then_some(0);
    }
    if !is_matcher && !FIELDS.contains(&line.name.as_str()) {
        return None;
    }
    let field = line
        .args
        .iter()
        .position(|arg| contains(arg, SECRET_FIELDS));
    field.map(|field| field + 1)
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

/// A word without the user information and secret parameters of a URL, or of a query, in it.
fn shown(text: &str) -> String {
    if let Some((name, _)) = text.split_once('=')
        && !name.contains(['/', '?', ' '])
        && names_secret(name)
    {
        return format!("{name}={HIDDEN}");
    }
    let text = match text.contains("://") {
        true => without_user(text).into_owned(),
        false => text.to_owned(),
    };
    let Some((before, query)) = text.split_once('?').filter(|_| text.contains("://")) else {
        return text;
    };
    let parameters = query.split('&').map(|parameter| {
        let (name, _) = parameter.split_once('=').unwrap_or((parameter, ""));
        match names_secret(name) {
            true => format!("{name}={HIDDEN}"),
            false => parameter.to_owned(),
        }
    });
    format!("{before}?{}", parameters.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &str, block: Option<Vec<Directive>>) -> Directive {
        let mut words = words.split(' ').map(str::to_owned);
        Directive {
            name: words.next().unwrap(),
            args: words.collect(),
            block,
        }
    }

    #[test]
    fn variables_are_shown_without_secrets() {
        for (name, value, expected) in [
            ("PATH", "/bin:/usr/bin", "/bin:/usr/bin"),
            ("MERCURE_PUBLISHER_JWT_KEY", "S3CR3T", "REDACTED"),
            ("PGPASSWORD", "S3CR3T", "REDACTED"),
            (
                "MERCURE_EXTRA_DIRECTIVES",
                "anonymous\npublisher_jwt S3CR3T HS256",
                "anonymous\\npublisher_jwt REDACTED",
            ),
            ("A", "header_up Authorization S3CR3T", "header_up REDACTED"),
            (
                "DATABASE_URL",
                "pgsql://user:S3CR3T@host/db",
                "pgsql://…@host/db",
            ),
            ("EMPTY_KEY", "", ""),
        ] {
            assert_eq!(shown_variable(name, value), expected, "{name}");
        }
    }

    /// What may be a secret is hidden wherever it stands; all else is shown.
    #[test]
    fn secrets_are_hidden() {
        let lines = vec![
            line("publisher_jwt S3CR3T HS256", None),
            line("jwt {env.KEY} {env.ALG}", None),
            line(
                "acme_eab",
                Some(vec![
                    line("key_id S3CR3T", None),
                    line("mac_key S3CR3T", None),
                ]),
            ),
            line("basic_auth", Some(vec![line("User9 $2a$S3CR3T", None)])),
            line("header_up Authorization S3CR3T", None),
            line("request_header @a X-Api-Key S3CR3T", None),
            line(
                "transport_url redis://user:S3CR3T@host?password=S3CR3T&size=5",
                None,
            ),
            line("header_up Cookie a-token-S3CR3T", None),
            line("@a header X-Api-Key S3CR3T", None),
            line("@b query access_token=S3CR3T", None),
            line("@c expression {header.X-Token}==S3CR3T", None),
            line("header Content-Type text/plain", None),
            line("heartbeat 5s", None),
        ];
        let adapted = Adapted {
            global: Vec::new(),
            lines,
        };
        assert!(!adapted.is_redacted());
        let redacted = adapted.redacted();
        assert!(redacted.is_redacted());
        let text = redacted.to_text().unwrap();
        assert!(!text.contains("S3CR3T"), "{text}");
        for kept in [
            "jwt {env.KEY} {env.ALG}",
            "header_up Authorization REDACTED",
            "host?password=REDACTED&size=5",
            "header Content-Type text/plain",
            "heartbeat 5s",
        ] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
    }
}

//! Keys that are probably not what their author meant. No message shows any part of a key.

use std::path::Path;

use talaria_hub::access::Algorithm;

use crate::list::QUOTES;
use crate::older;
use crate::options;

/// What is wrong with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// It cannot be what was meant, or anyone can guess it.
    Fatal(&'static str),
    /// It is used byte for byte as it is, which is probably not what was meant.
    Likely(&'static str),
    /// It is fine, but its author may expect that it is decoded.
    Possible(&'static str),
}

use Mistake::{Fatal, Likely, Possible};

/// Placeholders of examples, in lower case.
const PLACEHOLDERS: [&str; 15] = [
    "changeme",
    "change-me",
    "change_me",
    "changethis",
    "change-this",
    "change_this",
    "replaceme",
    "replace-me",
    "replace_me",
    "your-secret",
    "your_secret",
    "yoursecret",
    "your-256-bit-secret",
    "a-string-secret-at-least",
    "averysecret",
];

/// Folders in which files with keys lie.
const FOLDERS: [&str; 18] = [
    "./",
    "../",
    "~/",
    "/run/",
    "/etc/",
    "/var/",
    "/home/",
    "/root/",
    "/app/",
    "/srv/",
    "/data/",
    "/config/",
    "/mnt/",
    "/opt/",
    "/usr/",
    "/tmp/",
    "/secrets/",
    "/certs/",
];
const EXTENSIONS: [&str; 8] = [
    ".pem", ".key", ".crt", ".cer", ".pub", ".der", ".jwk", ".txt",
];
/// How references to stores of secrets begin.
const STORES: [&str; 9] = [
    "arn:",
    "op://",
    "vault:",
    "ssm:",
    "secret://",
    "sops:",
    "awssm://",
    "gcpsm://",
    "@Microsoft.KeyVault(",
];
/// Characters that no screen shows, and that trimming white space does not remove.
const INVISIBLE: [char; 7] = [
    '\u{200b}', '\u{200c}', '\u{200d}', '\u{200e}', '\u{200f}', '\u{2060}', '\u{ad}',
];

/// The most telling mistake in a key; `None` for a key that shows none.
pub fn find(key: &str) -> Option<Mistake> {
    let trimmed = key.trim();
    if trimmed.is_empty() {
        return Some(Fatal("is blank; give a secret, or a key in PEM"));
    }
    if let Some(mistake) = of_pem(key, trimmed) {
        return Some(mistake);
    }
    if trimmed.starts_with("-----BEGIN ") {
        return None;
    }
    if trimmed.to_ascii_uppercase().parse::<Algorithm>().is_ok() || trimmed == "none" {
        return Some(Fatal(
            "is the name of an algorithm; the key is missing before it",
        ));
    }
    of_ends(key)
        .or_else(|| of_another_form(trimmed))
        .or_else(|| of_substitution(trimmed))
        .or_else(|| of_path(trimmed))
        .or_else(|| of_text(key))
}

/// PEM text that cannot be read as a key. Taken as a shared secret, it would be a public one.
fn of_pem(key: &str, trimmed: &str) -> Option<Mistake> {
    let at = key.find("-----BEGIN")?;
    let is_first = trimmed.starts_with("-----BEGIN ");
    let before = key.get(..at).unwrap_or_default().trim();
    if before.starts_with('\u{feff}') {
        Some(Fatal(
            "begins with a byte order mark before -----BEGIN; save the file as UTF-8 without one",
        ))
    } else if before.ends_with(QUOTES) {
        Some(Fatal(
            "is PEM text in quotes; remove them: what holds it takes the text as it is",
        ))
    } else if !is_first {
        Some(Fatal(
            "holds PEM text behind something else; begin it with -----BEGIN",
        ))
    } else if key.contains("\\n") {
        Some(Fatal(
            "is PEM text with the two characters \\n where its lines end; write real line ends, or {file./path/to/key.pem} in a configuration file",
        ))
    } else if !trimmed.contains(['\n', '\r']) {
        Some(Fatal(
            "is PEM text on one line; write each of its lines on a separate line, or {file./path/to/key.pem} in a configuration file",
        ))
    } else {
        None
    }
}

/// Something before or after the secret that does not belong to it.
fn of_ends(key: &str) -> Option<Mistake> {
    let says = if key.starts_with('\u{feff}') {
        "begins with a byte order mark, which is part of the secret here; save the file as UTF-8 without one"
    } else if key.starts_with(INVISIBLE) || key.ends_with(INVISIBLE) {
        "begins or ends with an invisible character such as U+200B, which is part of the secret here; type the secret instead of pasting it"
    } else if key.starts_with(QUOTES) || key.trim_end().ends_with(QUOTES) {
        "begins or ends with a quote, which is part of the secret here; remove the quotes"
    } else if key.ends_with('\r') || key.ends_with("\r\n") {
        "ends with a carriage return (CR), which is part of the secret here; save the file with line ends of Unix, or write the secret without one"
    } else if key.ends_with('\n') || key.starts_with('\n') {
        "begins or ends with a line end (LF), which is part of the secret here; remove it"
    } else if key.trim() != key {
        "begins or ends with white space, which is part of the secret here; remove it"
    } else {
        return None;
    };
    Some(Likely(says))
}

/// A token, URL or encoding in the place of a secret.
fn of_another_form(key: &str) -> Option<Mistake> {
    let lower = key.to_ascii_lowercase();
    let is_token = key.starts_with("eyJ") && key.matches('.').count() >= 2;
    let says = if is_token || lower.starts_with("bearer ") {
        "looks like a token and not like the key that verifies tokens; give the secret or the public key that they are signed with"
    } else if key.starts_with("LS0tLS1CRUdJTi") {
        "is the base64 of PEM text, and is not decoded; give the PEM text itself"
    } else if key.starts_with('{') && (key.contains("\"kty\"") || key.contains("\"keys\"")) {
        "is a JSON Web Key, which a key set holds; write `jwks_uri file:///path` for it, or give the secret itself"
    } else if lower.starts_with("https://") || lower.starts_with("http://") {
        "is a URL; write `jwks_uri <url>` for a key set"
    } else if lower.starts_with("base64:") || lower.starts_with("hex:") {
        "says that it is encoded, and is used as text, prefix included; give what both sides sign with"
    } else if key.starts_with("ssh-") {
        "is a key of SSH; give the public key in PEM"
    } else if key.starts_with("export ")
        || key
            .split_once(['=', ':'])
            .is_some_and(|(name, _)| is_variable(name.trim_end()))
    {
        "starts with the name of a variable (`NAME=`); write only the value after it"
    } else {
        return None;
    };
    Some(Likely(says))
}

/// Whether this is the name of a variable of this hub or of older versions.
fn is_variable(name: &str) -> bool {
    let is_older = || name == name.to_ascii_uppercase() && older::successor(name).is_some();
    is_name(name) && (name.starts_with("MERCURE_") || options::reads(name) || is_older())
}

fn is_name(text: &str) -> bool {
    let name_byte = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !text.is_empty() && text.bytes().all(name_byte) && !text.as_bytes()[0].is_ascii_digit()
}

/// Whether the key holds `open`, a name and `close`; a default may follow the name.
fn holds_name(key: &str, open: &str, close: char) -> bool {
    key.match_indices(open).any(|(at, _)| {
        let rest = key.get(at + open.len()..).unwrap_or_default();
        rest.split_once(close).is_some_and(|(inner, _)| {
            is_name(inner.split([':', '-', '?']).next().unwrap_or_default())
        })
    })
}

/// Whether the key holds `open`, something and `close`, in this order.
fn holds_pair(key: &str, open: &str, close: &str) -> bool {
    let rest = key.split_once(open).map_or("", |(_, rest)| rest);
    rest.find(close).is_some_and(|at| at > 0)
}

/// A reference that nothing replaced. A random secret may hold the beginning of one, so it must be closed.
fn of_substitution(key: &str) -> Option<Mistake> {
    let between = |before: &str, after: &str| {
        let inner = key.strip_prefix(before)?.strip_suffix(after)?;
        (!inner.is_empty()).then_some(inner)
    };
    let is_whole = [
        ("${", "}"),
        ("{", "}"),
        ("<", ">"),
        ("%env(", ")%"),
        ("#{", "}"),
        ("#{", "}#"),
        ("ENC[", "]"),
    ]
    .iter()
    .any(|(before, after)| between(before, after).is_some());
    let words = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphabetic() || b" _-".contains(&b))
    };
    let is_upper = |text: &str| text == text.to_ascii_uppercase();
    let is_one_character = key
        .chars()
        .next()
        .is_some_and(|first| key.chars().all(|c| c == first));
    let is_reference = is_whole
        || is_one_character
        || STORES.iter().any(|store| key.starts_with(store))
        || holds_name(key, "${", '}')
        || holds_name(key, "{$", '}')
        || holds_pair(key, "$(", ")")
        || holds_pair(key, "{{", "}}")
        || holds_pair(key, "{env.", "}")
        || holds_pair(key, "{file.", "}")
        || key.strip_prefix('$').is_some_and(is_name)
        || between("%", "%").is_some_and(is_name)
        || between("[", "]").is_some_and(words)
        || is_name(key) && is_upper(key) && key.contains("MERCURE") && key.ends_with("KEY");
    is_reference.then_some(Likely(
        "looks like a reference or a placeholder that nothing has replaced, and is the secret as it stands; give the value itself",
    ))
}

fn of_path(key: &str) -> Option<Mistake> {
    let is_drive = key
        .as_bytes()
        .get(..3)
        .is_some_and(|start| start[0].is_ascii_alphabetic() && matches!(start, [_, b':', b'\\']));
    let bare = key.strip_prefix('@').unwrap_or(key);
    let is_named = FOLDERS.iter().any(|folder| bare.starts_with(folder))
        || EXTENSIONS.iter().any(|extension| key.ends_with(extension));
    let is_path = key.starts_with("file:")
        || is_drive
        || is_named && !is_random(bare)
        || (bare.contains('/') && key.len() < 4_096 && Path::new(bare).is_file());
    is_path.then_some(Likely(
        "looks like the path of a file, and is the secret as it stands; give what the file holds ({file./path} in a configuration file, @path on the command line)",
    ))
}

/// Whether part of a text mixes upper case, lower case and digits, as names of files do not. A secret in
/// base64 may begin like a path.
fn is_random(text: &str) -> bool {
    text.split(['/', '.']).any(|part| {
        let has = |is: fn(&u8) -> bool| part.as_bytes().iter().any(is);
        let kinds = [
            has(u8::is_ascii_uppercase),
            has(u8::is_ascii_lowercase),
            has(u8::is_ascii_digit),
        ];
        kinds == [true; 3] || part.len() > 64 || part.contains(['+', '='])
    })
}

fn of_text(key: &str) -> Option<Mistake> {
    let lower = key.to_ascii_lowercase();
    // These have a separate warning.
    let is_well_known = key.starts_with('!') && key.ends_with('!');
    if key.contains("\\n") || key.contains("\\r") || key.contains("\\t") {
        Some(Likely(
            "holds the two characters of an escape such as \\n, which are part of the secret here; write what they stand for, or remove them",
        ))
    } else if key.contains(|c: char| c.is_control()) {
        Some(Likely(
            "holds a line end or another control character, which is part of the secret here; remove it",
        ))
    } else if !is_well_known && PLACEHOLDERS.iter().any(|text| lower.contains(text)) {
        Some(Likely(
            "looks like the placeholder of an example, so anyone can guess it; replace it with a random one",
        ))
    } else if is_padded_base64(key) {
        Some(Possible(
            "looks like base64, and is used as text, not decoded; the other side must use the same text",
        ))
    } else {
        None
    }
}

fn is_padded_base64(key: &str) -> bool {
    let digits = key.trim_end_matches('=');
    let padding = key.len() - digits.len();
    (1..=2).contains(&padding)
        && key.len() >= 16
        && key.len().is_multiple_of(4)
        && digits
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_'))
}

#[cfg(test)]
mod tests;

//! Keys that are probably not what their author meant. Nothing of a key is ever shown.

use std::path::Path;

use talaria_hub::access::Algorithm;

use super::list::QUOTES;

/// What is wrong with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// It cannot be meant, or everybody can guess it.
    Fatal(&'static str),
    /// It is used as it is, byte for byte, which is probably not meant.
    Likely(&'static str),
    /// It is fine, but perhaps taken for something else.
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

/// Where files are that hold keys.
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
    if Algorithm::from_name(&trimmed.to_ascii_uppercase()).is_some() || trimmed == "none" {
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

/// PEM text that is no key as it stands, and would be a shared secret that everybody knows.
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
            "is PEM text on one line; write each of its lines on a line of its own, or {file./path/to/key.pem} in a configuration file",
        ))
    } else {
        None
    }
}

/// What stands before or behind the secret.
fn of_ends(key: &str) -> Option<Mistake> {
    let says = if key.starts_with('\u{feff}') {
        "begins with a byte order mark, which is part of the secret here; save the file as UTF-8 without one"
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

/// Something else than a secret.
fn of_another_form(key: &str) -> Option<Mistake> {
    let lower = key.to_ascii_lowercase();
    let says = if key.starts_with("eyJ") || lower.starts_with("bearer ") {
        "looks like a token, or a part of one, and not like the key that verifies tokens; give the secret or the public key that they are signed with"
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
    } else if key.starts_with("MERCURE_") && key.contains('=') || key.starts_with("export ") {
        "holds the name of a variable and `=`; give what follows"
    } else {
        return None;
    };
    Some(Likely(says))
}

/// A reference that nothing replaced.
fn of_substitution(key: &str) -> Option<Mistake> {
    let is_name = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    let between = |before: &str, after: &str| {
        key.strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after))
    };
    let is_reference = key.contains("$(")
        || key.contains("${")
        || key.contains("{$")
        || key.contains("{{")
        || key.contains("{env.")
        || key.contains("{file.")
        || between("{", "}").is_some()
        || between("<", ">").is_some()
        || key.strip_prefix('$').is_some_and(is_name)
        || between("%", "%").is_some_and(is_name)
        || is_name(key) && key.contains("MERCURE") && key.ends_with("KEY");
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
    let is_path = key.starts_with("file:")
        || is_drive
        || FOLDERS.iter().any(|folder| bare.starts_with(folder))
        || EXTENSIONS.iter().any(|extension| key.ends_with(extension))
        // A secret in base64 may begin with a slash.
        || (bare.contains('/') && key.len() < 4_096 && Path::new(bare).is_file());
    is_path.then_some(Likely(
        "looks like the path of a file, and is the secret as it stands; give what the file holds ({file./path} in a configuration file, @path on the command line)",
    ))
}

fn of_text(key: &str) -> Option<Mistake> {
    let lower = key.to_ascii_lowercase();
    // These have a warning of their own.
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
            "looks like the placeholder of an example, so anybody can guess it; replace it with a random one",
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
mod tests {
    use super::*;

    const RANDOM: &str = "q3J7bW0vX1Zk+Yt8cR5pLs2nUe9aHdGf4iKoMjTxQzw/";

    #[test]
    fn a_key_without_mistake_has_none() {
        let slash = format!("/{RANDOM}");
        for key in [
            RANDOM,
            &slash,
            "!ChangeThisMercureHubJWTSecretKey!",
            "!ChangeMe!",
            "an ordinary pass phrase of several words",
            "p$ssw{rd} with \"quotes\" within its words",
            "c0ffee".repeat(12).as_str(),
            "-----BEGIN PUBLIC KEY-----\nMII=\n-----END PUBLIC KEY-----\n",
            " \n-----BEGIN PUBLIC KEY-----\r\nMII=\r\n-----END PUBLIC KEY-----",
        ] {
            assert_eq!(find(key), None, "{key}");
        }
    }

    /// Each kind of mistake is named by what distinguishes it.
    #[test]
    fn mistakes_are_named() {
        let around = |before: &str, after: &str| format!("{before}{RANDOM}{after}");
        let padded = format!("{}==", &RANDOM[..22]);
        let cases: &[(String, &str)] = &[
            (around("\"", "\""), "quote"),
            (around("'", "'"), "quote"),
            (around("“", "”"), "quote"),
            (around("`", "`"), "quote"),
            (around("\"", ""), "quote"),
            (around("", "'\n"), "quote"),
            (around("", "\r"), "(CR)"),
            (around("", "\r\n"), "(CR)"),
            (around("", "\n"), "(LF)"),
            (around("\n", ""), "(LF)"),
            (around(" ", ""), "white space"),
            (around("", "\t"), "white space"),
            (around("", "\u{a0}"), "white space"),
            (around("\u{feff}", ""), "byte order mark"),
            (around("", "\\n"), "two characters"),
            (around("a\\n", ""), "two characters"),
            (around("a\nb", ""), "control character"),
            (around("a\0b", ""), "control character"),
            ("$(cat /run/secrets/key)".to_owned(), "reference"),
            ("${MERCURE_PUBLISHER_JWT_KEY}".to_owned(), "reference"),
            ("$MERCURE_KEY".to_owned(), "reference"),
            ("%MERCURE_KEY%".to_owned(), "reference"),
            ("{{ .Values.key }}".to_owned(), "reference"),
            ("{env.KEY}".to_owned(), "reference"),
            ("{vault.key}".to_owned(), "reference"),
            ("<your key>".to_owned(), "reference"),
            ("MERCURE_JWT_KEY".to_owned(), "reference"),
            ("/run/secrets/jwt".to_owned(), "path"),
            ("./keys/publisher".to_owned(), "path"),
            ("publisher.pem".to_owned(), "path"),
            ("@/etc/hub/key".to_owned(), "path"),
            ("file:///etc/key".to_owned(), "path"),
            ("C:\\keys\\hub".to_owned(), "path"),
            (
                env!("CARGO_MANIFEST_DIR").to_owned() + "/src/main.rs",
                "path",
            ),
            ("eyJhbGciOiJIUzI1NiJ9.eyJtIjoxfQ.c2ln".to_owned(), "token"),
            ("Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln".to_owned(), "token"),
            ("LS0tLS1CRUdJTiBQVUJMSUMgS0VZ".to_owned(), "base64 of PEM"),
            (r#"{"kty":"oct","k":"AyM1"}"#.to_owned(), "JSON Web Key"),
            ("https://a.example/jwks.json".to_owned(), "URL"),
            (around("base64:", ""), "encoded"),
            (around("MERCURE_PUBLISHER_JWT_KEY=", ""), "variable"),
            (around("changeme-", ""), "placeholder"),
            ("your-256-bit-secret".to_owned(), "placeholder"),
            (padded, "not decoded"),
            ("HS256".to_owned(), "algorithm"),
            ("rs256 ".to_owned(), "algorithm"),
            ("  \n".to_owned(), "blank"),
        ];
        for (key, expected) in cases {
            let (Some(Fatal(says)) | Some(Likely(says)) | Some(Possible(says))) = find(key) else {
                panic!("{key:?} has no mistake");
            };
            assert!(says.contains(expected), "{key:?}: {says}");
            assert!(!says.contains(RANDOM));
        }
    }

    /// A public key must not become a secret that everybody knows.
    #[test]
    fn pem_text_that_is_none_is_fatal() {
        let pem = "-----BEGIN PUBLIC KEY-----\nMII=\n-----END PUBLIC KEY-----";
        for (key, expected) in [
            (format!("\"{pem}\""), "in quotes"),
            (format!("'{pem}'"), "in quotes"),
            (format!("\u{feff}{pem}"), "byte order mark"),
            (format!("key: {pem}"), "behind something else"),
            (pem.replace('\n', "\\n"), "two characters \\n"),
            (pem.replace('\n', " "), "on one line"),
            (pem.replace('\n', ""), "on one line"),
        ] {
            match find(&key) {
                Some(Fatal(says)) => assert!(says.contains(expected), "{key:?}: {says}"),
                other => panic!("{key:?}: {other:?}"),
            }
        }
    }
}

//! Finds tokens in texts of clients, by the names of parameters and by how tokens look.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// What stands for a secret (B-711).
pub(crate) const REDACTED: &str = "REDACTED";

/// Parameters whose values are tokens.
const PARAMETERS: [&str; 7] = [
    "authorization",
    "access_token",
    "jwt",
    "id_token",
    "refresh_token",
    "mercureauthorization",
    "mercure_access_token",
];
/// Words before credentials, in fields of other names. A challenge has parameters in quotes behind them.
const SCHEMES: [&str; 3] = ["bearer", "basic", "negotiate"];
/// How often a text may have been percent-encoded.
const ENCODINGS: usize = 3;
/// The text without the values of parameters that are tokens, and without anything that looks like a token.
pub(super) fn without_secrets(text: &str) -> Cow<'_, str> {
    without(text, ENCODINGS)
}

/// The same; a value that holds such a text in encoded form, up to `depth` times, is left out as a whole.
fn without(text: &str, depth: usize) -> Cow<'_, str> {
    const BOUNDS: [char; 13] = [
        '?', '&', ';', '#', ',', ' ', '\t', '"', '\'', '<', '>', '\r', '\n',
    ];
    let mut clean = String::with_capacity(text.len());
    let mut is_changed = false;
    let mut is_of_query = false;
    let mut follows_scheme = false;
    for piece in text.split_inclusive(BOUNDS) {
        let bound = piece
            .chars()
            .next_back()
            .filter(|last| BOUNDS.contains(last));
        let bare = bound.map_or(piece, |bound| {
            piece
                .get(..piece.len() - bound.len_utf8())
                .unwrap_or_default()
        });
        let is_credential = follows_scheme && !bare.is_empty() && bound != Some('"');
        let shown = match is_credential {
            true => Cow::Owned(REDACTED.to_owned()),
            false => without_secret(bare, is_of_query, depth),
        };
        match shown {
            Cow::Borrowed(same) => clean.push_str(same),
            Cow::Owned(other) => {
                is_changed = true;
                clean.push_str(&other);
            }
        }
        clean.extend(bound);
        is_of_query = matches!(bound, Some('?' | '&' | ';'));
        let is_scheme = SCHEMES
            .iter()
            .any(|scheme| bare.eq_ignore_ascii_case(scheme));
        follows_scheme = bound == Some(' ') && (is_scheme || follows_scheme && bare.is_empty());
    }
    match is_changed {
        true => Cow::Owned(clean),
        false => Cow::Borrowed(text),
    }
}

/// One parameter, or another piece of a text. Changed pieces are owned.
fn without_secret(piece: &str, is_of_query: bool, depth: usize) -> Cow<'_, str> {
    let (name, value) = match piece.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (piece, None),
    };
    if value.is_some() || is_of_query {
        let known = PARAMETERS.iter().find(|known| is_called(name, known));
        if let Some(known) = known {
            return Cow::Owned(format!("{known}={REDACTED}"));
        }
    }
    if let Some(clean) = without_tokens(piece) {
        return Cow::Owned(clean);
    }
    // An address within the address, for example one to return to.
    if depth > 0 && piece.contains('%') {
        let decoded = percent_decode_str(value.unwrap_or(piece)).decode_utf8_lossy();
        if decoded != value.unwrap_or(piece)
            && let Cow::Owned(_) = without(&decoded, depth - 1)
        {
            return Cow::Owned(match value {
                Some(_) => format!("{name}={REDACTED}"),
                None => REDACTED.to_owned(),
            });
        }
    }
    Cow::Borrowed(piece)
}

/// Whether the value of a parameter of this name is a token.
pub(super) fn holds_token(name: &str) -> bool {
    PARAMETERS.iter().any(|known| is_called(name, known))
}

/// Whether a parameter has this name, in whatever case and however often it is percent-encoded.
fn is_called(name: &str, known: &str) -> bool {
    let mut name = Cow::Borrowed(name);
    for _ in 0..=ENCODINGS {
        let bare = name.trim_matches(|c: char| c.is_whitespace() || c == '+' || c == '\0');
        // The rest of a path may stand before it, and PHP reads `name[]` as `name`.
        let bare = bare.split('[').next().unwrap_or_default();
        if bare.eq_ignore_ascii_case(known) {
            return true;
        }
        if !name.contains('%') {
            return false;
        }
        name = Cow::Owned(percent_decode_str(&name).decode_utf8_lossy().into_owned());
    }
    false
}

/// The text with everything replaced that looks like a JWT: parts in base64url between dots, the first of which is a
/// JSON object. `None` if nothing does.
fn without_tokens(text: &str) -> Option<String> {
    // How `{"`, `{ ` and `{` with a line break after it begin in base64.
    const BEGINNINGS: [&str; 6] = ["eyJ", "eyI", "eyA", "ewo", "ew0", "ewk"];
    const SHORTEST: usize = 16;
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.=+~%".contains(byte);
    let mut clean = String::new();
    let mut rest = text;
    loop {
        let found = BEGINNINGS.iter().filter_map(|one| rest.find(one)).min();
        let Some(found) = found else {
            clean.push_str(rest);
            return (rest.len() < text.len())
                .then_some(clean)
                .filter(|clean| clean != text);
        };
        let (before, token) = rest.split_at(found);
        clean.push_str(before);
        let length = token.bytes().take_while(|byte| is_part(byte)).count();
        let (token, after) = token.split_at(length);
        let dots = token.matches('.').count() + token.to_ascii_lowercase().matches("%2e").count();
        match dots > 0 && length >= SHORTEST {
            true => clean.push_str(REDACTED),
            false => clean.push_str(token),
        }
        rest = after;
    }
}

//! Names that are unknown, not supported yet, or of older versions.

use crate::error::Error;
use crate::lexer::Word;
use crate::older;
use crate::shown::show;
use crate::suggestion::suggest;

/// What can be left out without a difference to clients of the hub.
const HARMLESS: &[&str] = &["frankenphp", "precompressed", "push", "vulcain"];

/// The error for a word that stands where only `supported` and `later` words may.
pub(crate) fn refuse(word: &Word, kind: &str, later: &[&str], supported: &[&str]) -> Error {
    // What follows a name within one word may be a key.
    let end = word
        .text
        .find(|c: char| c.is_whitespace() || matches!(c, '=' | ':' | '"' | '\''));
    let is_joined = end.is_some_and(|end| end > 0);
    let name = match end {
        Some(end) if end > 0 => format!("{}…", show(word.text.get(..end).unwrap_or_default())),
        _ => show(&word.text),
    };
    if later.contains(&word.text.as_str()) {
        let remedy = match HARMLESS.contains(&word.text.as_str()) {
            true => "remove it, which is harmless: clients of the hub notice no difference",
            false => "remove it; this version would not do what it says",
        };
        return word
            .error(format!("the {kind} {name} is not supported yet"))
            .remedy(remedy);
    }
    let error = word.error(format!("unknown {kind} {name}"));
    let error = if is_joined { error.hide_line() } else { error };
    if let Some(remedy) = older::successor(&word.text) {
        // The word stands where the other one belongs.
        let remedy = remedy.replace(" in MERCURE_EXTRA_DIRECTIVES", "");
        return error.remedy(format!("it is a name of older versions: {remedy}"));
    }
    match suggest(&word.text, supported.iter().chain(later).copied()) {
        Some(near) => error.remedy(format!("did you mean `{near}`?")),
        None if supported.is_empty() => error.remedy("remove it"),
        None => error.remedy(format!("known are: {}", supported.join(", "))),
    }
}

//! What went wrong at an authority, in words that a log may hold.

use std::fmt::Display;

use instant_acme::{Error as AcmeError, Problem};
use talaria_config::Error;

/// The most characters of a text that comes from an authority.
const MOST: usize = 300;

/// The error as one of ours.
pub(super) fn told(error: &AcmeError) -> Error {
    match error {
        AcmeError::Json(_) => Error::new("its answer is not what ACME prescribes"),
        AcmeError::Api(problem) => Error::new(problem_text(problem)),
        error => Error::new(bounded(error)),
    }
}

/// What a problem document says.
pub(super) fn problem_text(problem: &Problem) -> String {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    let kind = kind.rsplit(':').next().unwrap_or_default();
    let mut text = match &problem.detail {
        Some(detail) => format!("{detail} ({kind})"),
        None => kind.to_owned(),
    };
    for sub in problem.subproblems.iter().take(2) {
        if let Some(detail) = &sub.detail {
            text.push_str(": ");
            text.push_str(detail);
        }
    }
    bounded(&text)
}

/// Whether an authority refused for this reason (RFC 8555, section 6.7).
pub(super) fn is_because(error: &AcmeError, reason: &str) -> bool {
    let AcmeError::Api(problem) = error else {
        return false;
    };
    let kind = problem.r#type.as_deref().unwrap_or_default();
    kind.strip_prefix("urn:ietf:params:acme:error:") == Some(reason)
}

/// A text without control characters, cut after some hundred characters.
fn bounded(text: &dyn Display) -> String {
    let text = text.to_string();
    let mut bounded = String::new();
    for c in text.chars().take(MOST) {
        match c {
            '"' | '\'' => bounded.push(c),
            c => bounded.extend(c.escape_debug()),
        }
    }
    if text.chars().nth(MOST).is_some() {
        bounded.push('…');
    }
    bounded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an authority says fits into a line of the log.
    #[test]
    fn texts_of_an_authority_are_bounded() {
        let json = format!(
            r#"{{"type":"urn:ietf:params:acme:error:rateLimited","detail":"no\n{}"}}"#,
            "x".repeat(10_000)
        );
        let problem: Problem = serde_json::from_str(&json).unwrap();
        let text = problem_text(&problem);
        assert!(
            text.starts_with("no\\nxx") && text.chars().count() < 400,
            "{text}"
        );
        let error = AcmeError::Api(problem);
        assert!(is_because(&error, "rateLimited") && !is_because(&error, "limited"));
    }
}

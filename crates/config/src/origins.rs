//! The lists of `cors_origins` and `publish_origins` (B-226).

use std::fmt::Display;

use talaria_hub::origin::Origins;

use crate::error::Error;
use crate::lexer::Word;
use crate::settings::Notice;
use crate::shown::show;

/// The origins of `cors_origins`, each checked at its place.
pub(crate) fn readable(words: &[Word]) -> Result<Origins, Error> {
    checked(words, |values| Origins::parse(values))
}

/// The origins of `publish_origins`, which no foreign page may be one of (B-1027).
pub(crate) fn publishing(words: &[Word]) -> Result<Origins, Error> {
    checked(words, |values| Origins::for_publish(values))
}

fn checked<E: Display>(
    words: &[Word],
    parse: impl Fn(&[&str]) -> Result<Origins, E>,
) -> Result<Origins, Error> {
    // One by one, because only then the place of a wrong one is known.
    for word in words {
        let text = word.text.as_str();
        let problem = match text.contains('@') {
            // The error of the value would show a password.
            true => Some("an origin has no user information; remove what precedes @".to_owned()),
            false => match parse(&[text]) {
                Err(error) => Some(error.to_string()),
                Ok(_) => empty_label(text),
            },
        };
        let Some(problem) = problem else { continue };
        let error = word.error(problem);
        return Err(
            match probable(text).filter(|right| parse(&[right]).is_ok()) {
                Some(right) => error.remedy(format!("write {right}")),
                None => error,
            },
        );
    }
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    parse(&texts).map_err(|error| Error::new(error.to_string()))
}

/// What is wrong with an origin whose host has an empty label before a dot, as no host of a browser has.
fn empty_label(text: &str) -> Option<String> {
    let host = text.split_once("://").map_or("", |(_, host)| host);
    let is_wrong = host.starts_with('.') || host.contains("..");
    is_wrong.then(|| format!("origin {} has nothing before a dot", show(text)))
}

/// The origin that was probably meant: without what follows the host, and with a scheme.
fn probable(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
    let rest = rest.rsplit('@').next()?;
    let host = rest.split(['/', '?', '#']).next()?;
    let host = match host.strip_prefix('.') {
        Some(domain) => format!("*.{domain}"),
        None => host.to_owned(),
    };
    // A word such as `false` is not meant as a host.
    let is_host = host.contains(['.', ':']) || host == "localhost";
    (is_host && empty_label(&format!("://{host}")).is_none()).then(|| format!("{scheme}://{host}"))
}

/// Says which entries of `cors_origins` let pages in without their cookies, because any foreign page
/// could be one of them.
pub(crate) fn without_credentials(origins: &Origins) -> Option<Notice> {
    let mut reasons: Vec<_> = origins
        .unconfined()
        .map(|wildcard| format!("{wildcard} reaches beyond one domain of yours"))
        .collect();
    if origins.allows("null") && !origins.is_any() {
        reasons.push("null is the origin of every sandboxed frame".to_owned());
    }
    let entries = match reasons.len() {
        0 => return None,
        1 => "this entry allows",
        _ => "these entries allow",
    };
    let reasons = reasons.join(", and ");
    Some(Notice::warning(format!(
        "cors_origins: {reasons}, so the hub answers pages that only {entries} without `Access-Control-Allow-Credentials`, and such a page cannot use a cookie; write for example https://*.example.com, or have them send the token in the Authorization header"
    )))
}

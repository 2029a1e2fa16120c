//! The lists of `cors_origins` and `publish_origins`.

use talaria_hub::origin::Origins;

use super::error::{ConfigError, show};
use super::settings::{Notice, OriginSetting};

/// Says which entries of `cors_origins` let pages in without their cookies, because any foreign page
/// could be one of them.
pub fn without_credentials(origins: &Origins) -> Option<Notice> {
    let mut reasons: Vec<_> = origins
        .unconfined()
        .map(|wildcard| format!("{wildcard} reaches beyond one domain of yours"))
        .collect();
    if origins.allows("null") && !origins.is_any() {
        reasons.push("null is the origin of every sandboxed frame".to_owned());
    }
    let entries = match reasons.len() {
        0 => return None,
        1 => "this entry lets",
        _ => "these entries let",
    };
    let reasons = reasons.join(", and ");
    Some(Notice::warning(format!(
        "cors_origins: {reasons}, so pages that only {entries} in may read without a cookie alone; write for example https://*.example.com, or have them send the token in the Authorization header"
    )))
}

/// Checks a list of origins (B-226, B-1027).
pub fn check_origins(
    list: &[OriginSetting],
    parse: impl Fn(&[&str]) -> Result<Origins, String>,
) -> Result<Origins, ConfigError> {
    // One by one, because only then the place of a wrong one is known.
    for origin in list {
        let outcome = match origin.text.contains('@') {
            // The error of the value would show a password.
            true => Err("an origin has no user information; remove what precedes @".to_owned()),
            false => parse(&[&origin.text]).and_then(|_| labels(&origin.text)),
        };
        outcome.map_err(|problem| {
            let error = ConfigError::at(&origin.place, problem);
            match right_origin(&origin.text).filter(|right| parse(&[right]).is_ok()) {
                Some(right) => error.remedy(format!("write {right}")),
                None => error,
            }
        })?;
    }
    let texts: Vec<&str> = list.iter().map(|origin| origin.text.as_str()).collect();
    parse(&texts).map_err(ConfigError::general)
}

/// Refuses an empty label before a dot, which no host of a browser's origin has.
fn labels(text: &str) -> Result<(), String> {
    let host = text.split_once("://").map_or("", |(_, host)| host);
    if host.starts_with('.') || host.contains("..") {
        return Err(format!("origin {} has nothing before a dot", show(text)));
    }
    Ok(())
}

/// The origin that was probably meant: without what follows the host, and with a scheme.
fn right_origin(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
    let rest = rest.rsplit('@').next()?;
    let host = rest.split(['/', '?', '#']).next()?;
    let host = match host.strip_prefix('.') {
        Some(domain) => format!("*.{domain}"),
        None => host.to_owned(),
    };
    // A word such as `false` is not a host that anybody means.
    let is_host = host.contains(['.', ':']) || host == "localhost";
    (is_host && labels(&format!("://{host}")).is_ok()).then(|| format!("{scheme}://{host}"))
}

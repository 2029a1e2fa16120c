//! Other targets of a request: `rewrite`, `uri` and `handle_path`.

use std::borrow::Cow;

use http::Uri;
use http::uri::PathAndQuery;
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use talaria_config::settings::Rewrite;

use super::matching::plain_path;
use super::values::{PATH, View};

/// The target after a change; `None` if it is not a target.
pub(super) fn rewritten(view: &View<'_>, rewrite: &Rewrite) -> Option<Uri> {
    let path = view.parts.uri.path();
    match rewrite {
        Rewrite::To(to) => with(&view.parts.uri, &view.fill_target(to)),
        Rewrite::WithoutPrefix(prefix) => with_path(&view.parts.uri, &without_prefix(path, prefix)),
        Rewrite::WithoutSuffix(suffix) => with_path(
            &view.parts.uri,
            path.strip_suffix(suffix.as_str()).unwrap_or(path),
        ),
    }
}

/// The URI with another path, and another query if the target has one.
pub(super) fn with(uri: &Uri, target: &str) -> Option<Uri> {
    match target.split_once('?') {
        Some((path, query)) => joined(uri, path, Some(query)),
        None => with_path(uri, target),
    }
}

/// A target in whose path several slashes are one.
pub(super) fn one_slash_each(target: &str) -> String {
    let (path, query) = match target.find('?') {
        Some(at) => target.split_at(at),
        None => (target, ""),
    };
    let mut plain = String::with_capacity(target.len());
    for c in path.chars() {
        if c != '/' || !plain.ends_with('/') {
            plain.push(c);
        }
    }
    plain + query
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    joined(uri, path, uri.query())
}

fn joined(uri: &Uri, path: &str, query: Option<&str>) -> Option<Uri> {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let target = match query.filter(|query| !query.is_empty()) {
        Some(query) => format!("{slash}{path}?{query}"),
        None => format!("{slash}{path}"),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    Uri::from_parts(parts).ok()
}

/// A path without a prefix, which conditions understood as they compare paths: whatever its case is, and
/// however it is encoded.
fn without_prefix<'p>(path: &'p str, prefix: &str) -> Cow<'p, str> {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    // Segments that lead upwards may have led to the prefix.
    if !decoded.contains("/.")
        && let Some(rest) = behind(path, prefix)
    {
        return Cow::Borrowed(rest);
    }
    let plain = plain_path(path);
    let begins = plain.get(..prefix.len());
    match begins.is_some_and(|begin| begin.eq_ignore_ascii_case(prefix)) {
        true => {
            let rest = plain.get(prefix.len()..).unwrap_or_default();
            Cow::Owned(utf8_percent_encode(rest, PATH).to_string())
        }
        false => Cow::Borrowed(path),
    }
}

/// What is behind a prefix in a path as it is written.
fn behind<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    let mut rest = path;
    let mut after_slash = false;
    for wanted in prefix.bytes() {
        // Several slashes are one.
        while after_slash && wanted != b'/' && rest.starts_with('/') {
            rest = rest.get(1..)?;
        }
        let byte = percent_decode_str(rest).next()?;
        if !byte.eq_ignore_ascii_case(&wanted) {
            return None;
        }
        let length = if rest.starts_with('%') && byte != b'%' || rest.starts_with("%25") {
            3
        } else {
            1
        };
        rest = rest.get(length..)?;
        after_slash = wanted == b'/';
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_are_joined_in_the_path_only() {
        assert_eq!(one_slash_each("//a///b//?c=d//e"), "/a/b/?c=d//e");
        assert_eq!(one_slash_each(""), "");
    }

    /// However a prefix is spelt, it is taken off, and only the prefix is.
    #[test]
    fn a_prefix_has_many_spellings() {
        for (path, prefix, rest) in [
            ("/hub/a", "/hub", "/a"),
            ("/HUB/a", "/hub", "/a"),
            ("/h%75b/a%20b", "/hub", "/a%20b"),
            ("//hub/a", "/hub", "/a"),
            ("/x/../hub/a%20b", "/hub", "/a%20b"),
            ("/hub/x/../../hub/a", "/hub", "/a"),
            ("/hub/../secret", "/hub", "/hub/../secret"),
            ("/hubs", "/hub", "s"),
            ("/other", "/hub", "/other"),
            ("/a//b/c", "/a/b", "/c"),
            ("/50%25/a", "/50%", "/a"),
            ("/h%C3%A9/a", "/hé", "/a"),
            ("/", "", "/"),
        ] {
            assert_eq!(without_prefix(path, prefix), rest, "{path} {prefix}");
        }
    }
}

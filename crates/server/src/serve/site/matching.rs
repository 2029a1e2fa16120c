//! For which requests a directive is (B-282).

use percent_encoding::percent_decode_str;
use talaria_config::settings::{Condition, Placeholder, RegexPattern, Template, ValuePattern};
use talaria_hub::host_of;

use super::values::{Captured, View};

/// Whether a condition holds for a request. Adds what regular expressions captured to `found`.
pub(super) fn fits(condition: &Condition, view: &View<'_>, found: &mut Vec<Captured>) -> bool {
    let parts = view.parts;
    match condition {
        Condition::Any => true,
        Condition::Path(patterns) => {
            let path = plain_path(parts.uri.path());
            patterns.iter().any(|pattern| pattern.fits(&path))
        }
        Condition::Host(names) => {
            let host = host_of(parts).ok().flatten();
            let host = host.map(|host| host.host());
            host.is_some_and(|host| names.iter().any(|name| is_host(name, &host)))
        }
        Condition::Method(methods) => methods.iter().any(|method| method == parts.method.as_str()),
        Condition::Field { name, values } => {
            let mut fields = parts.headers.get_all(name).iter();
            match values {
                None => fields.next().is_none(),
                Some(values) => fields.any(|field| {
                    let field = String::from_utf8_lossy(field.as_bytes());
                    values.iter().any(|value| value.fits(&field))
                }),
            }
        }
        Condition::Query(pairs) => has_parameters(pairs, parts.uri.query().unwrap_or_default()),
        Condition::Protocol { tls } => view.tls() == *tls,
        Condition::PathRegex(pattern) => captures(pattern, &plain_path(parts.uri.path()), found),
        Condition::FieldRegex { name, pattern } => {
            let mut fields = parts.headers.get_all(name).iter();
            fields.any(|field| {
                let field = String::from_utf8_lossy(field.as_bytes());
                captures(pattern, &field, found)
            })
        }
        Condition::Address { of_client, ranges } => {
            let address = view.connection.and_then(|connection| {
                let client = connection.client.filter(|_| *of_client);
                client.or_else(|| connection.peer.map(|peer| peer.ip()))
            });
            address.is_some_and(|address| ranges.contain(address))
        }
        Condition::Compared { left, how, right } => {
            how.holds(&plain(view, left), &plain(view, right))
        }
        Condition::TextRegex(text, pattern) => captures(pattern, &plain(view, text), found),
        Condition::All(conditions) => conditions.iter().all(|one| fits(one, view, found)),
        Condition::AtLeastOne(conditions) => conditions.iter().any(|one| fits(one, view, found)),
        Condition::Not(condition) => !fits(condition, view, found),
    }
}

/// A text with its placeholders replaced; the path has its one form, so that no other spelling passes a comparison by.
fn plain(view: &View<'_>, template: &Template) -> String {
    template.fill(|placeholder| match placeholder {
        Placeholder::Path => plain_path(view.parts.uri.path()),
        _ => view.value(placeholder),
    })
}

/// Whether each parameter that is named has one of its values.
fn has_parameters(pairs: &[(String, ValuePattern)], query: &str) -> bool {
    let found: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
    let holds = |name: &String| {
        found.iter().any(|(one, value)| {
            let mut wanted = pairs.iter().filter(|(wanted, _)| wanted == name);
            one == name && wanted.any(|(_, pattern)| pattern.fits(value))
        })
    };
    pairs.iter().all(|(name, _)| holds(name))
}

/// Whether a text fits a regular expression, whose captures are added to `found`.
fn captures(pattern: &RegexPattern, text: &str, found: &mut Vec<Captured>) -> bool {
    let Some(captures) = pattern.captures(text) else {
        return false;
    };
    let texts = captures.iter();
    let texts = texts.map(|group| group.map_or("", |group| group.as_str()).to_owned());
    let names = pattern.groups().map(|name| name.map(str::to_owned));
    found.push(Captured {
        name: pattern.name.clone(),
        groups: names.zip(texts).collect(),
    });
    true
}

/// A path as conditions see it: decoded, without empty and dot segments, so that no other spelling of a path passes
/// one by.
pub(super) fn plain_path(path: &str) -> String {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let mut segments: Vec<&str> = Vec::new();
    for segment in decoded.split('/') {
        match segment {
            "" | "." => {}
            ".." => _ = segments.pop(),
            segment => segments.push(segment),
        }
    }
    let is_folder = decoded.ends_with('/') || decoded.ends_with("/.") || decoded.ends_with("/..");
    let end = if is_folder && !segments.is_empty() {
        "/"
    } else {
        ""
    };
    format!("/{}{end}", segments.join("/"))
}

/// Whether a host fits a name, whose first label may be `*`.
fn is_host(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(domain) => host
            .split_once('.')
            .is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain)),
        None => name == "*" || name.eq_ignore_ascii_case(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However a path is spelt, the same conditions hold.
    #[test]
    fn a_path_has_one_form() {
        for (path, plain) in [
            ("/", "/"),
            ("", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("//a///b", "/a/b"),
            ("/%61dmin", "/admin"),
            ("/a/./b/../c", "/a/c"),
            ("/a/..", "/"),
            ("/..%2f..%2fa", "/a"),
            ("/a%2fb", "/a/b"),
        ] {
            assert_eq!(plain_path(path), plain, "{path}");
        }
    }
}

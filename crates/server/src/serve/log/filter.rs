//! What is done to the fields of a line (`format filter`, `format append`).

use std::borrow::Cow;
use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use talaria_config::settings::{AddressMask, FieldFilter, LogStep, ParameterChange};

use super::record::{Field, Value};
use super::tokens::REDACTED;

/// The fields of a record as a log shows them.
pub(super) fn shown<'f>(fields: &'f [Field], steps: &[LogStep]) -> Cow<'f, [Field]> {
    if steps.is_empty() {
        return Cow::Borrowed(fields);
    }
    let mut fields = fields.to_vec();
    for step in steps {
        match step {
            LogStep::Append { name, value } => {
                fields.push((name.clone().into(), Value::Text(value.clone())));
            }
            LogStep::Filter { path, filter } => apply(&mut fields, path, filter),
        }
    }
    Cow::Owned(fields)
}

fn apply(fields: &mut Vec<Field>, path: &[String], filter: &FieldFilter) {
    let Some((name, rest)) = path.split_first() else {
        return;
    };
    // Header fields have names in any case.
    let Some(index) = fields
        .iter()
        .position(|(known, _)| known.eq_ignore_ascii_case(name))
    else {
        return;
    };
    if let (Some((_, Value::Group(inner))), false) = (fields.get_mut(index), rest.is_empty()) {
        return apply(inner, rest, filter);
    }
    if !rest.is_empty() {
        return;
    }
    if *filter == FieldFilter::Delete {
        fields.remove(index);
    } else if let Some((name, value)) = fields.get_mut(index) {
        match filter {
            FieldFilter::Rename(new) => *name = new.clone().into(),
            FieldFilter::Replace(new) => *value = Value::Text(new.clone()),
            filter => value.change(&|text| changed(text, filter)),
        }
    }
}

fn changed(text: &str, filter: &FieldFilter) -> String {
    match filter {
        FieldFilter::Hash => hash(text),
        FieldFilter::IpMask(mask) => addresses(text, *mask),
        FieldFilter::Query(changes) => query(text, changes),
        FieldFilter::Cookie(changes) => cookies(text, changes),
        FieldFilter::Regexp(all) => all
            .iter()
            .fold(text.to_owned(), |text, one| one.apply(&text)),
        FieldFilter::Delete | FieldFilter::Rename(_) | FieldFilter::Replace(_) => text.to_owned(),
    }
}

/// The beginning of the SHA-256 of a text, as the existing server has it.
fn hash(text: &str) -> String {
    if text == REDACTED {
        return text.to_owned();
    }
    let hash = digest(&SHA256, text.as_bytes());
    let beginning = hash.as_ref().iter().take(4);
    beginning.map(|byte| format!("{byte:02x}")).collect()
}

/// What stays of addresses, of which there may be several with commas between them, each with a port or without.
fn addresses(text: &str, mask: AddressMask) -> String {
    let each = text.split(',').map(|one| {
        let bare = one.trim();
        let (host, port) = match bare.rsplit_once(':') {
            Some((host, port)) if host.parse::<IpAddr>().is_ok() && !host.contains(':') => {
                (host, Some(port))
            }
            Some((host, port)) if host.starts_with('[') && host.ends_with(']') => {
                (host.trim_matches(['[', ']']), Some(port))
            }
            _ => (bare, None),
        };
        let Ok(address) = host.parse::<IpAddr>() else {
            return bare.to_owned();
        };
        match (mask.masked(address), port) {
            (masked, None) => masked.to_string(),
            (IpAddr::V4(masked), Some(port)) => format!("{masked}:{port}"),
            (IpAddr::V6(masked), Some(port)) => format!("[{masked}]:{port}"),
        }
    });
    each.collect::<Vec<_>>().join(", ")
}

/// The target with other parameters.
fn query(target: &str, changes: &[(String, ParameterChange)]) -> String {
    let Some((path, query)) = target.split_once('?') else {
        return target.to_owned();
    };
    let pairs = query.split('&').filter_map(|pair| {
        let parsed = url::form_urlencoded::parse(pair.as_bytes()).next();
        let (name, value) = parsed.unwrap_or_default();
        let change = changes.iter().rev().find(|(known, _)| *known == name);
        let written = pair.split('=').next().unwrap_or_default();
        match change.map(|(_, change)| change) {
            None => Some(Cow::Borrowed(pair)),
            Some(ParameterChange::Delete) => None,
            Some(ParameterChange::Replace(new)) => {
                let new: String = url::form_urlencoded::byte_serialize(new.as_bytes()).collect();
                Some(format!("{written}={new}").into())
            }
            Some(ParameterChange::Hash) => Some(format!("{written}={}", hash(&value)).into()),
        }
    });
    match pairs.collect::<Vec<_>>().as_slice() {
        [] => path.to_owned(),
        pairs => format!("{path}?{}", pairs.join("&")),
    }
}

/// The field `Cookie` with other cookies.
fn cookies(text: &str, changes: &[(String, ParameterChange)]) -> String {
    let each = text.split(';').map(str::trim).filter_map(|cookie| {
        let (name, value) = cookie.split_once('=').unwrap_or((cookie, ""));
        let change = changes.iter().rev().find(|(known, _)| known == name);
        match change.map(|(_, change)| change) {
            None => Some(cookie.to_owned()),
            Some(ParameterChange::Delete) => None,
            Some(ParameterChange::Replace(new)) => Some(format!("{name}={new}")),
            Some(ParameterChange::Hash) => Some(format!("{name}={}", hash(value))),
        }
    });
    each.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str) -> Value {
        Value::Word(text.to_owned())
    }

    fn filtered(path: &str, filter: FieldFilter) -> Vec<Field> {
        let list = |texts: &[&str]| Value::List(texts.iter().map(|text| word(text)).collect());
        let headers = vec![
            ("Cookie".into(), list(&["a=1; b=2; c=3"])),
            ("Via".into(), list(&["x", "y"])),
        ];
        let request = vec![
            ("remote_ip".into(), word("203.0.113.9")),
            ("uri".into(), word("/x?a=1&b=2&%61=3&c=hello")),
            ("headers".into(), Value::Group(headers)),
        ];
        let fields: Vec<Field> = vec![
            ("request".into(), Value::Group(request)),
            ("status".into(), Value::Unsigned(200)),
        ];
        let path = path.split('>').map(str::to_owned).collect();
        shown(&fields, &[LogStep::Filter { path, filter }]).into_owned()
    }

    fn changes(of: &[(&str, ParameterChange)]) -> Vec<(String, ParameterChange)> {
        let each = of.iter();
        each.map(|(name, change)| ((*name).to_owned(), change.clone()))
            .collect()
    }

    /// Each filter does what it says, at any depth, and to nothing else.
    #[test]
    fn fields_are_filtered() {
        let replace = |text: &str| ParameterChange::Replace(text.to_owned());
        let untouched = format!("{:?}", filtered("none", FieldFilter::Delete));
        for (path, filter, gone, there) in [
            ("status", FieldFilter::Delete, "status", "uri"),
            (
                "request>headers>cookie",
                FieldFilter::Delete,
                "Cookie",
                "Via",
            ),
            (
                "status",
                FieldFilter::Rename("code".to_owned()),
                "status",
                "\"code\", Unsigned(200)",
            ),
            (
                "request>headers",
                FieldFilter::Replace("gone".to_owned()),
                "Cookie",
                "Text(\"gone\")",
            ),
            (
                "request>headers>Via",
                FieldFilter::Hash,
                "Word(\"x\")",
                "2d711642",
            ),
            (
                "request>remote_ip",
                FieldFilter::IpMask(AddressMask { ipv4: 16, ipv6: 32 }),
                "113",
                "203.0.0.0",
            ),
            (
                "request>uri",
                FieldFilter::Query(changes(&[
                    ("a", replace("no t")),
                    ("b", ParameterChange::Delete),
                    ("c", ParameterChange::Hash),
                ])),
                "hello",
                "/x?a=no+t&%61=no+t&c=2cf24dba",
            ),
            (
                "request>headers>Cookie",
                FieldFilter::Cookie(changes(&[
                    ("a", replace("X")),
                    ("b", ParameterChange::Delete),
                    ("c", ParameterChange::Hash),
                ])),
                "; b=2",
                "a=X; c=4e074085",
            ),
        ] {
            let fields = format!("{:?}", filtered(path, filter));
            assert!(!fields.contains(gone), "{path}: {fields}");
            assert!(fields.contains(there), "{path}: {fields}");
        }
        for path in ["request>uri>x", "status>x", "", ">", "request>nothing"] {
            assert_eq!(
                format!("{:?}", filtered(path, FieldFilter::Delete)),
                untouched
            );
        }
    }

    /// Addresses are masked with their ports and in lists, and what is not an address stays.
    #[test]
    fn addresses_are_masked() {
        let mask = AddressMask { ipv4: 24, ipv6: 32 };
        for (text, masked) in [
            ("203.0.113.9", "203.0.113.0"),
            ("203.0.113.9:80", "203.0.113.0:80"),
            ("2001:db8:1::3", "2001:db8::"),
            ("[2001:db8:1::3]:80", "[2001:db8::]:80"),
            ("203.0.113.9, 192.0.2.7", "203.0.113.0, 192.0.2.0"),
            ("unknown", "unknown"),
            ("", ""),
        ] {
            assert_eq!(addresses(text, mask), masked);
        }
        assert_eq!(hash(REDACTED), REDACTED);
    }
}

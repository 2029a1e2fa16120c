//! A configuration as JSON: the tree of its directives. It is not the JSON of the existing server.

use serde_json::{Map, Value, json};
use talaria_config::Error;
use talaria_config::adapt::{Adapted, Directive};

/// The member that holds the tree, and by which it is known.
const ROOT: &str = "caddyfile";

/// The tree as JSON.
pub(crate) fn to_json(adapted: &Adapted) -> Value {
    json!({ ROOT: { "global": lines(&adapted.global), "lines": lines(&adapted.lines) } })
}

fn lines(lines: &[Directive]) -> Value {
    lines.iter().map(line).collect()
}

fn line(directive: &Directive) -> Value {
    let mut members = Map::new();
    members.insert("name".to_owned(), directive.name.as_str().into());
    if !directive.args.is_empty() {
        members.insert("args".to_owned(), directive.args.clone().into());
    }
    if let Some(block) = &directive.block {
        members.insert("block".to_owned(), lines(block));
    }
    Value::Object(members)
}

/// The tree that JSON of [`to_json`] holds.
///
/// # Errors
/// It is something else, or secrets in it are hidden.
pub(super) fn from_json(value: &Value) -> Result<Adapted, Error> {
    let root = value.get(ROOT).ok_or_else(|| {
        Error::new("this JSON is not what `talaria adapt` prints").remedy(
            "send a Caddyfile as text/caddyfile; the JSON of the existing server is not read",
        )
    })?;
    let part = |name: &str| match root.get(name) {
        Some(value) => parsed(value),
        None => Ok(Vec::new()),
    };
    let adapted = Adapted {
        global: part("global")?,
        lines: part("lines")?,
    };
    if adapted.is_redacted() {
        return Err(
            Error::new("the secrets of this configuration are hidden (REDACTED)")
                .remedy("send what `talaria adapt` prints, or the file"),
        );
    }
    Ok(adapted)
}

fn parsed(value: &Value) -> Result<Vec<Directive>, Error> {
    let wrong = || {
        Error::new("a directive of this JSON is malformed")
            .remedy("each is an object with `name`, perhaps `args` of texts, and perhaps `block`")
    };
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(wrong);
    let directives = value.as_array().ok_or_else(wrong)?.iter().map(|value| {
        let args = match value.get("args") {
            Some(args) => args
                .as_array()
                .ok_or_else(wrong)?
                .iter()
                .map(text)
                .collect(),
            None => Ok(Vec::new()),
        };
        Ok(Directive {
            name: text(value.get("name").unwrap_or_default())?,
            args: args?,
            block: value.get("block").map(parsed).transpose()?,
        })
    });
    directives.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written is read again; JSON of another kind, and hidden secrets, are refused.
    #[test]
    fn a_tree_survives_json() {
        let directive = |name: &str, args: &[&str], block| Directive {
            name: name.to_owned(),
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            block,
        };
        let hub = directive(
            "mercure",
            &[],
            Some(vec![directive("jwt", &["a b", "HS256"], None)]),
        );
        let adapted = Adapted {
            global: vec![directive("debug", &[], None)],
            lines: vec![directive(":80", &[], Some(vec![hub]))],
        };
        assert_eq!(from_json(&to_json(&adapted)).unwrap(), adapted);
        let error = from_json(&to_json(&adapted.redacted())).unwrap_err();
        assert!(error.to_string().contains("REDACTED"));
        for other in [
            json!({ "apps": {} }),
            json!([]),
            json!({ "caddyfile": { "lines": [1] } }),
        ] {
            assert!(from_json(&other).is_err(), "{other}");
        }
    }
}

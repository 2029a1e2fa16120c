//! The directive `tracing`.

use super::actions;
use super::texts::Texts;
use crate::error::Error;
use crate::lexer::Word;
use crate::settings::{Placeholder, Template, TracingSettings};
use crate::shown::show;
use crate::tree::Line;
use crate::unknown::refuse;

/// The name of a span that is not given another one.
const NAME: &str = "handler";
/// The most attributes that may be written.
const MOST: usize = 32;
/// Fields and parameters that are credentials.
const SECRET: &[&str] = &[
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
];

/// `tracing [{ span <name>; span_attributes { <key> <value>… } }]`.
///
/// # Errors
/// An argument, another option, or a value that is a credential.
pub(super) fn tracing(
    line: &Line,
    args: &[Word],
    texts: Texts<'_>,
) -> Result<TracingSettings, Error> {
    actions::none(args)?;
    let mut settings = TracingSettings {
        name: Template::literal(NAME),
        attributes: Vec::new(),
    };
    for option in line.block.iter().flatten() {
        match option.name.text.as_str() {
            "span" => {
                let name = option.without_block()?.one("a name")?;
                settings.name = public(name, texts)?;
            }
            "span_attributes" => {
                option.at_most(0, "")?;
                for pair in option.block.iter().flatten() {
                    let value = pair.without_block()?.one("a value")?;
                    let value = public(value, texts)?;
                    settings.attributes.push((pair.name.text.clone(), value));
                }
            }
            _ => {
                let known = ["span", "span_attributes"];
                return Err(refuse(&option.name, "option of `tracing`", &[], &known));
            }
        }
    }
    if settings.attributes.len() > MOST {
        let count = settings.attributes.len();
        return Err(line
            .name
            .error(format!("`tracing` has {count} attributes"))
            .remedy(format!("write at most {MOST}")));
    }
    Ok(settings)
}

/// A text that holds no credential of the request.
fn public(word: &Word, texts: Texts<'_>) -> Result<Template, Error> {
    let template = texts.template(word)?;
    let secret = template.placeholders().find_map(|one| match one {
        Placeholder::Field(name) | Placeholder::Parameter(name) => {
            SECRET.contains(&name.as_str()).then(|| name.clone())
        }
        _ => None,
    });
    match secret {
        None => Ok(template),
        Some(name) => Err(word
            .error(format!(
                "a span would hold the credential {} of the request",
                show(&name)
            ))
            .remedy("remove it; `{client_ip}` and the claims in the log tell clients apart")),
    }
}

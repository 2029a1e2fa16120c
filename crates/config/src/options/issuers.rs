//! The options of an `issuer` block and of its roles, and the directive that opens it.

use super::form::Form;
use super::row::{Effect, Preset, Row, Section, Setter};
use crate::draft::{Draft, UNNAMED_ISSUER};
use crate::error::Error;
use crate::issuer::{self, IssuerDraft, RoleDraft};
use crate::settings::KeySource;
use crate::source::Environment;
use crate::tree::Line;
use crate::unknown::refuse;

/// The variable that names the one issuer of the key variables.
pub(crate) const TRUSTED_ISSUERS: &str = "MERCURE_TRUSTED_ISSUERS";
/// The variables of a publisher's key and of its algorithm.
pub(crate) const PUBLISHER: (&str, &str) =
    ("MERCURE_PUBLISHER_JWT_KEY", "MERCURE_PUBLISHER_JWT_ALG");
/// The variables of a subscriber's key and of its algorithm.
pub(crate) const SUBSCRIBER: (&str, &str) =
    ("MERCURE_SUBSCRIBER_JWT_KEY", "MERCURE_SUBSCRIBER_JWT_ALG");

const SIZE: Form = Form::size(1, u64::MAX).or_off();
const COUNT: Form = Form::COUNT.or_off();
const ROLE_BLOCK: &str = "{ jwt … | jwks_uri … | jwks_discovery … }";

/// The options of an `issuer` block, in the order of the reference page.
pub(crate) const ISSUER: &[Row] = &[
    Row::new(
        Section::Issuer,
        "",
        "",
        Effect::Process,
        "The one issuer that the key variables belong to; read without a file, and with a file \
         whose `mercure` block names no issuer.",
    )
    .variables(&[TRUSTED_ISSUERS])
    .said(UNNAMED_ISSUER),
    Row::new(
        Section::Issuer,
        "authorization_server",
        Form::Switch.arguments(),
        Effect::Issuer(Setter::Value(Form::Switch, |issuer| {
            (&mut issuer.settings.authorization_server).into()
        })),
        "Lists the issuer under `authorization_servers` of the metadata document.",
    )
    .preset(Preset::Value { none: "none" }),
    Row::new(
        Section::Issuer,
        "max_publish_size",
        SIZE.arguments(),
        Effect::Issuer(Setter::Value(SIZE, |issuer| {
            (&mut issuer.settings.max_publish_size).into()
        })),
        "Largest update of the issuer's publishers, as it is sent; a larger one is answered 413. It counts if it is \
         less than `max_request_body_size`.",
    )
    .preset(Preset::Value { none: "none" }),
    Row::new(
        Section::Issuer,
        "max_publish_topics",
        COUNT.arguments(),
        Effect::Issuer(Setter::Value(COUNT, |issuer| {
            (&mut issuer.settings.max_publish_topics).into()
        })),
        "The maximum number of topics of an update of the issuer's publishers; an update with more is answered 413.",
    )
    .preset(Preset::Value { none: "none" }),
    Row::new(
        Section::Issuer,
        "publisher",
        ROLE_BLOCK,
        Effect::Issuer(Setter::Read(publisher)),
        "How the issuer's tokens are verified when they publish.",
    )
    .said("none: the issuer's tokens may not publish"),
    Row::new(
        Section::Issuer,
        "subscriber",
        ROLE_BLOCK,
        Effect::Issuer(Setter::Read(subscriber)),
        "How the issuer's tokens are verified when they subscribe.",
    )
    .said("none: the issuer's tokens may not subscribe"),
];

/// The options of a role's block, in the order of the reference page.
pub(crate) const ROLE: &[Row] = &[
    role_row(
        "jwt",
        "<key> [<algorithm>]",
        Setter::Read(issuer::jwt),
        "A secret, or a public key or certificate in PEM, and the one algorithm that tokens may \
         use. `{env.NAME}` and `{file.PATH}` in either are read when the hub starts.",
    )
    .variables(&[PUBLISHER.0, PUBLISHER.1, SUBSCRIBER.0, SUBSCRIBER.1])
    .said("algorithm HS256 for a secret; a PEM key must name its own"),
    role_row(
        "jwks_uri",
        "<url> [<algorithm>…]",
        Setter::Read(issuer::jwks_uri),
        "The key set that the issuer publishes, at an `https://` address or in a `file://` of this \
         machine, and the algorithms that tokens may use.",
    )
    .said("the algorithms of public keys"),
    role_row(
        "jwks_discovery",
        "[<algorithm>…]",
        Setter::Read(issuer::jwks_discovery),
        "As `jwks_uri`, its address taken from the issuer's metadata document (RFC 8414, OpenID \
         Connect Discovery).",
    )
    .said("the algorithms of public keys"),
];

const fn role_row(
    name: &'static str,
    arguments: &'static str,
    set: Setter<RoleDraft>,
    doc: &'static str,
) -> Row {
    Row::new(Section::Role, name, arguments, Effect::Role(set), doc)
}

/// The directive `issuer <identifier> { … }`.
pub(crate) fn issuer(
    draft: &mut Draft,
    line: &Line,
    environment: Environment<'_>,
) -> Result<(), Error> {
    let mut errors = Vec::new();
    let mut issuer = issuer::named(line).unwrap_or_else(|error| {
        errors.push(error);
        IssuerDraft::default()
    });
    for line in line.block.iter().flatten() {
        let row = ISSUER.iter().find(|row| row.name == line.name.text);
        let Some((row, Effect::Issuer(setter))) = row.map(|row| (row, &row.effect)) else {
            let error = refuse(&line.name, "line of an issuer", &[], &named_rows(ISSUER));
            errors.push(error.hide_line());
            continue;
        };
        errors.extend(
            setter
                .apply(&mut issuer, line, environment, &row.default())
                .err(),
        );
    }
    Error::all(errors)?;
    draft.missing.append(&mut issuer.missing);
    draft.issuers.push(issuer.settings);
    draft.issuer_named = true;
    Ok(())
}

fn named_rows(rows: &'static [Row]) -> Vec<&'static str> {
    let names = rows.iter().map(|row| row.name);
    names.filter(|name| !name.is_empty()).collect()
}

fn publisher(
    issuer: &mut IssuerDraft,
    line: &Line,
    environment: Environment<'_>,
) -> Result<(), Error> {
    issuer.settings.publisher = role(line, environment, &mut issuer.missing)?;
    Ok(())
}

fn subscriber(
    issuer: &mut IssuerDraft,
    line: &Line,
    environment: Environment<'_>,
) -> Result<(), Error> {
    issuer.settings.subscriber = role(line, environment, &mut issuer.missing)?;
    Ok(())
}

/// What verifies a role's tokens. No word of the block is shown: it may belong to a key that was not
/// quoted.
fn role(
    line: &Line,
    environment: Environment<'_>,
    missing: &mut Vec<String>,
) -> Result<Option<KeySource>, Error> {
    let mut errors = Vec::new();
    if let Some(surplus) = line.args.first() {
        errors.push(
            surplus
                .error("a role takes a block and no argument")
                .remedy("write `jwt <key> [<algorithm>]` on a line of its own within the block")
                .hide_line(),
        );
    }
    let mut role = RoleDraft::default();
    for line in line.block.iter().flatten() {
        let row = ROLE.iter().find(|row| row.name == line.name.text);
        let Some((row, Effect::Role(setter))) = row.map(|row| (row, &row.effect)) else {
            let usages: Vec<_> = ROLE
                .iter()
                .map(|row| format!("`{}`", row.usage()))
                .collect();
            let (last, others) = usages
                .split_last()
                .map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
            let problem = format!(
                "a role's block may hold only {} or {last}",
                others.join(", ")
            );
            errors.push(
                line.name
                    .error(problem)
                    .remedy("quote a key that spans lines, or write jwt {env.NAME}")
                    .hide_line(),
            );
            // Each further line may be one of the same key.
            break;
        };
        errors.extend(
            setter
                .apply(&mut role, line, environment, &row.default())
                .err(),
        );
    }
    Error::all(errors)?;
    missing.append(&mut role.missing);
    role.finish()
}

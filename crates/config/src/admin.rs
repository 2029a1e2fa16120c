//! The options of the admin listener (B-095, B-291, B-294).

use crate::draft::Draft;
use crate::error::Error;
use crate::lexer::Word;
use crate::list;
use crate::settings::{AdminAddress, AdminSettings};
use crate::shown::show;
use crate::source::{Environment, Place};
use crate::tree::Line;
use crate::unknown::refuse;

/// The variable that holds the address.
pub(crate) const VARIABLE: &str = "CADDY_ADMIN";
const NAME: &str = "admin";
const REMEDY: &str = "write off, or an address such as localhost:2019 or unix//run/hub.sock";

/// `admin off`, or `admin <address>` with `origins` and `enforce_origin` in a block.
///
/// # Errors
/// The address is malformed, or the block holds something else.
pub(crate) fn admin(draft: &mut Draft, line: &Line) -> Result<(), Error> {
    draft.mark_written(NAME);
    read(&mut draft.settings.admin, line)
}

/// Reads a line `admin`.
///
/// # Errors
/// As [`admin`].
pub(crate) fn read(admin: &mut AdminSettings, line: &Line) -> Result<(), Error> {
    line.at_most(1, "off or an address")?;
    admin.address = match line.args.first() {
        Some(word) if word.is("off") => None,
        Some(word) => Some(AdminAddress::parse(&word.text).map_err(|problem| {
            word.error(format!("{}: {problem}", show(&word.text)))
                .remedy(REMEDY)
        })?),
        None if line.block.is_some() => Some(AdminAddress::standard()),
        None => return Err(line.missing("off or an address").remedy(REMEDY)),
    };
    for option in line.block.iter().flatten() {
        match option.name.text.as_str() {
            "origins" => {
                let words = option
                    .without_block()?
                    .some("at least one host or origin")?;
                let words = list::items("origins", words)?;
                admin
                    .origins
                    .extend(words.into_iter().map(|word| word.text));
            }
            "enforce_origin" => {
                option.without_block()?.at_most(0, "")?;
                admin.enforce_origin = true;
            }
            _ => {
                let known = ["enforce_origin", "origins"];
                let later = ["config", "identity", "remote"];
                return Err(refuse(&option.name, "option of `admin`", &later, &known));
            }
        }
    }
    Ok(())
}

/// The address of `CADDY_ADMIN`, else `localhost:2019`, if the configuration has no line `admin`.
///
/// # Errors
/// The variable holds neither an address nor `off`.
pub(crate) fn from_environment(
    draft: &mut Draft,
    environment: Environment<'_>,
) -> Result<(), Error> {
    let value = environment(VARIABLE);
    if draft.is_written(NAME) {
        return Ok(());
    }
    draft.settings.admin.address = standard(value.as_deref())?;
    Ok(())
}

/// The address where the configuration has no line `admin`; `value` is that of `CADDY_ADMIN`.
///
/// # Errors
/// As [`from_environment`].
pub(crate) fn standard(value: Option<&str>) -> Result<Option<AdminAddress>, Error> {
    match value.map_or("", str::trim) {
        "" => Ok(Some(AdminAddress::standard())),
        "off" => Ok(None),
        text => AdminAddress::parse(text).map(Some).map_err(|problem| {
            Error::at(
                &Place::variable(VARIABLE),
                format!("{}: {problem}", show(text)),
            )
            .remedy(REMEDY)
        }),
    }
}

/// `persist_config off`: nothing is kept for `run --resume`.
///
/// # Errors
/// It says something else.
pub(crate) fn persist_config(draft: &mut Draft, line: &Line) -> Result<(), Error> {
    let value: &Word = line.without_block()?.one("off")?;
    if value.text != "off" {
        return Err(value
            .error(format!(
                "persist_config has the value {}",
                show(&value.text)
            ))
            .remedy("write off, or remove the line"));
    }
    draft.settings.admin.persists = false;
    Ok(())
}

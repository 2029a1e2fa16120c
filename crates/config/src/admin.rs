//! The options of the admin listener (B-095, B-291, B-294).

use crate::error::Error;
use crate::lexer::Word;
use crate::list;
use crate::settings::{AdminAddress, AdminSettings};
use crate::shown::show;
use crate::source::Place;
use crate::tree::Line;
use crate::unknown::refuse;

/// The variable that holds the address.
pub(crate) const VARIABLE: &str = "CADDY_ADMIN";
const REMEDY: &str = "write off, or an address such as localhost:2019 or unix//run/hub.sock";

/// Reads `admin off`, or `admin <address>` with `origins` and `enforce_origin` in a block.
///
/// # Errors
/// The address is malformed, or the block holds something else.
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

/// The address where the configuration has no line `admin`; `value` is that of `CADDY_ADMIN`.
///
/// # Errors
/// It holds neither an address nor `off`.
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
pub(crate) fn persist_config(admin: &mut AdminSettings, line: &Line) -> Result<(), Error> {
    let value: &Word = line.without_block()?.one("off")?;
    if value.text != "off" {
        return Err(value
            .error(format!(
                "persist_config has the value {}",
                show(&value.text)
            ))
            .remedy("write off, or remove the line"));
    }
    admin.persists = false;
    Ok(())
}

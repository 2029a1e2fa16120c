//! The directive `log`: requests are logged.

mod filter;

use super::texts::Texts;
use crate::error::Error;
use crate::settings::{AccessLogSettings, LogFileSettings, Notice, RollSettings};
use crate::tree::Line;
use crate::unknown::refuse;
use crate::value;

/// Options of a file that have no effect.
const IGNORED: &[&str] = &[
    "mode",
    "roll_at",
    "roll_interval",
    "roll_local_time",
    "roll_minutes",
];
const ROLLING: &[&str] = &[
    "roll_disabled",
    "roll_keep",
    "roll_keep_for",
    "roll_size",
    "roll_uncompressed",
];

/// `log [<name>] [{ output … format … level … }]`.
///
/// # Errors
/// An option is unknown, or an output is.
pub(super) fn log(
    line: &Line,
    texts: Texts<'_>,
    settings: &mut AccessLogSettings,
    notices: &mut Vec<Notice>,
) -> Result<(), Error> {
    let mut is_elsewhere = false;
    let mut has_form = false;
    let mut apply = |option: &Line| -> Result<(), Error> {
        match (option.name.text.as_str(), option.args.as_slice()) {
            ("output", [to]) if to.text == "discard" => is_elsewhere = true,
            ("output", [to]) if ["stderr", "stdout"].contains(&to.text.as_str()) => {
                is_elsewhere = false;
            }
            ("output", [to, path]) if to.text == "file" => {
                settings.files.push(LogFileSettings {
                    path: texts.fixed(path, "the path of a log")?.into(),
                    roll: rolling(option, notices)?,
                });
                is_elsewhere = true;
            }
            ("output", [to, ..]) if to.text == "file" => return Err(option.missing("one path")),
            ("output", words) => {
                let word = words.first().unwrap_or(&option.name);
                return Err(word.error("this output of a log is not supported").remedy(
                    "write output stderr, which the service manager or container keeps, or output file <path>",
                ));
            }
            ("format", [form]) if form.text == "filter" => {
                has_form = true;
                filter::filter(option, &mut settings.filter, notices)?;
            }
            ("format" | "level", _) => has_form = true,
            _ => {
                return Err(refuse(
                    &option.name,
                    "option of `log`",
                    &["core", "hostnames", "no_hostname", "sampling"],
                    &["format", "level", "output"],
                ));
            }
        }
        Ok(())
    };
    let options = line.block.iter().flatten();
    Error::all(options.filter_map(|option| apply(option).err()).collect())?;
    if has_form {
        notices.push(Notice::info(format!(
            "{}: requests are logged in the form and at the level of the hub's log, in a file as JSON, without tokens, whatever `log` says",
            line.name.place
        )));
    }
    settings.to_program |= !is_elsewhere;
    Ok(())
}

/// When a file is moved away for a new one; `None` for never.
fn rolling(output: &Line, notices: &mut Vec<Notice>) -> Result<Option<RollSettings>, Error> {
    let mut roll = RollSettings::default();
    let mut is_disabled = false;
    let mut ignored = Vec::new();
    for option in output.block.iter().flatten() {
        match option.name.text.as_str() {
            "roll_disabled" => is_disabled = true,
            "roll_size" => {
                let size = value::size(option.without_block()?.one("a size")?)?;
                // There, none at all means the usual one.
                roll.size = if size == 0 { roll.size } else { size };
            }
            "roll_keep" => {
                let keep = value::number(option.without_block()?.one("a number")?, 0)?;
                let keep = usize::try_from(keep).unwrap_or(usize::MAX);
                roll.keep = if keep == 0 { roll.keep } else { keep };
            }
            "roll_keep_for" => {
                let time = value::duration(option.without_block()?.one("a time")?)?;
                roll.keep_for = if time.is_zero() { roll.keep_for } else { time };
            }
            // They never are compressed.
            "roll_uncompressed" => {}
            name if IGNORED.contains(&name) => ignored.push(format!("`{name}`")),
            _ => {
                let known = [IGNORED, ROLLING].concat();
                return Err(refuse(&option.name, "option of `output file`", &[], &known));
            }
        }
    }
    if !ignored.is_empty() {
        notices.push(Notice::warning(format!(
            "{}: {} has no effect: the file is moved away at `roll_size` alone, and readable by its owner alone",
            output.name.place,
            ignored.join(", ")
        )));
    }
    Ok((!is_disabled).then_some(roll))
}

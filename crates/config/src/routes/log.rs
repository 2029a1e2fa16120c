//! The directive `log`: requests are logged.

use super::texts::Texts;
use crate::error::Error;
use crate::settings::{AccessLogSettings, Notice};
use crate::tree::Line;
use crate::unknown::refuse;

/// Options of a file that bound its growth, which the system does here.
const ROLLING: &[&str] = &[
    "mode",
    "roll_at",
    "roll_disabled",
    "roll_interval",
    "roll_keep",
    "roll_keep_for",
    "roll_local_time",
    "roll_minutes",
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
                settings
                    .files
                    .push(texts.fixed(path, "the path of a log")?.into());
                is_elsewhere = true;
                rolling(option, notices)?;
            }
            ("output", [to, ..]) if to.text == "file" => return Err(option.missing("one path")),
            ("output", words) => {
                let word = words.first().unwrap_or(&option.name);
                return Err(word.error("this output of a log is not supported").remedy(
                    "write output stderr, which the service manager or container keeps, or output file <path>",
                ));
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

fn rolling(output: &Line, notices: &mut Vec<Notice>) -> Result<(), Error> {
    for option in output.block.iter().flatten() {
        if !ROLLING.contains(&option.name.text.as_str()) {
            return Err(refuse(
                &option.name,
                "option of `output file`",
                &[],
                ROLLING,
            ));
        }
    }
    if output.block.iter().flatten().next().is_some() {
        notices.push(Notice::warning(format!(
            "{}: this file is not rolled, whatever its options say; let logrotate move it, and it is opened again",
            output.name.place
        )));
    }
    Ok(())
}

//! `output`: where the lines of a log go.

use std::time::Duration;

use crate::error::Error;
use crate::lexer::Word;
use crate::settings::{
    LogFileSettings, LogNetSettings, LogNetwork, LogOutput, Notice, RollSettings,
};
use crate::shown::show;
use crate::source::Environment;
use crate::tree::Line;
use crate::unknown::refuse;
use crate::value;

/// Options of a file that have no effect.
const IGNORED: &[&str] = &[
    "dir_mode",
    "roll_at",
    "roll_interval",
    "roll_local_time",
    "roll_minutes",
];
const ROLLING: &[&str] = &[
    "mode",
    "roll_disabled",
    "roll_keep",
    "roll_keep_for",
    "roll_size",
    "roll_uncompressed",
];
/// How long an attempt to reach a server takes at most unless the configuration says otherwise.
const DIAL: Duration = Duration::from_secs(10);

/// Reads a line `output`.
///
/// # Errors
/// The output is not known, or an option of it.
pub(super) fn output(
    line: &Line,
    environment: Environment<'_>,
    notices: &mut Vec<Notice>,
) -> Result<LogOutput, Error> {
    let [to, rest @ ..] = line.args.as_slice() else {
        return Err(line.missing("one of stderr, stdout, discard, file and net"));
    };
    let alone = |output| match rest {
        [] => line.without_block().map(|_| output),
        [surplus, ..] => Err(surplus
            .error(format!(
                "`output {}` takes no {}",
                to.text,
                show(&surplus.text)
            ))
            .remedy("remove it")),
    };
    match (to.text.as_str(), rest) {
        ("stderr", _) => alone(LogOutput::Stderr),
        ("stdout", _) => alone(LogOutput::Stdout),
        ("discard", _) => alone(LogOutput::Discard),
        ("file", [path]) => {
            let path = fixed(path, "the path of a log", environment)?;
            let (mode, roll) = rolling(line, notices)?;
            Ok(LogOutput::File(LogFileSettings {
                path: path.into(),
                mode,
                roll,
            }))
        }
        ("file", _) => Err(line.missing("one path")),
        ("net", [address]) => net(line, address, environment).map(LogOutput::Net),
        ("net", _) => Err(line.missing("one address, for example localhost:5140")),
        _ => Err(to
            .error(format!("the output {} of a log is not supported", show(&to.text)))
            .remedy(
                "write output stderr, which the service manager or container keeps, or stdout, discard, file <path> or net <address>",
            )),
    }
}

/// A text in which variables of the environment may stand, and no other placeholder.
fn fixed(word: &Word, what: &str, environment: Environment<'_>) -> Result<String, Error> {
    crate::routes::Texts(environment).fixed(word, what)
}

/// Who may read the file, and when it is moved away for a new one; `None` for never.
fn rolling(output: &Line, notices: &mut Vec<Notice>) -> Result<(u32, Option<RollSettings>), Error> {
    let mut roll = RollSettings::default();
    let mut mode = LogFileSettings::MODE;
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
            "roll_uncompressed" => roll.compress = false,
            "mode" => mode = permissions(option.without_block()?.one("permissions")?)?,
            name if IGNORED.contains(&name) => ignored.push(format!("`{name}`")),
            _ => {
                let known = [IGNORED, ROLLING].concat();
                return Err(refuse(&option.name, "option of `output file`", &[], &known));
            }
        }
    }
    if !ignored.is_empty() {
        notices.push(Notice::warning(format!(
            "{}: {} has no effect: the file is moved away at `roll_size` alone, and its folder is readable by its owner alone",
            output.name.place,
            ignored.join(", ")
        )));
    }
    Ok((mode, (!is_disabled).then_some(roll)))
}

/// Permissions as `chmod` has them: octal digits.
fn permissions(word: &Word) -> Result<u32, Error> {
    let digits = word.text.strip_prefix("0o").unwrap_or(&word.text);
    let mode = u32::from_str_radix(digits, 8).ok();
    mode.filter(|mode| *mode <= 0o777 && mode & 0o200 != 0)
        .ok_or_else(|| {
            word.error(format!(
                "{} does not say who may read and write a file",
                show(&word.text)
            ))
            .remedy("write octal digits with which its owner may write, for example 0640")
        })
}

/// `net [<network>/]<address> [{ dial_timeout … soft_start }]`.
fn net(line: &Line, word: &Word, environment: Environment<'_>) -> Result<LogNetSettings, Error> {
    let text = fixed(word, "the address of a log", environment)?;
    let (network, address) = match text.split_once('/') {
        Some((network, address)) => (network, address),
        None => ("tcp", text.as_str()),
    };
    let network = match network {
        "tcp" | "tcp4" | "tcp6" => LogNetwork::Tcp,
        "udp" | "udp4" | "udp6" => LogNetwork::Udp,
        "unix" => LogNetwork::Unix,
        "unixgram" => LogNetwork::UnixDatagram,
        _ => {
            return Err(word
                .error(format!("{} is not a network", show(network)))
                .remedy(
                    "write tcp/<host>:<port>, udp/<host>:<port>, unix/<path> or unixgram/<path>",
                ));
        }
    };
    let is_path = matches!(network, LogNetwork::Unix | LogNetwork::UnixDatagram);
    let has_port = address
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0));
    if is_path && address.is_empty() || !is_path && !has_port {
        return Err(word
            .error(format!("{} is not an address of a server", show(&text)))
            .remedy("write <host>:<port>, for example localhost:5140"));
    }
    let mut settings = LogNetSettings {
        network,
        address: match address.strip_prefix(':') {
            Some(port) => format!("localhost:{port}"),
            None => address.to_owned(),
        },
        dial_timeout: DIAL,
    };
    for option in line.block.iter().flatten() {
        match option.name.text.as_str() {
            "dial_timeout" => {
                let time = value::duration(option.without_block()?.one("a duration")?)?;
                settings.dial_timeout = if time.is_zero() { DIAL } else { time };
            }
            // No start ever waits for the server.
            "soft_start" => option.without_block()?.at_most(0, "")?,
            _ => {
                let known = &["dial_timeout", "soft_start"];
                return Err(refuse(&option.name, "option of `output net`", &[], known));
            }
        }
    }
    Ok(settings)
}

//! The block of a `log`, of a site or of the whole program (B-298).

mod filter;
mod output;
mod style;
mod times;

use crate::error::Error;
use crate::levels;
use crate::lexer::Word;
use crate::settings::{LogSampling, LogSettings, Notice};
use crate::source::Environment;
use crate::tree::Line;
use crate::unknown::refuse;
use crate::value;

/// Options of both.
const COMMON: &[&str] = &["format", "level", "output", "sampling"];

/// A `log` of the global options.
#[derive(Debug)]
pub(crate) struct ProgramLog {
    /// The log.
    pub log: LogSettings,
    /// Whether it is the one called `default`.
    pub is_default: bool,
}

/// A `log` of a site.
#[derive(Debug)]
pub(crate) struct SiteLog {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The hosts whose requests it has; empty for all of the site.
    pub hosts: Vec<String>,
    /// Whether it has only requests for which `log_name` names it.
    pub is_named_only: bool,
    /// What its options say; `None` if none of them says where lines go or how they look.
    pub log: Option<LogSettings>,
    /// The line.
    pub line: Word,
}

/// Reads blocks of logs.
pub(crate) struct Reader<'r> {
    /// The variables that a path may name.
    pub environment: Environment<'r>,
    /// What to tell the operator.
    pub notices: &'r mut Vec<Notice>,
}

impl Reader<'_> {
    /// `log [<name>] { … }` of the global options.
    ///
    /// # Errors
    /// Every option that is unknown or wrong.
    pub(crate) fn of_program(&mut self, line: &Line) -> Result<ProgramLog, Error> {
        let name = name(line)?.map_or("default", |word| word.text.as_str());
        let mut log = LogSettings {
            name: name.to_owned(),
            ..LogSettings::default()
        };
        let mut errors = Vec::new();
        for option in line.block.iter().flatten() {
            let read = match option.name.text.as_str() {
                "include" => loggers(option, &mut log.include),
                "exclude" => loggers(option, &mut log.exclude),
                _ => self.common(option, &mut log, &["exclude", "include"]),
            };
            errors.extend(read.err());
        }
        Error::all(errors)?;
        Ok(ProgramLog {
            is_default: name == "default",
            log,
        })
    }

    /// `log [<name>] [{ … }]` of a site.
    ///
    /// # Errors
    /// Every option that is unknown or wrong.
    pub(crate) fn of_site(&mut self, line: &Line) -> Result<SiteLog, Error> {
        let mut site = SiteLog {
            name: name(line)?.map(|word| word.text.clone()),
            hosts: Vec::new(),
            is_named_only: false,
            log: None,
            line: line.name.clone(),
        };
        let mut log = LogSettings::default();
        let mut is_separate = false;
        let mut errors = Vec::new();
        for option in line.block.iter().flatten() {
            let read = match option.name.text.as_str() {
                "hostnames" => option.without_block().and_then(|option| {
                    let hosts = option.some("host names")?.iter();
                    site.hosts.extend(hosts.map(|host| host.text.clone()));
                    Ok(())
                }),
                "no_hostname" => option.without_block().and_then(|option| {
                    site.is_named_only = true;
                    option.at_most(0, "")
                }),
                _ => {
                    is_separate = true;
                    self.common(option, &mut log, &["hostnames", "no_hostname"])
                }
            };
            errors.extend(read.err());
        }
        Error::all(errors)?;
        if site.is_named_only && site.name.is_none() {
            return Err(line
                .name
                .error("a log with `no_hostname` needs a name, by which `log_name` finds it")
                .remedy("write log <name> {"));
        }
        site.log = is_separate.then_some(log);
        Ok(site)
    }

    fn common(
        &mut self,
        option: &Line,
        log: &mut LogSettings,
        others: &[&str],
    ) -> Result<(), Error> {
        match option.name.text.as_str() {
            "output" => log.output = output::output(option, self.environment, self.notices)?,
            "format" => style::format(&option.args, option, &mut log.style, self.environment)?,
            "level" => log.level = Some(levels::named(option.without_block()?.one("a level")?)?),
            "sampling" => log.sampling = Some(sampling(option)?),
            _ => {
                let known = [COMMON, others].concat();
                return Err(refuse(&option.name, "option of `log`", &["core"], &known));
            }
        }
        Ok(())
    }
}

/// The name of a log, if there is one.
fn name(line: &Line) -> Result<Option<&Word>, Error> {
    line.at_most(1, "one name")?;
    let name = line.args.first();
    if let Some(word) = name {
        let is_part = |part: &str| {
            let mut bytes = part.bytes();
            !part.is_empty()
                && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        };
        if !word.text.split('.').all(is_part) {
            return Err(word
                .error("the name of a log has letters, digits, `_`, `-` and `.` only")
                .remedy("write another name"));
        }
    }
    Ok(name)
}

/// Names of loggers.
fn loggers(option: &Line, names: &mut Vec<String>) -> Result<(), Error> {
    let words = option.without_block()?.some("names of loggers")?;
    names.extend(words.iter().map(|word| word.text.clone()));
    Ok(())
}

/// `sampling { interval … first … thereafter … }`.
fn sampling(option: &Line) -> Result<LogSampling, Error> {
    option.at_most(0, "")?;
    let mut sampling = LogSampling::default();
    for line in option.block.iter().flatten() {
        let one = |what| line.without_block()?.one(what);
        match line.name.text.as_str() {
            "interval" => {
                let time = value::duration(one("a duration")?)?;
                if !time.is_zero() {
                    sampling.interval = time;
                }
            }
            "first" => sampling.first = value::number(one("a number")?, 0)?,
            "thereafter" => sampling.thereafter = value::number(one("a number")?, 0)?,
            _ => {
                let known = &["first", "interval", "thereafter"];
                return Err(refuse(&line.name, "option of `sampling`", &[], known));
            }
        }
    }
    Ok(sampling)
}

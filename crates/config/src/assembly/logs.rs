//! The logs of sites among those of the program.

use crate::error::Error;
use crate::logging::SiteLog;
use crate::settings::{AccessLogSettings, AccessLogger, LogSettings, LogsSettings};

/// Gives the logs of a site their loggers. One with options becomes a log of the program that has this logger alone,
/// and the default log has it no more.
///
/// # Errors
/// Two logs have the same name.
pub(super) fn take(
    logs: Vec<SiteLog>,
    program: &mut LogsSettings,
) -> Result<AccessLogSettings, Error> {
    let mut settings = AccessLogSettings::default();
    let mut errors = Vec::new();
    for site in logs {
        let is_known = |name: &str| program.others.iter().any(|log| log.name == name);
        let name = match (&site.name, &site.log) {
            (Some(name), _) => name.clone(),
            (None, None) => String::new(),
            (None, Some(_)) => {
                let mut names = (0_usize..).map(|number| format!("log{number}"));
                names.find(|name| !is_known(name)).unwrap_or_default()
            }
        };
        let logger = AccessLogger::called(&name);
        if let Some(log) = site.log {
            if is_known(&name) || name == "default" {
                let problem = format!("two logs are called {name}");
                errors.push(site.line.error(problem).remedy("rename one of them"));
                continue;
            }
            program.default.exclude.push(logger.clone());
            program.others.push(LogSettings {
                name,
                include: vec![logger.clone()],
                ..log
            });
        }
        settings.loggers.push(AccessLogger {
            logger,
            hosts: site.hosts,
            is_named_only: site.is_named_only,
        });
    }
    Error::all(errors)?;
    Ok(settings)
}

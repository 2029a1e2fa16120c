//! Global options (B-290 to B-299).

use std::net::IpAddr;
use std::time::Duration;

use crate::address::{self, Ports};
use crate::admin;
use crate::certificates::{self, Issuance};
use crate::error::Error;
use crate::lexer::Word;
use crate::list;
use crate::logging;
use crate::proxies::TrustedProxies;
use crate::settings::{Notice, ProgramSettings, Protocols, RequestMetrics};
use crate::shown::show;
use crate::source::Environment;
use crate::tree::Line;
use crate::unknown::refuse;
use crate::value;

/// Global options of the existing server that are not supported yet.
pub(crate) const LATER: &[&str] = &["frankenphp", "pki", "storage"];

const KNOWN: &[&str] = &[
    "admin",
    "debug",
    "default_bind",
    "experimental_http3",
    "grace_period",
    "http_port",
    "https_port",
    "log",
    "metrics",
    "order",
    "persist_config",
    "servers",
    "shutdown_delay",
    "skip_install_trust",
];

/// Options of `servers` that are not supported yet (B-296).
pub(crate) const LATER_SERVERS: &[&str] = &[
    "client_ip_headers",
    "keepalive_interval",
    "max_header_size",
    "strict_sni_host",
    "timeouts",
    "trusted_proxies_strict",
];

/// What the global options say.
#[derive(Debug, Default)]
pub(crate) struct Globals {
    /// What all sites and hubs share.
    pub program: ProgramSettings,
    /// `http_port` and `https_port` (B-292).
    pub ports: Ports,
    /// Whether they say where the admin listener is.
    pub names_admin: bool,
    /// `default_bind`; empty for all interfaces.
    pub bind: Vec<IpAddr>,
    /// `auto_https disable_redirects` (B-062).
    pub no_redirects: bool,
    /// What they say of certificates.
    pub issuance: Issuance,
    /// What to tell the operator.
    pub notices: Vec<Notice>,
}

/// Applies the lines of the global block.
///
/// # Errors
/// Every option that is unknown, or not supported yet, and every wrong value.
pub(crate) fn apply(
    globals: &mut Globals,
    lines: &[Line],
    environment: Environment<'_>,
) -> Result<(), Error> {
    let apply = |line| apply_line(globals, line, environment).err();
    Error::all(lines.iter().filter_map(apply).collect())
}

fn apply_line(
    globals: &mut Globals,
    line: &Line,
    environment: Environment<'_>,
) -> Result<(), Error> {
    match line.name.text.as_str() {
        name if certificates::OPTIONS.contains(&name) => {
            globals.no_redirects |=
                certificates::apply(&mut globals.issuance, line, &mut globals.notices)?;
        }
        "default_bind" => globals.bind = address::interfaces(line)?,
        "http_port" => globals.ports.http = port(line)?,
        "https_port" => globals.ports.https = port(line)?,
        "skip_install_trust" => {
            line.without_block()?.at_most(0, "")?;
            globals.program.skip_install_trust = true;
        }
        "servers" => servers(globals, line)?,
        "debug" => {
            line.without_block()?.at_most(0, "")?;
            globals.program.log.debug = true;
        }
        "log" => log(globals, line, environment)?,
        // It has its effect where the directives of the site are read.
        "order" => {}
        // HTTP/3 is on unless `protocols` leaves it out.
        "experimental_http3" => line.without_block()?.at_most(0, "")?,
        "metrics" => globals.program.request_metrics = Some(metrics(line)?),
        "admin" => {
            globals.names_admin = true;
            admin::read(&mut globals.program.admin, line)?;
        }
        "persist_config" => admin::persist_config(&mut globals.program.admin, line)?,
        "grace_period" => globals.program.grace_period = Some(time(line)?),
        "shutdown_delay" => globals.program.shutdown_delay = time(line)?,
        _ => {
            let known = [KNOWN, certificates::OPTIONS].concat();
            return Err(refuse(&line.name, "global option", LATER, &known));
        }
    }
    Ok(())
}

/// `metrics` asks for those of requests (B-297).
fn metrics(line: &Line) -> Result<RequestMetrics, Error> {
    line.at_most(0, "")?;
    let mut settings = RequestMetrics::default();
    for option in line.block.iter().flatten() {
        match option.name.text.as_str() {
            "per_host" => {
                option.without_block()?.at_most(0, "")?;
                settings.per_host = true;
            }
            _ => {
                return Err(refuse(
                    &option.name,
                    "option of `metrics`",
                    &[],
                    &["per_host"],
                ));
            }
        }
    }
    Ok(settings)
}

/// The one duration of a line (B-295).
fn time(line: &Line) -> Result<Duration, Error> {
    value::duration(line.without_block()?.one("a duration")?)
}

/// `log [<name>] { … }` (B-298).
fn log(globals: &mut Globals, line: &Line, environment: Environment<'_>) -> Result<(), Error> {
    let mut reader = logging::Reader {
        environment,
        notices: &mut globals.notices,
    };
    let read = reader.of_program(line)?;
    let logs = &mut globals.program.log;
    let is_taken = match read.is_default {
        true => std::mem::replace(&mut logs.names_default, true),
        false => logs.others.iter().any(|log| log.name == read.log.name),
    };
    if is_taken {
        let problem = format!("two logs are called {}", read.log.name);
        return Err(line.name.error(problem).remedy("merge them, or rename one"));
    }
    match read.is_default {
        true => logs.default = read.log,
        false => logs.others.push(read.log),
    }
    Ok(())
}

/// `protocols h1 h2 h3` is the whole list. The block `protocol` of older files only adds to the usual ones.
///
/// # Errors
/// A word names no protocol, or HTTP/1.1, by which health checks and proxies ask, is left out.
fn protocols(globals: &mut Globals, line: &Line) -> Result<(), Error> {
    const KNOWN: [&str; 4] = ["h1", "h2", "h2c", "h3"];
    let of_block = line.block.iter().flatten().map(|option| &option.name);
    for word in line.args.iter().chain(of_block) {
        let older = ["allow_h2c", "experimental_http3"];
        if !KNOWN.iter().chain(&older).any(|known| word.text == *known) {
            let problem = format!("{} is not a protocol that is known", show(&word.text));
            return Err(word.error(problem).remedy("known are: h1, h2, h2c, h3"));
        }
    }
    let names = |name| line.args.iter().any(|word| word.text == name);
    if line.args.is_empty() {
        return Ok(());
    }
    if !names("h1") {
        let problem = "`protocols` leaves out h1, which this hub always speaks";
        return Err(line.name.error(problem).remedy("add h1 to the list"));
    }
    globals.program.protocols = Protocols {
        h2: names("h2"),
        h2c: names("h2") || names("h2c"),
        h3: names("h3"),
    };
    Ok(())
}

fn port(line: &Line) -> Result<u16, Error> {
    let word = line.without_block()?.one("a port")?;
    u16::try_from(value::number(word, 1)?)
        .map_err(|_| word.error(format!("{} is not a port up to 65535", show(&word.text))))
}

fn servers(globals: &mut Globals, line: &Line) -> Result<(), Error> {
    if let Some(listener) = line.args.first() {
        return Err(listener
            .error("`servers` of one listener is not supported yet")
            .remedy("write `servers {`, which applies to all listeners"));
    }
    let options = line.block.iter().flatten();
    let apply = |option| apply_server_option(globals, option).err();
    Error::all(options.filter_map(apply).collect())
}

fn apply_server_option(globals: &mut Globals, option: &Line) -> Result<(), Error> {
    match (option.name.text.as_str(), option.args.as_slice()) {
        ("trusted_proxies", [source, ranges @ ..]) if source.text == "static" => {
            option.without_block()?;
            globals.program.proxies = proxies(option, ranges)?;
            Ok(())
        }
        ("trusted_proxies", [source, ..]) => Err(source
            .error(format!(
                "the source {} is not supported",
                show(&source.text)
            ))
            .remedy("write trusted_proxies static <range>…")),
        ("protocols" | "protocol", _) => protocols(globals, option),
        ("metrics", _) => {
            globals.program.request_metrics = Some(metrics(option)?);
            Ok(())
        }
        ("log_credentials", []) => {
            option.without_block()?;
            globals.program.log.shows_credentials = true;
            globals.notices.push(Notice::warning(format!(
                "{}: `log_credentials` writes cookies and tokens into the access log; every reader of it can use them",
                option.name.place
            )));
            Ok(())
        }
        ("trusted_proxies", []) => Err(option.missing("`static` and ranges")),
        _ => Err(refuse(
            &option.name,
            "option of `servers`",
            LATER_SERVERS,
            &["log_credentials", "metrics", "protocols", "trusted_proxies"],
        )),
    }
}

/// Reads the ranges of `trusted_proxies`.
///
/// # Errors
/// There is none, or one is neither an address nor a range.
pub(crate) fn proxies(line: &Line, ranges: &[Word]) -> Result<TrustedProxies, Error> {
    let ranges = list::items(&line.name.text, ranges)?;
    if ranges.is_empty() {
        return Err(line.missing("at least one address or range"));
    }
    let texts: Vec<String> = ranges.iter().map(|word| bare(&word.text)).collect();
    TrustedProxies::parse(texts.iter().map(String::as_str)).map_err(|wrong| {
        let mut words = ranges.iter().zip(&texts);
        let word = words.find(|(_, text)| *text == wrong);
        let error = word
            .map_or(&line.name, |(word, _)| word)
            .error(format!("{} is neither an address nor a range", show(wrong)));
        let right = wrong.trim_end_matches('/');
        match TrustedProxies::parse([right]) {
            Ok(_) => error.remedy(format!("write {right}")),
            Err(_) => error.remedy("write for example 10.0.0.0/8, 192.0.2.1 or private_ranges"),
        }
    })
}

/// The address or range without the brackets that URLs put around IPv6.
fn bare(text: &str) -> String {
    let inner = text
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .filter(|(_, length)| length.is_empty() || length.starts_with('/'))
        .map(|(address, length)| format!("{address}{length}"));
    inner.unwrap_or_else(|| text.to_owned())
}

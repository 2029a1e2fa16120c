//! Global options (B-290 to B-299).

use crate::address;
use crate::draft::Draft;
use crate::error::Error;
use crate::lexer::Word;
use crate::list;
use crate::proxies::TrustedProxies;
use crate::shown::show;
use crate::tree::Line;
use crate::unknown::refuse;
use crate::value;

/// Global options of the existing server that are not supported yet.
pub(crate) const LATER: &[&str] = &[
    "acme_ca",
    "acme_ca_root",
    "acme_dns",
    "acme_eab",
    "admin",
    "cert_issuer",
    "debug",
    "default_sni",
    "email",
    "fallback_sni",
    "frankenphp",
    "grace_period",
    "key_type",
    "local_certs",
    "log",
    "metrics",
    "ocsp_stapling",
    "on_demand_tls",
    "order",
    "persist_config",
    "pki",
    "preferred_chains",
    "renew_interval",
    "shutdown_delay",
    "storage",
];

const KNOWN: &[&str] = &[
    "auto_https",
    "default_bind",
    "http_port",
    "https_port",
    "servers",
    "skip_install_trust",
];

/// Options of `servers` that are not supported yet (B-296).
pub(crate) const LATER_SERVERS: &[&str] = &[
    "client_ip_headers",
    "keepalive_interval",
    "log_credentials",
    "max_header_size",
    "metrics",
    "protocols",
    "strict_sni_host",
    "timeouts",
    "trusted_proxies_strict",
];

/// Applies the lines of the global block.
///
/// # Errors
/// Every option that is unknown, or not supported yet, and every wrong value.
pub(crate) fn apply(draft: &mut Draft, lines: &[Line]) -> Result<(), Error> {
    let apply = |line| apply_line(draft, line).err();
    Error::all(lines.iter().filter_map(apply).collect())
}

fn apply_line(draft: &mut Draft, line: &Line) -> Result<(), Error> {
    match line.name.text.as_str() {
        "auto_https" => draft.no_redirects |= disables_redirects(line)?,
        "default_bind" => draft.bind = address::interfaces(line)?,
        "http_port" => draft.ports.http = port(line)?,
        "https_port" => draft.ports.https = port(line)?,
        "skip_install_trust" => {
            line.without_block()?.at_most(0, "")?;
            draft.settings.skip_install_trust = true;
        }
        "servers" => servers(draft, line)?,
        _ => return Err(refuse(&line.name, "global option", LATER, KNOWN)),
    }
    Ok(())
}

fn disables_redirects(line: &Line) -> Result<bool, Error> {
    let value = line.without_block()?.one("disable_redirects")?;
    match value.text.as_str() {
        "disable_redirects" => Ok(true),
        _ => Err(value
            .error(format!("auto_https {} is not supported", show(&value.text)))
            .remedy("write disable_redirects, or http:// before the addresses to have no HTTPS")),
    }
}

fn port(line: &Line) -> Result<u16, Error> {
    let word = line.without_block()?.one("a port")?;
    u16::try_from(value::number(word, 1)?)
        .map_err(|_| word.error(format!("{} is not a port up to 65535", show(&word.text))))
}

fn servers(draft: &mut Draft, line: &Line) -> Result<(), Error> {
    if let Some(listener) = line.args.first() {
        return Err(listener
            .error("`servers` of one listener is not supported yet")
            .remedy("write `servers {`, which applies to all listeners"));
    }
    let options = line.block.iter().flatten();
    let apply = |option| apply_server_option(draft, option).err();
    Error::all(options.filter_map(apply).collect())
}

fn apply_server_option(draft: &mut Draft, option: &Line) -> Result<(), Error> {
    match (option.name.text.as_str(), option.args.as_slice()) {
        ("trusted_proxies", [source, ranges @ ..]) if source.text == "static" => {
            option.without_block()?;
            draft.settings.proxies = proxies(option, ranges)?;
            Ok(())
        }
        ("trusted_proxies", [source, ..]) => Err(source
            .error(format!(
                "the source {} is not supported",
                show(&source.text)
            ))
            .remedy("write trusted_proxies static <range>…")),
        ("trusted_proxies", []) => Err(option.missing("`static` and ranges")),
        _ => Err(refuse(
            &option.name,
            "option of `servers`",
            LATER_SERVERS,
            &["trusted_proxies"],
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

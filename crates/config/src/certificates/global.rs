//! The global options about certificates (B-293).

use super::authorities::{directory, email, issuer, key_binding, key_kind, roots};
use super::tls::{without_demand, without_dns};
use super::wanted::{Issuance, Issuer};
use crate::error::Error;
use crate::lexer::Word;
use crate::settings::Notice;
use crate::shown::show;
use crate::tree::Line;
use crate::value;

/// The options that [`apply`] reads. `auto_https` is read by it and says more.
pub(crate) const OPTIONS: &[&str] = &[
    "acme_ca",
    "acme_ca_root",
    "acme_dns",
    "acme_eab",
    "auto_https",
    "cert_issuer",
    "default_sni",
    "email",
    "fallback_sni",
    "key_type",
    "local_certs",
    "ocsp_stapling",
    "on_demand_tls",
    "preferred_chains",
    "renew_interval",
];

/// Applies one of [`OPTIONS`]; says whether it switches the redirects to HTTPS off.
///
/// # Errors
///
/// A wrong value, and `acme_dns` and `on_demand_tls`.
pub(crate) fn apply(
    issuance: &mut Issuance,
    line: &Line,
    notices: &mut Vec<Notice>,
) -> Result<bool, Error> {
    let mut without_effect = |why: &str| {
        let place = &line.name.place;
        let name = &line.name.text;
        notices.push(Notice::info(format!(
            "{place}: `{name}` has no effect: {why}"
        )));
    };
    let common = &mut issuance.common;
    match line.name.text.as_str() {
        "auto_https" => return auto_https(issuance, line, notices),
        "email" => common.email = Some(email(line.without_block()?.one("an email address")?)?),
        "acme_ca" => common.directory = Some(directory(line.without_block()?.one("a URL")?)?),
        "acme_ca_root" => common.roots = Some(roots(line)?),
        "acme_eab" => eab(issuance, line)?,
        "cert_issuer" => issuance.issuers.push(issuer(line)?),
        "local_certs" => {
            line.without_block()?.at_most(0, "")?;
            issuance.issuers = vec![Issuer::Internal(line.name.clone())];
        }
        "key_type" => issuance.key = Some(key_kind(line)?),
        "default_sni" => issuance.sni.default = Some(name(line)?),
        "fallback_sni" => issuance.sni.fallback = Some(name(line)?),
        "ocsp_stapling" => {
            let word = line.without_block()?.one("off")?;
            if word.text != "off" {
                let problem = format!("`ocsp_stapling` has the value {}", show(&word.text));
                return Err(word.error(problem).remedy("write off"));
            }
        }
        "preferred_chains" => without_effect("the chain that the authority gives first is used"),
        "renew_interval" => {
            value::duration(line.without_block()?.one("a duration")?)?;
            without_effect(
                "each certificate is renewed when its authority says, or at two thirds of its life",
            );
        }
        "acme_dns" => return Err(without_dns(&line.name)),
        _ => return Err(without_demand(&line.name)),
    }
    Ok(false)
}

/// `auto_https` in all its forms; says whether it switches the redirects off.
fn auto_https(
    issuance: &mut Issuance,
    line: &Line,
    notices: &mut Vec<Notice>,
) -> Result<bool, Error> {
    let mut no_redirects = false;
    for word in line.without_block()?.some("what to switch off")? {
        match word.text.as_str() {
            "off" => (no_redirects, issuance.off) = (true, true),
            "disable_redirects" => no_redirects = true,
            "disable_certs" => issuance.off = true,
            "ignore_loaded_certs" => notices.push(Notice::info(format!(
                "{}: `ignore_loaded_certs` has no effect: a site with `tls <certificate> <key>` shows these, and other sites do not know them",
                word.place
            ))),
            "prefer_wildcard" => return Err(word
                .error("wildcard certificates need the DNS challenge, which is not supported")
                .remedy("remove it")),
            other => {
                return Err(word
                    .error(format!("auto_https {} is unknown", show(other)))
                    .remedy("write off, disable_redirects, disable_certs or ignore_loaded_certs"));
            }
        }
    }
    Ok(no_redirects)
}

/// `acme_eab { key_id … mac_key … }`.
fn eab(issuance: &mut Issuance, line: &Line) -> Result<(), Error> {
    let value = |name: &str| -> Option<&Word> {
        let mut options = line.block.iter().flatten();
        options
            .find(|option| option.name.text == name)?
            .args
            .first()
    };
    let (id, key) = match (line.args.as_slice(), value("key_id"), value("mac_key")) {
        ([], Some(id), Some(key)) => (id, key),
        ([id, key], None, None) => (id, key),
        _ => {
            return Err(line
                .name
                .error("`acme_eab` needs the identifier of a key and the key")
                .remedy("write acme_eab { key_id <id> and mac_key <key>, on separate lines, }")
                .hide_line());
        }
    };
    issuance.common.binding = Some(key_binding(id, key)?);
    Ok(())
}

fn name(line: &Line) -> Result<String, Error> {
    let word = line.without_block()?.one("a host name")?;
    Ok(word.text.to_ascii_lowercase())
}

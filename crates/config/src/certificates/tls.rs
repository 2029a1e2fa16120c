//! The `tls` directive of a site.

use super::authorities::{binding, directory, email, is_email, issuer, key_kind, roots};
use super::wanted::{Issuer, SiteTls};
use crate::error::Error;
use crate::lexer::Word;
use crate::settings::CertificateSettings;
use crate::shown::show;
use crate::tree::Line;
use crate::unknown::refuse;

/// Lines of the block of `tls` that are not supported yet.
const LATER: &[&str] = &[
    "alpn",
    "ca_roots",
    "ciphers",
    "client_auth",
    "curves",
    "dns_challenge_override_domain",
    "dns_ttl",
    "force_automate",
    "get_certificate",
    "insecure_secrets_log",
    "load",
    "propagation_delay",
    "propagation_timeout",
    "renewal_window_ratio",
    "resolvers",
    "reuse_private_keys",
];

const KNOWN: &[&str] = &["ca", "ca_root", "eab", "issuer", "key_type", "protocols"];

/// Reads a `tls` line.
///
/// # Errors
///
/// A word, or a line of its block, that it does not have.
pub(crate) fn tls(line: &Line) -> Result<SiteTls, Error> {
    let mut site = SiteTls::default();
    match line.args.as_slice() {
        [] if line.block.is_some() => {}
        [one] if one.text == "internal" => site.issuers.push(Issuer::Internal(one.clone())),
        [one] if is_email(&one.text) => site.common.email = Some(email(one)?),
        [certificate, key] => {
            site.files = Some(CertificateSettings::Files {
                certificate: certificate.text.clone().into(),
                key: key.text.clone().into(),
            });
        }
        _ => {
            return Err(line
                .name
                .error("`tls` takes `internal`, an email address, or the files of a certificate and of its key")
                .remedy("write tls internal, tls admin@example.com, or tls /etc/hub/cert.pem /etc/hub/key.pem"));
        }
    }
    for option in line.block.iter().flatten() {
        self::option(&mut site, option)?;
    }
    if site.files.is_some() && site.names_issuer() {
        return Err(line
            .name
            .error("`tls` has both files and an issuer")
            .remedy("keep one of the two"));
    }
    Ok(site)
}

fn option(site: &mut SiteTls, line: &Line) -> Result<(), Error> {
    match line.name.text.as_str() {
        "issuer" => site.issuers.push(issuer(line)?),
        "ca" => site.common.directory = Some(directory(line.without_block()?.one("a URL")?)?),
        "ca_root" => site.common.roots = Some(roots(line)?),
        "eab" => site.common.binding = Some(binding(line)?),
        "key_type" => site.key = Some(key_kind(line)?),
        "protocols" => site.only_tls13 = protocols(line)?,
        "dns" => return Err(without_dns(&line.name)),
        "on_demand" => return Err(without_demand(&line.name)),
        _ => return Err(refuse(&line.name, "option of `tls`", LATER, KNOWN)),
    }
    Ok(())
}

/// Whether `protocols <oldest> [<newest>]` leaves TLS 1.3 alone.
fn protocols(line: &Line) -> Result<bool, Error> {
    let refused = |word: &Word| {
        word.error(format!("`protocols` has {}", show(&word.text)))
            .remedy("write protocols tls1.2 or protocols tls1.3: the oldest version that is accepted, and tls1.3 as the newest if any")
    };
    let is_only = match line.without_block()?.args.first() {
        Some(oldest) => match oldest.text.as_str() {
            "tls1.2" => false,
            "tls1.3" => true,
            _ => return Err(refused(oldest)),
        },
        None => return Err(line.missing("`tls1.2` or `tls1.3`")),
    };
    match line.args.get(1..).unwrap_or_default() {
        [] => Ok(is_only),
        [newest] if newest.text == "tls1.3" => Ok(is_only),
        [other, ..] => Err(refused(other)),
    }
}

/// The error for the challenge by DNS.
pub(super) fn without_dns(word: &Word) -> Error {
    word.error("certificates by the DNS challenge are not supported: each DNS provider needs a module")
        .remedy("remove it, and let the authority reach the hub on port 80 or 443; or write `tls <certificate> <key>` with files that another ACME client renews")
}

/// The error for certificates that are ordered by a handshake.
pub(super) fn without_demand(word: &Word) -> Error {
    word.error("certificates on demand are not supported: anyone could make the hub order them")
        .remedy("remove it, and write each name as a site address (SERVER_NAME)")
}

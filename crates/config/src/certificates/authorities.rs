//! The authorities that issue certificates by ACME, and the lines that name them.

use std::path::PathBuf;

use url::Url;

use super::wanted::{Issuance, Issuer, SiteTls, Wanted};
use crate::error::Error;
use crate::lexer::Word;
use crate::settings::{
    AcmeSettings, AuthoritySettings, Binding, KeyKind, LETS_ENCRYPT, Secret, SniSettings, ZERO_SSL,
};
use crate::shown::show;
use crate::tree::Line;
use crate::unknown::refuse;

fn known(url: &str) -> Result<Url, Error> {
    Url::parse(url).map_err(Error::from_cause)
}

fn settings(wanted: Wanted) -> Result<AuthoritySettings, Error> {
    let directory = match wanted.directory {
        Some(directory) => directory,
        None => known(LETS_ENCRYPT)?,
    };
    let is_zero_ssl = directory.as_str() == ZERO_SSL;
    let binding = match wanted.binding {
        None if is_zero_ssl => Some(Binding::ZeroSsl(None)),
        binding => binding,
    };
    if binding == Some(Binding::ZeroSsl(None)) && wanted.email.is_none() {
        return Err(Error::new("ZeroSSL needs an email address for its account")
            .remedy("write `email <address>` in the global options"));
    }
    Ok(AuthoritySettings {
        directory,
        email: wanted.email,
        roots: wanted.roots,
        binding,
        http_challenge: !wanted.no_http,
        alpn_challenge: !wanted.no_alpn,
    })
}

/// Who issues the certificates of a site, if it or the global options say so; `None` for the local authority.
/// Without a word about it, Let's Encrypt does, and ZeroSSL if that fails and there is an email address (B-064).
///
/// # Errors
///
/// The local authority beside another, or ZeroSSL without an email address.
pub(super) fn of(
    site: Option<&SiteTls>,
    issuance: &Issuance,
) -> Result<Option<AcmeSettings>, Error> {
    let common = match site {
        Some(site) => site.common.or(&issuance.common),
        None => issuance.common.clone(),
    };
    let key = site.and_then(|site| site.key).or(issuance.key);
    let issuers = match site {
        Some(site) if !site.issuers.is_empty() => &site.issuers,
        // What a site says of its authority is not about the local one.
        Some(site) if site.names_issuer() && issuance.is_local() => &Vec::new(),
        _ => &issuance.issuers,
    };
    let mut wanted = Vec::new();
    for issuer in issuers {
        match issuer {
            Issuer::Internal(_) if issuers.len() == 1 => return Ok(None),
            Issuer::Internal(word) => {
                return Err(word
                    .error("the local authority cannot issue beside another")
                    .remedy("keep `internal`, or remove it"));
            }
            Issuer::Acme(own) => wanted.push(own.or(&common)),
        }
    }
    if wanted.is_empty() {
        wanted.push(common.clone());
        if common.email.is_some() && common.directory.is_none() && common.binding.is_none() {
            wanted.push(Wanted {
                directory: Some(known(ZERO_SSL)?),
                ..common
            });
        }
    }
    let authorities: Result<Vec<_>, Error> = wanted.into_iter().map(settings).collect();
    Ok(Some(AcmeSettings {
        authorities: authorities?,
        key: key.unwrap_or_default(),
        http: false,
    }))
}

/// Options of `issuer acme` that are not supported yet.
const LATER: &[&str] = &[
    "alt_http_port",
    "alt_tlsalpn_port",
    "disable_ari",
    "dns",
    "dns_challenge_override_domain",
    "dns_ttl",
    "profile",
    "propagation_delay",
    "propagation_timeout",
    "resolvers",
    "test_dir",
    "timeout",
];

const KNOWN: &[&str] = &[
    "dir",
    "disable_http_challenge",
    "disable_tlsalpn_challenge",
    "eab",
    "email",
    "preferred_chains",
    "trusted_roots",
];

/// `issuer` in the block of `tls`, and the global option `cert_issuer`.
///
/// # Errors
///
/// It is unknown, or one of its options is wrong.
pub(super) fn issuer(line: &Line) -> Result<Issuer, Error> {
    let Some((kind, arguments)) = line.args.split_first() else {
        return Err(line.missing("acme, internal or zerossl"));
    };
    let mut wanted = Wanted::default();
    match (kind.text.as_str(), arguments) {
        ("internal", []) => {
            let options = line.block.iter().flatten();
            return match options.map(|option| &option.name).next() {
                Some(name) => Err(refuse(
                    name,
                    "option of `issuer internal`",
                    &["ca", "lifetime", "sign_with_root"],
                    &[],
                )),
                None => Ok(Issuer::Internal(kind.clone())),
            };
        }
        ("acme", []) => {}
        ("acme", [directory]) => wanted.directory = Some(self::directory(directory)?),
        ("zerossl", arguments @ ([] | [_])) => {
            wanted.directory = Some(known(ZERO_SSL)?);
            let key = arguments.first().map(|key| Secret::new(key.text.clone()));
            wanted.binding = Some(Binding::ZeroSsl(key));
        }
        ("internal" | "acme" | "zerossl", _) => {
            let surplus = arguments.last().unwrap_or(kind);
            return Err(surplus
                .error(format!(
                    "there is a word too many after {}",
                    show(&kind.text)
                ))
                .remedy("remove it")
                .hide_line());
        }
        _ => {
            return Err(refuse(
                kind,
                "issuer",
                &["tailscale"],
                &["acme", "internal", "zerossl"],
            ));
        }
    }
    for option in line.block.iter().flatten() {
        self::option(&mut wanted, option)?;
    }
    Ok(Issuer::Acme(wanted))
}

fn option(wanted: &mut Wanted, option: &Line) -> Result<(), Error> {
    match option.name.text.as_str() {
        "dir" | "ca" => wanted.directory = Some(directory(option.one("a URL")?)?),
        "email" => wanted.email = Some(email(option.one("an email address")?)?),
        "trusted_roots" => wanted.roots = Some(roots(option)?),
        "eab" => wanted.binding = Some(binding(option)?),
        "disable_http_challenge" => wanted.no_http = true,
        "disable_tlsalpn_challenge" => wanted.no_alpn = true,
        // The authority's first chain is used.
        "preferred_chains" => {}
        _ => {
            return Err(refuse(
                &option.name,
                "option of `issuer acme`",
                LATER,
                KNOWN,
            ));
        }
    }
    Ok(())
}

/// The URL of a directory.
pub(super) fn directory(word: &Word) -> Result<Url, Error> {
    let url = Url::parse(&word.text).ok();
    let is_usable = |url: &Url| {
        url.scheme() == "https" && url.username().is_empty() && url.password().is_none()
    };
    url.filter(is_usable).ok_or_else(|| {
        word.error(format!(
            "{} is not the URL of an ACME directory",
            show(&word.text)
        ))
        .remedy(format!(
            "write an https:// URL, for example {LETS_ENCRYPT} or https://acme-staging-v02.api.letsencrypt.org/directory"
        ))
    })
}

/// An email address, which becomes the contact of an account.
pub(super) fn email(word: &Word) -> Result<String, Error> {
    let text = word.text.as_str();
    let is_address = is_email(text) && text.len() <= 254;
    let is_plain =
        |c: char| c.is_ascii_graphic() && !matches!(c, ',' | '?' | '<' | '>' | '"' | '/');
    match is_address && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err(word
            .error("this is not an email address")
            .remedy("write for example admin@example.com")),
    }
}

/// Whether a word of `tls` is meant as an email address.
pub(super) fn is_email(text: &str) -> bool {
    text.split_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && host.contains('.'))
}

/// The one file of roots.
pub(super) fn roots(line: &Line) -> Result<PathBuf, Error> {
    line.without_block()?;
    Ok(line.one("a file in PEM")?.text.clone().into())
}

/// `eab <key id> <key>` of `tls` and `issuer acme`.
pub(super) fn binding(line: &Line) -> Result<Binding, Error> {
    match line.args.as_slice() {
        [id, key] if line.block.is_none() => key_binding(id, key),
        _ => Err(line
            .name
            .error("`eab` takes the identifier of a key and the key")
            .remedy("write eab <key id> <key>")
            .hide_line()),
    }
}

/// The binding by a key in base64url.
pub(super) fn key_binding(id: &Word, key: &Word) -> Result<Binding, Error> {
    let is_base64 =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'+' | b'/' | b'=');
    if key.text.is_empty() || !key.text.bytes().all(is_base64) {
        return Err(key
            .error("the key of the external account is not base64url")
            .remedy("copy it from the authority as it is")
            .hide_line());
    }
    Ok(Binding::Key {
        id: id.text.clone(),
        key: Secret::new(key.text.clone()),
    })
}

/// `key_type` of the global options and of `tls`.
pub(super) fn key_kind(line: &Line) -> Result<KeyKind, Error> {
    let word = line.without_block()?.one("a kind of key")?;
    Ok(match word.text.to_ascii_lowercase().as_str() {
        "p256" => KeyKind::P256,
        "p384" => KeyKind::P384,
        "ed25519" => KeyKind::Ed25519,
        "rsa2048" => KeyKind::Rsa2048,
        "rsa4096" => KeyKind::Rsa4096,
        _ => {
            return Err(word
                .error(format!("{} is not a kind of key", show(&word.text)))
                .remedy("write p256, p384, ed25519, rsa2048 or rsa4096"));
        }
    })
}

//! Which certificate each HTTPS name of a site gets: from files, from the local authority or by ACME (B-061, B-064).

mod authorities;
mod global;
mod tls;
mod wanted;

use std::net::IpAddr;

pub(crate) use self::global::{OPTIONS, apply};
pub(crate) use self::tls::tls;
pub(crate) use self::wanted::{Issuance, SiteTls};
use crate::error::Error;
use crate::settings::{AcmeSettings, CertificateSettings, Certified, ListenAddress};

/// The certificates for the HTTPS addresses of a site. `http` says whether the program listens for plain HTTP
/// where an authority looks for the answer to a challenge.
///
/// # Errors
///
/// An address that no source certifies, or sources that contradict each other.
pub(crate) fn certify(
    addresses: &[ListenAddress],
    site: Option<&SiteTls>,
    issuance: &Issuance,
    http: bool,
) -> Result<Vec<Certified>, Error> {
    let encrypted: Vec<&ListenAddress> = addresses.iter().filter(|address| address.tls).collect();
    let names = names(&encrypted);
    let nameless = encrypted.iter().find(|address| address.host.is_none());
    let certified = |names: Vec<String>, source| Certified {
        names,
        source,
        only_tls13: site.is_some_and(|site| site.only_tls13),
    };
    if encrypted.is_empty() {
        return Ok(Vec::new());
    }
    if let Some(files) = site.and_then(|site| site.files.clone()) {
        // A site for every host shows the certificate under every name.
        let names = if nameless.is_some() {
            Vec::new()
        } else {
            names
        };
        return Ok(vec![certified(names, files)]);
    }
    if let Some(nameless) = nameless {
        return Err(without_name(nameless.port));
    }
    let is_explicit = site.is_some_and(SiteTls::names_issuer);
    if let Some(name) = names.first().filter(|_| issuance.off && !is_explicit) {
        return Err(switched_off(name));
    }
    let Some(acme) = authorities::of(site, issuance)? else {
        return Ok(vec![certified(names, CertificateSettings::Local)]);
    };
    let is_local = |name: &String| match is_explicit {
        // An authority of one's own certifies internal names too, but not those of one machine.
        true => is_of_machine(name),
        false => is_internal(name),
    };
    let (local, public): (Vec<String>, Vec<String>) = names.into_iter().partition(is_local);
    if let Some(name) = public.iter().find(|name| name.starts_with('*')) {
        return Err(wildcard(name));
    }
    let acme = AcmeSettings { http, ..acme };
    if let Some(name) = public.first().filter(|_| !acme.has_challenges()) {
        return Err(without_challenge(name));
    }
    let both = [
        certified(local, CertificateSettings::Local),
        certified(public, CertificateSettings::Acme(acme)),
    ];
    let is_used = |certified: &Certified| !certified.names.is_empty();
    Ok(both.into_iter().filter(is_used).collect())
}

/// The names of addresses, each once.
fn names(addresses: &[&ListenAddress]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in addresses.iter().filter_map(|address| address.host.as_ref()) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Whether the name means something else on each machine, so that no other authority certifies it.
fn is_of_machine(host: &str) -> bool {
    let bare = host.trim_matches(['[', ']']);
    bare == "localhost" || bare.ends_with(".localhost") || bare.parse::<IpAddr>().is_ok()
}

/// Whether only a local authority certifies the name (B-061).
fn is_internal(host: &str) -> bool {
    const SUFFIXES: [&str; 3] = [".local", ".internal", ".home.arpa"];
    !host.contains('.')
        || is_of_machine(host)
        || SUFFIXES.iter().any(|suffix| host.ends_with(suffix))
}

const OWN: &str = "write `tls <certificate> <key>` or `tls internal` in the site, or serve plain HTTP (http://<name>) behind a proxy that does TLS";

fn without_name(port: u16) -> Error {
    Error::new(format!(
        "port {port} is HTTPS, and no host name is configured for its certificate"
    ))
    .remedy(
        "write the name as site address, for example SERVER_NAME=hub.example.com, `tls <certificate> <key>` in the site, or serve plain HTTP (http://) behind a proxy that does TLS",
    )
}

fn wildcard(name: &str) -> Error {
    Error::new(format!(
        "{name} needs a wildcard certificate, which an authority issues by the DNS challenge only, and that is not supported"
    ))
    .remedy("write `tls <certificate> <key>` or `tls internal` in the site, or list the names one by one")
}

fn switched_off(name: &str) -> Error {
    Error::new(format!(
        "{name} is HTTPS, and `auto_https` in the global options switches certificates off"
    ))
    .remedy(OWN)
}

fn without_challenge(name: &str) -> Error {
    Error::new(format!(
        "no challenge is left by which an authority could check {name}"
    ))
    .remedy(
        "remove `disable_tlsalpn_challenge`, or remove `disable_http_challenge` and serve plain HTTP on the port that `http_port` names",
    )
}

#[cfg(test)]
mod tests;

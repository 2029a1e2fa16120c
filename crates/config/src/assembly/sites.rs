//! A site on its own: its interfaces, its certificate, and what it may get wrong.

use std::net::IpAddr;

use crate::certificates::{self, Issuance, SiteTls};
use crate::error::Error;
use crate::folders;
use crate::settings::{CertificateSettings, ListenAddress, Notice, SiteSettings};

/// Checks a site, and finds the certificates of its HTTPS addresses; `tls` is what its directive says, and `http`
/// whether the program listens for plain HTTP where an authority looks for the answer to a challenge.
///
/// # Errors
///
/// An address that no source certifies, or sources that contradict each other.
pub(super) fn finish(
    site: &mut SiteSettings,
    tls: Option<&SiteTls>,
    issuance: &Issuance,
    http: bool,
    notices: &mut Vec<Notice>,
) -> Result<(), Error> {
    let addresses = &site.addresses;
    if tls.is_some() && !addresses.iter().any(|address| address.tls) {
        notices.push(Notice::warning(
            "`tls` has no effect, because no address speaks HTTPS: write https:// before one, or remove the line",
        ));
    }
    notices.extend(of_hosts(addresses));
    site.certificates = certificates::certify(addresses, tls, issuance, http)?;
    let files = tls.and_then(|tls| tls.files.as_ref());
    if let Some(CertificateSettings::Files { key, .. }) = files {
        notices.extend(folders::exposed_key(key).map(Notice::warning));
    }
    Ok(())
}

/// Hosts that look like something else.
fn of_hosts(addresses: &[ListenAddress]) -> Vec<Notice> {
    let hosts = addresses
        .iter()
        .filter_map(|address| address.host.as_deref());
    let ports = hosts.filter(|host| host.bytes().all(|b| b.is_ascii_digit()));
    let mut notices: Vec<Notice> = ports
        .map(|host| {
            Notice::warning(format!(
                "the site address {host} is a host name: requests must name it; write :{host} for the port"
            ))
        })
        .collect();
    let is_loopback = |host: &str| host.starts_with("127.") || host == "[::1]";
    let mut open = addresses.iter().filter(|address| {
        address.bind.is_empty() && address.host.as_deref().is_some_and(is_loopback)
    });
    if let Some(host) = open.next().and_then(|address| address.host.as_deref()) {
        notices.push(Notice::info(format!(
            "the site address {host} restricts the Host of requests, not the interface: the hub listens on all; write `bind 127.0.0.1` in the site, or `default_bind 127.0.0.1` in the global options, to be reached from this machine only"
        )));
    }
    notices
}

/// Refuses an address that two sites have on one interface: a request there belongs to neither.
///
/// # Errors
///
/// The first such address.
pub(super) fn check_addresses(sites: &[SiteSettings]) -> Result<(), Error> {
    for (index, site) in sites.iter().enumerate() {
        let others = sites.iter().take(index);
        let mut others = others.flat_map(|other| &other.addresses);
        let is_shared = |address: &&ListenAddress| {
            address.port != 0
                && others.any(|other| {
                    other.port == address.port
                        && other.host == address.host
                        && overlap(&other.bind, &address.bind)
                })
        };
        if let Some(address) = site.addresses.iter().find(is_shared) {
            let host = address.host.as_deref().unwrap_or_default();
            return Err(Error::new(format!(
                "two sites have the address {host}:{}",
                address.port
            ))
            .remedy(
                "merge the two sites, or give one of them another host, port or interface (`bind`)",
            ));
        }
    }
    Ok(())
}

/// Whether two addresses share an interface; one of all interfaces leaves none for another one on its port.
fn overlap(one: &[IpAddr], other: &[IpAddr]) -> bool {
    let is_everywhere =
        |bind: &[IpAddr]| bind.is_empty() || bind.iter().any(IpAddr::is_unspecified);
    is_everywhere(one) || is_everywhere(other) || one.iter().any(|ip| other.contains(ip))
}

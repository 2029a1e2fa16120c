//! What the report says about a site.

use talaria_config::settings::{CertificateSettings, ListenAddress};

/// A site, as far as it is reported.
pub(super) struct SiteView<'a> {
    pub addresses: &'a [ListenAddress],
    pub certificate: &'a CertificateSettings,
    pub redirects: Option<u16>,
    pub access_log: bool,
}

/// Each address with its certificate.
pub(super) fn lines(site: &SiteView<'_>) -> Vec<String> {
    let log = match site.access_log {
        true => "requests are logged",
        false => "requests are not logged; write `log` to log them",
    };
    let one = |address: &ListenAddress| {
        let redirected = site.redirects.filter(|_| address.tls);
        let redirected =
            redirected.map_or_else(String::new, |port| format!("; port {port} redirects to it"));
        format!(
            "site {}: {}{}{redirected}; {log}",
            shown(address),
            certificate(address, site.certificate),
            interfaces(address),
        )
    };
    site.addresses.iter().map(one).collect()
}

/// An address as an operator would write it.
fn shown(address: &ListenAddress) -> String {
    let (scheme, default) = match address.tls {
        true => ("https", 443),
        false => ("http", 80),
    };
    let host = address.host.as_deref().unwrap_or_default();
    match address.port {
        port if port == default && !host.is_empty() => format!("{scheme}://{host}"),
        port => format!("{scheme}://{host}:{port}"),
    }
}

fn certificate(address: &ListenAddress, certificate: &CertificateSettings) -> String {
    match certificate {
        _ if !address.tls => "plain HTTP, no certificate".to_owned(),
        CertificateSettings::Local => "certificate of the local authority".to_owned(),
        CertificateSettings::Files { certificate, .. } => {
            format!("certificate from {}", certificate.display())
        }
    }
}

fn interfaces(address: &ListenAddress) -> String {
    let bind: Vec<String> = address.bind.iter().map(ToString::to_string).collect();
    match bind.is_empty() {
        true => "; on every interface".to_owned(),
        false => format!("; on {}", bind.join(", ")),
    }
}

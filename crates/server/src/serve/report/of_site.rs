//! What the report says about a site.

use talaria_config::settings::{
    AccessLogSettings, CertificateSettings, Certified, ListenAddress, LogOutput, LogsSettings,
};

/// A site, as far as it is reported.
pub(super) struct SiteView<'a> {
    pub addresses: &'a [ListenAddress],
    /// Where the certificates of its names come from.
    pub certificates: &'a [Certified],
    pub redirects: Option<u16>,
    pub access_log: &'a AccessLogSettings,
    pub logs: &'a LogsSettings,
}

/// The addresses with their certificate, those with the same settings together.
pub(super) fn lines(site: &SiteView<'_>) -> Vec<String> {
    let log = logged(site);
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for address in site.addresses {
        let redirected = site.redirects.filter(|_| address.tls);
        let redirected =
            redirected.map_or_else(String::new, |port| format!("; port {port} redirects to it"));
        let said = format!(
            "{}{}{redirected}; {log}",
            certificate(address, site.certificates),
            interfaces(address),
        );
        match groups.iter_mut().find(|(known, _)| *known == said) {
            Some((_, addresses)) => addresses.push(shown(address)),
            None => groups.push((said, vec![shown(address)])),
        }
    }
    let lines = groups.into_iter();
    lines
        .map(|(said, addresses)| format!("site {}: {said}", addresses.join(", ")))
        .collect()
}

/// Where requests are logged.
fn logged(site: &SiteView<'_>) -> String {
    let loggers = site.access_log.loggers.iter();
    let outputs = loggers.flat_map(|one| site.logs.outputs_of(&one.logger));
    let mut places: Vec<String> = Vec::new();
    for output in outputs.filter(|output| **output != LogOutput::Discard) {
        let place = match output {
            LogOutput::Stderr => "here".to_owned(),
            output => format!("in {output}"),
        };
        if !places.contains(&place) {
            places.push(place);
        }
    }
    match places.as_slice() {
        [] => "requests are not logged".to_owned(),
        [here] if here == "here" => "requests are logged".to_owned(),
        places => format!("requests are logged {}", places.join(" and ")),
    }
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

fn certificate(address: &ListenAddress, certificates: &[Certified]) -> String {
    if !address.tls {
        return "plain HTTP, no certificate".to_owned();
    }
    let is_of = |certified: &&Certified| {
        let mut names = certified.names.iter();
        certified.names.is_empty() || names.any(|name| Some(name) == address.host.as_ref())
    };
    match certificates.iter().find(is_of).map(|one| &one.source) {
        Some(CertificateSettings::Local) => "certificate of the local authority".to_owned(),
        Some(CertificateSettings::Files { certificate, .. }) => {
            format!("certificate from {}", certificate.display())
        }
        Some(CertificateSettings::Acme(acme)) => {
            let authorities = acme.authorities.iter();
            let hosts = authorities.filter_map(|one| one.directory.host_str());
            let hosts: Vec<&str> = hosts.collect();
            format!("certificate by ACME from {}", hosts.join(", then "))
        }
        None => "certificates of other sites".to_owned(),
    }
}

fn interfaces(address: &ListenAddress) -> String {
    let bind: Vec<String> = address.bind.iter().map(ToString::to_string).collect();
    match bind.is_empty() {
        true => "; on every interface".to_owned(),
        false => format!("; on {}", bind.join(", ")),
    }
}

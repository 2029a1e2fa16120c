//! Where the certificates of a name come from.

use crate::settings::{CertificateSettings, Notice, SiteSettings};

/// Warns of names whose sites have certificates of several sources: a handshake names no port, so the first counts.
pub(super) fn warn_of_several(sites: &[SiteSettings]) -> Vec<Notice> {
    let mut known: Vec<(&str, &CertificateSettings)> = Vec::new();
    let mut notices = Vec::new();
    for certified in sites.iter().flat_map(|site| &site.certificates) {
        for name in &certified.names {
            match known.iter().find(|(known, _)| *known == name.as_str()) {
                None => known.push((name.as_str(), &certified.source)),
                Some((_, first)) if **first == certified.source => {}
                Some((_, first)) => notices.push(Notice::warning(format!(
                    "{name} has certificates of two sources, {} and {}; the first is shown on every port: give the sites of {name} the same `tls`",
                    shown(first),
                    shown(&certified.source)
                ))),
            }
        }
    }
    notices
}

fn shown(source: &CertificateSettings) -> String {
    match source {
        CertificateSettings::Local => "the local authority".to_owned(),
        CertificateSettings::Files { certificate, .. } => certificate.display().to_string(),
        CertificateSettings::Acme(settings) => {
            let urls = settings.authorities.iter();
            let urls: Vec<_> = urls.map(|each| each.directory.as_str()).collect();
            urls.join(", ")
        }
    }
}

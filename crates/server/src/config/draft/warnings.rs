//! What the whole of a configuration may get wrong without being refused.

use super::Draft;
use crate::config::settings::{CertificateSettings, Notice, TransportSettings};
use crate::{folders, transport};

impl Draft {
    /// B-1017: `public_urls` are compared with what this hub receives, and a proxy takes TLS off.
    pub(super) fn warn_of_public_origins(&mut self) {
        let only_https = !self.public_origins.is_empty()
            && self
                .public_origins
                .iter()
                .all(|origin| origin.starts_with("https://"));
        let plain = self.addresses.iter().all(|address| !address.tls) && self.proxies.is_empty();
        if only_https && plain {
            self.notices.push(Notice::warning(
                "public_urls lists https:// URLs only, and this hub serves plain HTTP: every request will be answered 421; name the proxy in trusted_proxies, or list the http:// URL that it uses too",
            ));
        }
    }

    /// Other users of the machine who may read the key of HTTPS, or replace the history.
    pub(super) fn warn_of_permissions(&mut self) {
        let mut exposed = Vec::new();
        if let Some(CertificateSettings::Files { key, .. }) = &self.certificate {
            exposed.extend(folders::exposed_key(key));
        }
        if let Some(TransportSettings::History(history)) = &self.transport {
            let folder = transport::directory_of(&history.path);
            exposed.extend(folders::exposed_folders(&[&history.path, &folder]));
        }
        self.notices
            .extend(exposed.into_iter().map(Notice::warning));
    }
}

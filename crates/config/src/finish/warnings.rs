//! What the whole of a configuration may get wrong without being refused.

use crate::draft::Draft;
use crate::folders;
use crate::settings::{CertificateSettings, Notice, TransportSettings, directory_of};

impl Draft {
    /// `tls` beside addresses that speak plain HTTP.
    pub(super) fn warn_of_certificate(&mut self) {
        if self.tls.is_some() && !self.settings.addresses.iter().any(|address| address.tls) {
            self.notices.push(Notice::warning(
                "`tls` has no effect, because no address speaks HTTPS: write https:// before one, or remove the line",
            ));
        }
    }

    /// `public_urls` are compared with what this hub receives, and a proxy takes TLS off (B-1017).
    pub(super) fn warn_of_public_origins(&mut self) {
        let settings = &self.settings;
        let origins = &settings.hub.public_origins;
        let only_https =
            !origins.is_empty() && origins.iter().all(|origin| origin.starts_with("https://"));
        let plain =
            settings.addresses.iter().all(|address| !address.tls) && settings.proxies.is_empty();
        if only_https && plain {
            self.notices.push(Notice::warning(
                "public_urls lists https:// URLs only, and this hub serves plain HTTP: every request will be answered 421; name the proxy in trusted_proxies, or list the http:// URL that it uses too",
            ));
        }
    }

    /// Other users of the machine who may read the key of HTTPS, or replace the history.
    pub(super) fn warn_of_permissions(&mut self) {
        let mut exposed = Vec::new();
        let files = self.tls.as_ref().and_then(|tls| tls.files.as_ref());
        if let Some(CertificateSettings::Files { key, .. }) = files {
            exposed.extend(folders::exposed_key(key));
        }
        if let TransportSettings::History(history) = &self.settings.transport {
            let folder = directory_of(&history.path);
            exposed.extend(folders::exposed_folders(&[&history.path, &folder]));
        }
        self.notices
            .extend(exposed.into_iter().map(Notice::warning));
    }
}

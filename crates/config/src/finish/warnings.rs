//! What a hub may get wrong without being refused.

use crate::draft::Draft;
use crate::folders;
use crate::settings::{Notice, TransportSettings, directory_of};

impl Draft {
    /// `public_urls` are compared with what this hub receives, and a proxy takes TLS off (B-1017).
    pub(super) fn warn_of_public_origins(&mut self) {
        let origins = &self.hub.public_origins;
        let only_https =
            !origins.is_empty() && origins.iter().all(|origin| origin.starts_with("https://"));
        let plain =
            self.addresses.iter().all(|address| !address.tls) && self.program.proxies.is_empty();
        if only_https && plain {
            self.notices.push(Notice::warning(
                "public_urls lists https:// URLs only, and this hub serves plain HTTP: every request will be answered 421; name the proxy in trusted_proxies, or list the http:// URL that it uses too",
            ));
        }
    }

    /// Other users of the machine who may replace the history.
    pub(super) fn warn_of_permissions(&mut self) {
        let mut exposed = Vec::new();
        if let TransportSettings::History(history) = &self.transport {
            let folder = directory_of(&history.path);
            exposed.extend(folders::exposed_folders(&[&history.path, &folder]));
        }
        self.notices
            .extend(exposed.into_iter().map(Notice::warning));
    }
}

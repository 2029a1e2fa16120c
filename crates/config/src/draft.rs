//! A configuration that is being read: directives write into it, and [`Draft::finish`] checks the whole.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::address::Ports;
use crate::settings::{CertificateSettings, IssuerSettings, KeySource, Notice, Settings};
use crate::source::Place;

/// The issuer of modern tokens where the configuration names none.
pub(crate) const UNNAMED_ISSUER: &str = "https://localhost";

/// What has been read so far.
#[derive(Debug, Default)]
pub struct Draft {
    /// The settings, into which directives write.
    pub settings: Settings,
    /// The interfaces that `bind` names, else `default_bind`; empty for all.
    pub(crate) bind: Vec<IpAddr>,
    /// What the `tls` directive says.
    pub(crate) certificate: Option<CertificateSettings>,
    /// `auto_https disable_redirects` (B-062).
    pub(crate) no_redirects: bool,
    /// `http_port` and `https_port` (B-292).
    pub(crate) ports: Ports,
    /// Issuers in the order of the configuration.
    pub issuers: Vec<IssuerSettings>,
    /// Whether an issuer was named, by a directive or a variable.
    pub(crate) issuer_named: bool,
    /// The keys of the 0.x directives (B-221b).
    pub(crate) older_keys: OlderKeys,
    /// `protocol_version_compatibility` (B-209).
    pub(crate) compatibility: Option<Compatibility>,
    /// Whether the hub is one to play with (B-090).
    pub(crate) playground: bool,
    /// What to tell the operator.
    pub(crate) notices: Vec<Notice>,
    /// Which keys are empty, and the variables that are missing in them.
    pub(crate) missing: Vec<String>,
    /// The files that were imported.
    pub(crate) imported: Vec<PathBuf>,
    written: BTreeSet<&'static str>,
}

impl Draft {
    /// Remembers that the configuration sets this option.
    pub(crate) fn mark_written(&mut self, option: &'static str) {
        self.written.insert(option);
    }

    /// Whether the configuration sets an option, so that no variable and no other option decides on it.
    pub(crate) fn is_written(&self, option: &str) -> bool {
        self.written.contains(option)
    }

    /// Whether the configuration names a key or an issuer.
    pub(crate) fn names_keys(&self) -> bool {
        !self.issuers.is_empty() || self.older_keys.place.is_some()
    }
}

/// Keys that belong to no named issuer.
#[derive(Debug, Default)]
pub(crate) struct OlderKeys {
    /// Key of publishers' tokens.
    pub(crate) publisher: Option<KeySource>,
    /// Key of subscribers' tokens.
    pub(crate) subscriber: Option<KeySource>,
    /// Where the last directive stands.
    pub(crate) place: Option<Place>,
}

/// The older protocol that is spoken too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compatibility {
    /// That of 0.x before version 8, with its permissions (B-622, B-623).
    Seven,
    /// That of 0.x.
    Eight,
}

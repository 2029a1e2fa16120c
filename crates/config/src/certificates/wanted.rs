//! What the configuration says about certificates, before the names of the sites are known.

use std::path::PathBuf;

use url::Url;

use crate::lexer::Word;
use crate::settings::{Binding, CertificateSettings, KeyKind, SniSettings};

/// What the global options say of certificates.
#[derive(Debug, Clone, Default)]
pub(crate) struct Issuance {
    /// `cert_issuer` and `local_certs`, in their order.
    pub issuers: Vec<Issuer>,
    /// What holds for every authority that does not say it itself.
    pub common: Wanted,
    /// `key_type`.
    pub key: Option<KeyKind>,
    /// Whether no certificate is made or ordered by itself (`auto_https off`).
    pub off: bool,
    /// `default_sni` and `fallback_sni`.
    pub sni: SniSettings,
}

impl Issuance {
    /// Whether the local authority is the only one.
    pub(super) fn is_local(&self) -> bool {
        matches!(self.issuers.as_slice(), [Issuer::Internal(_)])
    }
}

/// What issues certificates.
#[derive(Debug, Clone)]
pub(crate) enum Issuer {
    /// The local authority.
    Internal(Word),
    /// An authority that speaks ACME.
    Acme(Wanted),
}

/// What the configuration says of an authority.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub directory: Option<Url>,
    pub email: Option<String>,
    pub roots: Option<PathBuf>,
    pub binding: Option<Binding>,
    pub no_http: bool,
    pub no_alpn: bool,
}

impl Wanted {
    /// The same with what is missing taken from `other`.
    pub(super) fn or(&self, other: &Self) -> Self {
        // A key belongs to the authority for which it is written.
        let is_same = self.directory.is_none() || self.directory == other.directory;
        Self {
            directory: self.directory.clone().or_else(|| other.directory.clone()),
            email: self.email.clone().or_else(|| other.email.clone()),
            roots: self.roots.clone().or_else(|| other.roots.clone()),
            binding: self
                .binding
                .clone()
                .or_else(|| other.binding.clone().filter(|_| is_same)),
            no_http: self.no_http || other.no_http,
            no_alpn: self.no_alpn || other.no_alpn,
        }
    }
}

/// What the `tls` directive of a site says.
#[derive(Debug, Clone, Default)]
pub(crate) struct SiteTls {
    /// The files of the certificate.
    pub files: Option<CertificateSettings>,
    /// Who issues it, in this order.
    pub issuers: Vec<Issuer>,
    /// What holds for each of them that does not say it itself.
    pub common: Wanted,
    /// `key_type`.
    pub key: Option<KeyKind>,
    /// Whether TLS 1.2 is refused.
    pub only_tls13: bool,
}

impl SiteTls {
    /// Whether it says who issues the certificate, or how.
    pub(crate) fn names_issuer(&self) -> bool {
        let Wanted {
            directory,
            email,
            roots,
            binding,
            no_http: _,
            no_alpn: _,
        } = &self.common;
        let is_named =
            directory.is_some() || email.is_some() || roots.is_some() || binding.is_some();
        is_named || !self.issuers.is_empty()
    }
}

//! Where the certificates of HTTPS names come from, and which authorities issue them by ACME (RFC 8555).

use std::path::PathBuf;

use url::Url;

use super::issuers::Secret;

/// The directory of Let's Encrypt.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// The directory of ZeroSSL.
pub const ZERO_SSL: &str = "https://acme.zerossl.com/v2/DV90";

/// Names that are served over HTTPS, and where their certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    /// The host names, in lower case, with IPv6 addresses in brackets; empty for every name.
    pub names: Vec<String>,
    /// Where the certificate comes from.
    pub source: CertificateSettings,
    /// Whether TLS 1.2 is refused (`protocols tls1.3`).
    pub only_tls13: bool,
}

/// Where a certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CertificateSettings {
    /// The local authority makes it (B-065).
    #[default]
    Local,
    /// From files in PEM.
    Files {
        /// The certificate and its chain.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// An authority issues it by ACME (B-064). Each name has a separate certificate.
    Acme(AcmeSettings),
}

/// How certificates are ordered by ACME.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeSettings {
    /// The authorities, in the order in which they are asked; at least one.
    pub authorities: Vec<AuthoritySettings>,
    /// The kind of the certificate's key.
    pub key: KeyKind,
    /// Whether the hub listens for plain HTTP, as the challenge HTTP-01 needs.
    pub http: bool,
}

impl AcmeSettings {
    /// Whether each authority may use a challenge that this hub can answer.
    pub(crate) fn has_challenges(&self) -> bool {
        let has_one = |authority: &AuthoritySettings| {
            authority.alpn_challenge || (authority.http_challenge && self.http)
        };
        self.authorities.iter().all(has_one)
    }
}

/// An authority that issues certificates by ACME.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthoritySettings {
    /// The URL of its directory.
    pub directory: Url,
    /// Where it may write to the owner of the account.
    pub email: Option<String>,
    /// The only roots that certify the authority itself, in PEM; without it, those that the system trusts.
    pub roots: Option<PathBuf>,
    /// What binds the account to one that its owner has elsewhere.
    pub binding: Option<Binding>,
    /// Whether the challenge HTTP-01 may be used.
    pub http_challenge: bool,
    /// Whether the challenge TLS-ALPN-01 may be used.
    pub alpn_challenge: bool,
}

/// An external account binding (RFC 8555, section 7.3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binding {
    /// The key that the authority gave out.
    Key {
        /// The identifier of the key.
        id: String,
        /// The key, in base64url.
        key: Secret,
    },
    /// ZeroSSL gives a key to anyone who names an email address, or to the owner of an access key.
    ZeroSsl(Option<Secret>),
}

/// The kind of a certificate's key (`key_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyKind {
    /// ECDSA with P-256.
    #[default]
    P256,
    /// ECDSA with P-384.
    P384,
    /// Ed25519.
    Ed25519,
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 4096 bits.
    Rsa4096,
}

/// Which certificate is shown to clients that name no host that is served.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SniSettings {
    /// The name that counts where a client names none (`default_sni`).
    pub default: Option<String>,
    /// The name that counts where a client names one that is not served (`fallback_sni`).
    pub fallback: Option<String>,
}

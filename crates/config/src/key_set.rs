//! Where the key sets of issuers are published.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use talaria_hub::access::KeySet;
use url::Url;

/// The most bytes that a key set may have.
pub const MAX_BYTES: u64 = 1 << 20;

/// How long a request waits for the fetch that its token's unknown key asks for: a fetch that has just
/// begun may take all of its time, and so may the next one.
pub const PATIENCE: Duration = Duration::from_secs(17);

/// Where a key set is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// At this address.
    Url(Url),
    /// In a file.
    File(PathBuf),
    /// At the address in the issuer's metadata document (RFC 8414, OpenID Connect Discovery).
    Discovered,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => write!(f, "{url}"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Discovered => f.write_str("the address in its metadata document"),
        }
    }
}

/// A key set to be kept up to date.
#[derive(Debug, Clone)]
pub struct KeySetSource {
    /// The identifier of its issuer.
    pub issuer: String,
    /// Where it is published.
    pub location: Location,
    /// The keys, replaced with each fetch.
    pub set: Arc<KeySet>,
}

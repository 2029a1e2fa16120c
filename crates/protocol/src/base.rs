//! The one URL against which a hub resolves relative patterns and topics.

use url::Url;

use crate::{HUB_PATH, ProtocolError};

/// The hub's URL: base of relative URL Patterns and topics (specification, "URL Pattern") and
/// owner of the reserved namespace (specification, "Publication"). One per hub.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Base(Url);

impl Base {
    /// A base from an absolute URL such as `https://hub.example/.well-known/mercure`.
    ///
    /// # Errors
    /// When the text is no absolute URL with a host.
    pub fn new(url: &str) -> Result<Self, ProtocolError> {
        match Url::parse(url) {
            Ok(url) if url.has_host() && url.fragment().is_none() => Ok(Self(url)),
            _ => Err(ProtocolError::malformed(
                "hub URL",
                format!(
                    "{} is no absolute URL with a host; write one like https://hub.example{HUB_PATH}",
                    crate::error::Shown(url)
                ),
            )),
        }
    }

    /// The base of a hub that knows no public name (B-430): relative matches relative and
    /// absolute matches absolute, never across.
    pub fn synthetic() -> Self {
        // `.invalid` is reserved (RFC 2606), so no absolute topic meets it by accident.
        #[expect(clippy::expect_used, reason = "a constant")]
        Self(Url::parse("http://hub.invalid/.well-known/mercure").expect("a valid URL"))
    }

    /// Whether the hub knows no public name.
    pub fn is_synthetic(&self) -> bool {
        *self == Self::synthetic()
    }

    /// The URL itself.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

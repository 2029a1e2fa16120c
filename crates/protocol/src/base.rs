//! The one URL against which a hub resolves relative patterns and topics.

use url::Url;

use crate::error::{ProtocolError, Shown};

/// The path of the hub's URL (specification, "Discovery").
pub const HUB_PATH: &str = "/.well-known/mercure";

/// The hub's URL: base of relative URL Patterns and topics (specification, "URL Pattern") and
/// owner of the reserved namespace (specification, "Publication"). One per hub.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Base(Url);

impl Base {
    /// A base from an absolute URL such as `https://hub.example/.well-known/mercure`.
    ///
    /// # Errors
    /// [`Blame::Malformed`](crate::Blame::Malformed) if the text is not an absolute URL with a
    /// host, or has a fragment.
    pub fn new(url: &str) -> Result<Self, ProtocolError> {
        match Url::parse(url) {
            Ok(url) if url.has_host() && url.fragment().is_none() => Ok(Self(url)),
            _ => Err(ProtocolError::malformed(
                "hub URL",
                format!(
                    "{} is not an absolute URL with a host and without a fragment; write one like https://hub.example{HUB_PATH}",
                    Shown(url)
                ),
            )),
        }
    }

    /// The base of a hub without a public URL: relative topics match relative patterns and absolute
    /// topics match absolute ones, never across (B-430).
    pub fn synthetic() -> Self {
        // `.invalid` is reserved (RFC 2606), so no absolute topic meets it by accident.
        #[expect(clippy::expect_used, reason = "a constant")]
        Self(Url::parse("http://hub.invalid/.well-known/mercure").expect("a valid URL"))
    }

    /// Whether this is the base of a hub without a public URL.
    pub fn is_synthetic(&self) -> bool {
        *self == Self::synthetic()
    }

    /// The URL itself.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

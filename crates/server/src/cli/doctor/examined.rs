//! The hub that is examined.

use std::time::Duration;

use url::Url;

use crate::cli::client::{Caller, Token};

/// How long a hub may take to answer, and a stream to pass its next part on.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A hub that is examined, and with what it is asked.
pub(super) struct Examined<'a> {
    /// Its URL.
    pub(super) url: &'a Url,
    /// What asks it.
    pub(super) caller: Caller,
    /// The topic to publish and to subscribe to.
    pub(super) topic: &'a str,
    /// The token to present.
    pub(super) token: Option<&'a Token>,
    /// The origin of the pages.
    pub(super) origin: Option<&'a str>,
    /// How long to keep a stream open.
    pub(super) idle: Option<Duration>,
    /// The port of the admin listener.
    pub(super) admin_port: u16,
    /// What calls itself a server in the first answer.
    pub(super) server: String,
}

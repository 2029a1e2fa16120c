//! Puts a hub together.

use std::fmt;
use std::sync::Arc;

use talaria_protocol::Base;
use talaria_transport::{Memory, MemoryOptions, Transport};

use crate::access::Issuers;
use crate::clock::{Clock, SystemClock};
use crate::hub::Hub;
use crate::options::HubOptions;

/// Builds a [`Hub`]. Clock, transport and options have defaults: the system's clock, a log in memory,
/// and those of [`HubOptions::new`].
///
/// ```
/// use std::time::Duration;
///
/// use talaria_hub::Hub;
/// use talaria_hub::access::{Algorithm, Issuer, Issuers, VerificationKey};
/// use talaria_hub::protocol::Base;
///
/// let secret = "0123456789abcdef0123456789abcdef";
/// let key = VerificationKey::from_secret(secret, Algorithm::HS256)?;
/// let issuers = Issuers::new([Issuer::new("https://app.example").subscriber(key)])?;
/// let hub = Hub::builder(issuers)
///     .anonymous()
///     .url(Base::new("https://app.example/.well-known/mercure")?)
///     .configure(|options| options.heartbeat = Some(Duration::from_secs(15)))
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct HubBuilder {
    options: HubOptions,
    transport: Option<Arc<dyn Transport>>,
    clock: Arc<dyn Clock>,
}

/// Why a hub cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The system has no randomness or no thread for the log in memory.
    #[error("the log in memory cannot be opened")]
    Memory(#[source] std::io::Error),
}

impl Hub {
    /// Begins a hub that trusts these issuers. Without any ([`Issuers::default`]), the application alone
    /// publishes, and every client may subscribe to what is public.
    ///
    /// The same is true of subscribers if no issuer has a
    /// [subscriber key](crate::access::Issuer::subscriber): their tokens are ignored, and every client
    /// may subscribe to what is public, even without [`anonymous`](HubBuilder::anonymous) (B-334).
    pub fn builder(issuers: Issuers) -> HubBuilder {
        HubOptions::new(issuers).into()
    }
}

impl From<HubOptions> for HubBuilder {
    fn from(options: HubOptions) -> Self {
        Self {
            options,
            transport: None,
            clock: Arc::new(SystemClock),
        }
    }
}

impl HubBuilder {
    /// Serves subscribers without a token: they receive what is public.
    ///
    /// Without this, subscribers need a token only if an issuer has a
    /// [subscriber key](crate::access::Issuer::subscriber). If none has one, every client receives what
    /// is public (B-334).
    pub fn anonymous(mut self) -> Self {
        self.options.anonymous = true;
        self
    }

    /// Names the hub's URL as its clients see it. The audience of tokens must contain it, and relative
    /// topics and patterns are resolved against it. Without it, the hub derives its URL from each
    /// request, and relative topics match relative ones only.
    ///
    /// Give the whole URL with the path `/.well-known/mercure`, as in
    /// `https://app.example/.well-known/mercure`: clients publish and subscribe at this path and no other.
    pub fn url(mut self, url: Base) -> Self {
        self.options.resource_identifier = Some(url.url().to_string());
        self.options.base = url;
        self
    }

    /// Changes any option.
    pub fn configure(mut self, change: impl FnOnce(&mut HubOptions)) -> Self {
        change(&mut self.options);
        self
    }

    /// Stores updates in this log instead of a new one in memory. It must not have been started.
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Takes the time from this clock instead of the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Builds the hub.
    ///
    /// # Errors
    /// See [`BuildError`]; there is none with a transport of your own.
    pub fn build(self) -> Result<Hub, BuildError> {
        let transport = match self.transport {
            Some(transport) => transport,
            None => Arc::new(Memory::open(MemoryOptions::default()).map_err(BuildError::Memory)?),
        };
        Ok(Hub::new(self.options, transport, self.clock))
    }
}

impl fmt::Debug for HubBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubBuilder")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::io;

    use super::*;

    /// A program that prints an error with its sources prints the cause once.
    #[test]
    fn the_cause_is_told_once() {
        let error = BuildError::Memory(io::Error::other("no thread"));
        assert!(!error.to_string().contains("no thread"), "{error}");
        let source = error.source().map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("no thread"));
    }
}

//! Ends streams and refuses tokens at an operator's word (ADR 0021).

use crate::access::{Revocation, Tokens, TooManyRevocations};
use crate::hub::Hub;

impl Hub {
    /// Refuses these tokens until the revocation ends, and ends their streams at once. Returns how many
    /// streams that are. A request with such a token is answered 401 `invalid_token`; the client of a stream
    /// is told to come back, and is refused then.
    ///
    /// The list outlives [`Self::reconfigure`] and is that of the hubs [beside](Self::beside) this one, too;
    /// but their streams end only through them. It is not stored: give a new hub what
    /// [`Self::revocations`] returned.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use talaria_hub::Hub;
    /// use talaria_hub::access::{Issuers, Revocation, Tokens};
    /// use talaria_hub::clock::{Clock, SystemClock};
    ///
    /// let hub = Hub::builder(Issuers::default()).build()?;
    /// let now = SystemClock.unix_time();
    /// let ended = hub.revoke(Revocation {
    ///     tokens: Tokens { subject: Some("ann".to_owned()), ..Tokens::default() },
    ///     issued_before: Some(now),
    ///     since: now,
    ///     until: now + Duration::from_secs(3600),
    ///     reason: None,
    /// })?;
    /// assert_eq!((ended, hub.revocations().len()), (0, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The list is full; then nothing has changed.
    pub fn revoke(&self, revocation: Revocation) -> Result<usize, TooManyRevocations> {
        let hub = self.shared();
        let tokens = revocation.tokens.clone();
        // A stream that opens meanwhile looks at the list once it can be found.
        hub.denied.enter(revocation, hub.clock.unix_time())?;
        Ok(hub.permits.end_those_of(&tokens))
    }

    /// Ends the streams of tokens that have all of these claims; they are not refused from then on. Returns
    /// how many there are.
    pub fn disconnect_tokens(&self, tokens: &Tokens) -> usize {
        self.shared().permits.end_those_of(tokens)
    }

    /// Ends the stream of the subscriber with this id, which subscription events and the list of active
    /// subscriptions show. Returns how many there are. Its client is told to come back, with another id.
    pub fn disconnect(&self, subscriber: &str) -> usize {
        self.shared().permits.end_subscriber(subscriber)
    }

    /// Accepts tokens again: removes the revocations that have all of these claims, and returns them.
    pub fn take_back(&self, tokens: &Tokens) -> Vec<Revocation> {
        let hub = self.shared();
        hub.denied.remove(tokens, hub.clock.unix_time())
    }

    /// Ends the streams whose token a key verified that is no longer in its [key set](crate::access::KeySet), as
    /// [`Self::reconfigure`] ends those of a key that is no longer configured. Call it when a set has
    /// [lost](crate::access::Taken::lost) keys.
    pub fn end_streams_of_lost_keys(&self) {
        self.shared().permits.end_lost_keys();
    }

    /// The revocations that have not ended, the oldest first.
    pub fn revocations(&self) -> Vec<Revocation> {
        let hub = self.shared();
        hub.denied.list(hub.clock.unix_time())
    }
}

//! Options of presence.

/// Which subscriptions are announced, and how many bytes their events may take.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PresenceOptions {
    /// Whether only subscribers with a token are announced and listed.
    pub token_holders_only: bool,
    /// The most bytes of all events of one subscription request, the ends included. A request with more is
    /// answered 400. Events are counted as a log stores them.
    pub bytes_per_request: usize,
    /// The bytes of events for one client in a second; 0 for no bound. After a burst of sixteen seconds'
    /// worth, what exceeds them is announced later. A client is the subject of a token, else an address.
    pub bytes_per_second: u64,
}

impl Default for PresenceOptions {
    /// Requests of 256 matchers of 200 bytes fit, as do those whose token has a payload of some hundred
    /// bytes, and eight such requests at once.
    fn default() -> Self {
        Self {
            token_holders_only: false,
            bytes_per_request: 2 * 1024 * 1024,
            bytes_per_second: 1024 * 1024,
        }
    }
}

//! How a hub behaves.

use std::time::Duration;

use talaria_protocol::{Base, Limits};

use crate::Rule;
use crate::access::Issuers;
use crate::limits::BudgetOptions;
use crate::origin::Origins;
use crate::presence::PresenceOptions;

/// What a subscriber gets first when its `Last-Event-ID` is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownCursor {
    /// Everything kept.
    Replay,
    /// What is published from now on (B-507).
    #[default]
    Live,
}

/// How a hub behaves.
#[derive(Debug)]
#[non_exhaustive]
pub struct HubOptions {
    /// Who may issue tokens, and with which keys.
    pub issuers: Issuers,
    /// Whether subscribers without a token are served.
    pub anonymous: bool,
    /// The cookie that carries a token (specification, "Cookie").
    pub cookie_name: String,
    /// The hub's resource identifier; derived from each request if not pinned (B-420).
    pub resource_identifier: Option<String>,
    /// Against what relative patterns and topics are resolved.
    pub base: Base,
    /// A comment after this much silence; `None` for none.
    pub heartbeat: Option<Duration>,
    /// The longest life of a stream, of which a random 80 to 100 % is used (B-400); `None` for no
    /// bound.
    pub write_timeout: Option<Duration>,
    /// The bound of a request body, in bytes.
    pub max_request_body_size: usize,
    /// The bound of the body of a `QUERY` without a token, in bytes, if it is less than
    /// [`Self::max_request_body_size`].
    pub max_anonymous_body_size: usize,
    /// The origins whose pages may subscribe; `None` for no CORS headers at all.
    pub cors_origins: Option<Origins>,
    /// The origins, besides the hub's own, whose pages may publish by cookie.
    pub publish_origins: Origins,
    /// The maximums of the protocol.
    pub limits: Limits,
    /// What clients may hold.
    pub budgets: BudgetOptions,
    /// What an unknown cursor brings.
    pub unknown_cursor: UnknownCursor,
    /// How long a publish with the same id by the same token subject is answered with that id and not
    /// stored again; `None` stores it again, as the specification says.
    pub repeat_window: Option<Duration>,
    /// The only origins under which requests are answered, in lower case; empty for all (B-204).
    pub public_origins: Vec<String>,
    /// What `aud` may contain besides the resource identifier.
    pub accepted_audiences: Vec<String>,
    /// How long a token may live; `None` for any time.
    pub max_token_lifetime: Option<Duration>,
    /// Whether subscriptions are announced and listed (specification, "Active Subscriptions").
    pub subscriptions: bool,
    /// Whose subscriptions are announced, and what their events may take.
    pub presence: PresenceOptions,
    /// Which generations of the protocol are spoken.
    pub rule: Rule,
    /// Whether any 0.x publisher may publish public updates on topics that its token does not grant
    /// (B-622).
    pub publish_ungranted: bool,
}

impl HubOptions {
    /// The defaults, for these issuers.
    pub fn new(issuers: Issuers) -> Self {
        Self {
            issuers,
            anonymous: false,
            cookie_name: "__Secure-mercure_access_token".to_owned(),
            resource_identifier: None,
            base: Base::synthetic(),
            heartbeat: Some(Duration::from_secs(40)),
            write_timeout: Some(Duration::from_secs(600)),
            max_request_body_size: 1 << 20,
            max_anonymous_body_size: 256 << 10,
            cors_origins: None,
            publish_origins: Origins::default(),
            limits: Limits::default(),
            budgets: BudgetOptions::default(),
            unknown_cursor: UnknownCursor::default(),
            repeat_window: None,
            public_origins: Vec::new(),
            accepted_audiences: Vec::new(),
            max_token_lifetime: None,
            subscriptions: false,
            presence: PresenceOptions::default(),
            rule: Rule::default(),
            publish_ungranted: false,
        }
    }
}

//! The options of a hub.

use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::{Base, Limits};

use crate::Rule;
use crate::access::Issuers;
use crate::access::origin::Origins;
use crate::limits::BudgetOptions;
use crate::presence::PresenceOptions;
use crate::statistics::Statistics;

/// What a subscriber gets first if the log does not know its `Last-Event-ID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownCursor {
    /// All updates that the log holds.
    Replay,
    /// Only what is published from now on (B-507).
    #[default]
    Live,
}

/// The options of a hub. [`HubOptions::new`] has the defaults; change the fields that you need.
///
/// ```
/// use talaria_hub::access::Issuers;
/// use talaria_hub::{Hub, HubBuilder, HubOptions};
///
/// let mut options = HubOptions::new(Issuers::default());
/// options.subscriptions = true;
/// let hub: Hub = HubBuilder::from(options).build()?;
/// # Ok::<(), talaria_hub::BuildError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HubOptions {
    /// The issuers whose tokens are accepted, and their keys.
    pub issuers: Issuers,
    /// Whether subscribers without a token are served. They receive what is public. If no issuer has a
    /// subscriber key, they are served whatever this says (B-334).
    pub anonymous: bool,
    /// The cookie that carries a token (specification, "Cookie").
    pub cookie_name: String,
    /// The hub's resource identifier, which `aud` must contain. `None` derives it from each request (B-420).
    pub resource_identifier: Option<String>,
    /// The URL that relative patterns and topics are resolved against.
    pub base: Base,
    /// After this much silence, a stream sends a comment; `None` sends no comments.
    pub heartbeat: Option<Duration>,
    /// A stream ends after a random 80 to 100 % of this, so that clients do not come back all at once;
    /// `None` lets streams last (B-400).
    pub write_timeout: Option<Duration>,
    /// The largest request body, in bytes, and the largest update of the application.
    pub max_request_body_size: usize,
    /// The largest body of a `QUERY` without a token, in bytes, if that is less than
    /// [`Self::max_request_body_size`].
    pub max_anonymous_body_size: usize,
    /// The origins whose pages may subscribe; `None` sends no CORS headers.
    pub cors_origins: Option<Origins>,
    /// The origins, besides the hub's own, whose pages may publish with a cookie.
    pub publish_origins: Origins,
    /// The limits of one request, one update and one token.
    pub limits: Limits,
    /// How much clients may hold of each resource.
    pub budgets: BudgetOptions,
    /// What a subscriber gets first if the log does not know its `Last-Event-ID`.
    pub unknown_cursor: UnknownCursor,
    /// How long a repeated publish is recognised: one with the same id by the same token subject. It is
    /// answered with that id and not stored again, also by another process with the same log. `None` stores it
    /// again, as the specification says.
    pub repeat_window: Option<Duration>,
    /// The origins under which requests are answered, in lower case. An empty list stands for all (B-204).
    pub public_origins: Vec<String>,
    /// What `aud` may contain instead of the resource identifier.
    pub accepted_audiences: Vec<String>,
    /// The longest lifetime of a token; `None` accepts any.
    pub max_token_lifetime: Option<Duration>,
    /// Whether subscriptions are announced and listed (specification, "Active Subscriptions"). Hubs of several
    /// processes with one log list those of all.
    pub subscriptions: bool,
    /// Which subscriptions are announced, and how much their events may take.
    pub presence: PresenceOptions,
    /// The generations of the protocol that the hub speaks.
    pub rule: Rule,
    /// Whether a 0.x publisher may publish public updates on topics that its token does not grant (B-622).
    pub publish_ungranted: bool,
    /// Which pages for people the hub has.
    pub pages: PageOptions,
    /// Whether updates of clients are counted by their first topic; [`Statistics::busiest`] tells the busiest.
    pub busiest_topics: bool,
    /// What requests and streams are counted in.
    pub statistics: Arc<Statistics>,
}

/// Which pages for people a hub has. All are off by default: they tell every visitor the names of the issuers and
/// which tokens the hub accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PageOptions {
    /// The debugger at `/.well-known/mercure/debug/`.
    pub debugger: bool,
    /// The debugger where hubs of 0.x have their page, `/.well-known/mercure/ui/`. It redirects if
    /// [`Self::debugger`] is on.
    pub ui: bool,
    /// Resources to discover below `/.well-known/mercure/ui/demo/`, as hubs of 0.x have them, and [`Self::ui`].
    pub demo: bool,
    /// A debugger for trying things out: every visitor of its page gets a token for all topics, if an issuer has a
    /// shared secret. Resources to discover are below `/playground/`, and `/` redirects to the page.
    pub playground: bool,
}

impl HubOptions {
    /// The default options, with these issuers.
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
            pages: PageOptions::default(),
            busiest_topics: false,
            statistics: Arc::default(),
        }
    }
}

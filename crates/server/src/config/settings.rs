//! The configuration as the program uses it: typed, checked, without secrets in `Debug`.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use talaria_hub::access::{Algorithm, Issuers};
use talaria_hub::limits::BudgetOptions;
use talaria_hub::origin::Origins;
use talaria_hub::{PresenceOptions, Rule, UnknownCursor};
use talaria_protocol::{Base, HUB_PATH, Limits};
use talaria_transport::history::SyncMode;

use super::lexer::Word;
use super::source::Place;
use crate::key_sets::{Location, Source};
use crate::log::Levels;
use crate::proxies::Proxies;

/// Bytes of a secret or PEM text. `Debug` is redacted and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps key material.
    pub fn new(material: String) -> Self {
        Self(material)
    }

    /// The material itself, for the verifier only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What verifies the tokens of one role of one issuer.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A key of the configuration.
    Static(KeySettings),
    /// The set that the issuer publishes.
    Set(KeySetSettings),
}

impl From<KeySettings> for KeySource {
    fn from(key: KeySettings) -> Self {
        Self::Static(key)
    }
}

/// A key set of one role of one issuer (B-236).
#[derive(Debug, Clone)]
pub struct KeySetSettings {
    /// Where it is published.
    pub location: Location,
    /// The algorithms that tokens may use; empty for all but those with shared secrets.
    pub algorithms: Vec<Algorithm>,
    /// Where it was named.
    pub place: Place,
}

/// A static key of one role of one issuer (B-235).
#[derive(Debug, Clone)]
pub struct KeySettings {
    /// Raw secret or PEM text, exactly as configured (B-123).
    pub material: Secret,
    /// The one algorithm that tokens may use; `None` means HS256, for a raw secret only (B-224).
    pub algorithm: Option<String>,
    /// Where the key came from.
    pub place: Place,
    /// Where the algorithm is, or would be, named.
    pub algorithm_place: Option<Place>,
}

/// An issuer and the keys that verify its tokens (B-233 to B-238).
#[derive(Debug, Clone)]
pub struct IssuerSettings {
    /// Compared with the token's `iss`, octet for octet; never empty (B-223).
    pub identifier: String,
    /// Whether the metadata document lists it under `authorization_servers` (B-233).
    pub authorization_server: bool,
    /// Whether its keys also judge 0.x tokens that name no trusted issuer (B-613).
    pub judges_unnamed: bool,
    /// What verifies publishers' tokens; without it they are refused.
    pub publisher: Option<KeySource>,
    /// What verifies subscribers' tokens; without it they are refused.
    pub subscriber: Option<KeySource>,
    /// Where it was named.
    pub place: Place,
}

/// One address to listen on (B-061).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddress {
    /// The only host name or address, in lower case and without a port, that requests may name;
    /// `None` takes every host. It says nothing about interfaces: behind NAT and in containers the
    /// public address is not one of this machine (B-061).
    pub host: Option<String>,
    /// The interfaces to listen on, by address; empty for all of them, IPv6 and IPv4.
    pub bind: Vec<IpAddr>,
    /// TCP port; 0 lets the system choose one.
    pub port: u16,
    /// Whether it speaks HTTPS.
    pub tls: bool,
}

impl ListenAddress {
    /// The hub's URL there, if host and port are known.
    pub fn url(&self) -> Option<String> {
        let host = self.host.as_deref().filter(|_| self.port != 0)?;
        Some(self.url_on(host))
    }

    /// The hub's URL there for clients that name it so.
    pub fn url_on(&self, host: &str) -> String {
        let (scheme, default) = if self.tls {
            ("https", 443)
        } else {
            ("http", 80)
        };
        match self.port {
            port if port == default => format!("{scheme}://{host}{HUB_PATH}"),
            port => format!("{scheme}://{host}:{port}{HUB_PATH}"),
        }
    }
}

/// Where the certificate of the HTTPS addresses comes from.
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
}

/// Where updates are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportSettings {
    /// `transport bolt`: the history on disk (B-250).
    History(HistorySettings),
    /// `transport memory`: the history is the ring.
    Memory {
        /// Updates kept at most; `None` leaves it to `max_bytes`.
        size: Option<u64>,
        /// Bytes kept at most.
        max_bytes: u64,
        /// The answer to an unknown cursor.
        unknown_cursor: UnknownCursor,
    },
    /// `transport local`: no history (B-252).
    Local {
        /// Bytes kept at most for readers that are a little behind.
        max_bytes: u64,
    },
}

/// The history on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistorySettings {
    /// The database of the existing hub; the history is `<path>.talaria` beside it.
    pub path: PathBuf,
    /// The bucket of that database.
    pub bucket_name: String,
    /// Updates kept at most.
    pub size: Option<u64>,
    /// Bytes that kept updates may occupy.
    pub max_bytes: Option<u64>,
    /// How long an update is kept.
    pub max_age: Option<Duration>,
    /// When an acknowledged update is on the disk.
    pub sync: SyncMode,
    /// Bytes of the newest updates in memory.
    pub ring_bytes: u64,
    /// The answer to an unknown cursor.
    pub unknown_cursor: UnknownCursor,
}

/// An entry of `cors_origins` or `publish_origins`, as written.
#[derive(Debug, Clone)]
pub struct OriginSetting {
    /// What was written.
    pub text: String,
    /// Where.
    pub place: Place,
}

impl From<Word> for OriginSetting {
    fn from(word: Word) -> Self {
        Self {
            text: word.text,
            place: word.place,
        }
    }
}

/// The least bound of a head: what hyper reads at once.
pub const LEAST_HEAD_BYTES: u64 = 8 * 1024;

/// The bounds of a request's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadSettings {
    /// Bytes with the target, at most; beyond it 431.
    pub bytes: usize,
    /// Header fields, at most; beyond it 431.
    pub fields: usize,
    /// How long it may take once it has begun; beyond it 408.
    pub timeout: Duration,
}

impl Default for HeadSettings {
    fn default() -> Self {
        Self {
            bytes: 128 * 1024,
            fields: 100,
            timeout: Duration::from_secs(10),
        }
    }
}

/// What connections may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionSettings {
    /// Open connections at most; `None` for what the limit of open files leaves.
    pub most: Option<u64>,
    /// Those of one address.
    pub most_of_address: Option<u64>,
    /// TLS handshakes under way; `None` for a quarter of the connections.
    pub handshakes: Option<u64>,
    /// Streams of one HTTP/2 connection.
    pub streams: u32,
    /// The bounds of each head.
    pub head: HeadSettings,
    /// Bytes of memory of all heads that are incomplete or large.
    pub head_memory: u64,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            most: None,
            most_of_address: None,
            handshakes: None,
            streams: 250,
            head: HeadSettings::default(),
            head_memory: 64 * 1024 * 1024,
        }
    }
}

/// Everything the hub needs to know to serve.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen; at least one.
    pub addresses: Vec<ListenAddress>,
    /// What the HTTPS addresses show.
    pub certificate: CertificateSettings,
    /// The port from which is redirected to HTTPS (B-062).
    pub redirects: Option<u16>,
    /// Whether the root of the local authority is kept out of this machine's store (B-293).
    pub skip_install_trust: bool,
    /// Whose word counts on scheme and host of a request.
    pub proxies: Proxies,
    /// Issuers whose tokens are accepted; at least one has a publisher key.
    pub issuers: Issuers,
    /// The key sets among their keys, to be kept up to date.
    pub key_sets: Vec<Source>,
    /// Which generations of the protocol are spoken (design §6).
    pub rule: Rule,
    /// Whether 0.x publishers may publish public updates that their tokens do not grant (B-622).
    pub publish_ungranted: bool,
    /// Whether a subscriber needs no token (B-205).
    pub anonymous: bool,
    /// How long a repeated publish is not stored again; `None` stores it again.
    pub repeat_window: Option<Duration>,
    /// The only origins, as `scheme://host[:port]` in lower case, under which requests are
    /// answered; empty for all (B-204).
    pub public_origins: Vec<String>,
    /// What `aud` may contain besides the resource identifier.
    pub accepted_audiences: Vec<String>,
    /// How long a token may live; `None` for any time.
    pub max_token_lifetime: Option<Duration>,
    /// Whether subscriptions are announced and listed (B-210).
    pub subscriptions: bool,
    /// Whose subscriptions are announced, and what their events may take.
    pub presence: PresenceOptions,
    /// Name of the cookie that carries the token (B-208).
    pub cookie_name: String,
    /// The pinned resource identifier (B-203).
    pub resource_identifier: Option<String>,
    /// Base of relative patterns and topics: the pinned identifier if it ends in the hub's path, else
    /// the one name that the addresses give, else the synthetic one (design §6, B-430).
    pub base: Base,
    /// Silence after which a comment is sent; `None` never (B-211).
    pub heartbeat: Option<Duration>,
    /// Age at which a stream is ended so that its client reconnects; `None` never (B-212).
    pub write_timeout: Option<Duration>,
    /// Time without an accepted byte after which a stalled reader is dropped; `None` never (B-213).
    pub dispatch_timeout: Option<Duration>,
    /// Window in which streams end at shutdown; zero ends all at once (B-1022).
    pub drain_timeout: Duration,
    /// Bytes of a request body at most; beyond it 413 (B-214).
    pub max_request_body_size: u64,
    /// Bytes of the body of a `QUERY` without a token at most; beyond it 413.
    pub max_anonymous_body_size: u64,
    /// What connections may hold.
    pub connections: ConnectionSettings,
    /// Where updates are kept.
    pub transport: TransportSettings,
    /// Origins whose scripts may read answers (B-207); empty sends no CORS headers.
    pub cors_origins: Origins,
    /// Origins whose pages may publish with the cookie, beside the hub's own (B-206).
    pub publish_origins: Origins,
    /// Maximums of one request and one token.
    pub limits: Limits,
    /// What clients may hold.
    pub budgets: BudgetOptions,
    /// What is logged.
    pub log: Levels,
}

/// How urgent a [`Notice`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something has no effect and needs none.
    Info,
    /// The configuration probably does not do what its author wants.
    Warning,
}

/// Something to tell the operator once at start; it never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How urgent it is.
    pub level: Level,
    /// The message, one line.
    pub text: String,
}

impl Notice {
    /// An informative notice.
    pub fn info(text: impl Into<String>) -> Self {
        Self {
            level: Level::Info,
            text: text.into(),
        }
    }

    /// A warning.
    pub fn warning(text: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            text: text.into(),
        }
    }
}

/// What [`super::load`] gives.
#[derive(Debug)]
pub struct Loaded {
    /// The checked settings.
    pub settings: Settings,
    /// What to tell the operator.
    pub notices: Vec<Notice>,
}

//! The pages of the documentation that messages name, by their address on the web.

use std::fmt;

/// Where the pages are, with a `/` at the end.
pub const DOCS: &str = "https://github.com/talaria-hub/talaria/blob/main/docs/";

/// A page of the documentation, perhaps at one of its headings. It is shown as its address.
///
/// ```
/// use talaria_config::guide::{self, Page};
///
/// assert!(Page::HTTPS.to_string().starts_with(guide::DOCS));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The file below `docs/`.
    pub file: &'static str,
    /// The heading as its anchor is written; empty for the whole page.
    pub heading: &'static str,
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{DOCS}{}", self.file)?;
        match self.heading {
            "" => Ok(()),
            heading => write!(f, "#{heading}"),
        }
    }
}

/// Defines a constant for each page that a message may name, and [`Page::ALL`] of them.
macro_rules! pages {
    ($($(#[$about:meta])* $name:ident = $file:literal, $heading:literal;)*) => {
        impl Page {
            $($(#[$about])* pub const $name: Self = Self { file: $file, heading: $heading };)*

            /// Every page that a message may name; a test finds each of them in `docs/`.
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

pages! {
    /// Every directive, variable and flag.
    CONFIGURATION = "configuration.md", "";
    /// The directives around the hub.
    SITES = "sites.md", "";
    /// The first steps.
    GETTING_STARTED = "getting-started.md", "";
    /// The hub for development.
    DEVELOPMENT = "development.md", "";
    /// Clients of both generations of Mercure.
    GENERATIONS = "generations.md", "";
    /// Certificates and who trusts them.
    HTTPS = "https.md", "";
    /// The logs: what the configuration says of them.
    LOGS = "logs.md", "";
    /// Who trusts the local authority.
    HTTPS_TRUST = "https.md", "who-trusts-it";
    /// `http` where `https` is served, and the reverse.
    WRONG_SCHEME = "https.md", "the-wrong-scheme";
    /// Proxies in front of the hub.
    PROXIES = "proxies.md", "";
    /// How many streams a browser opens.
    PROXY_STREAMS = "proxies.md", "how-many-streams";
    /// What goes wrong between a proxy and the hub.
    PROXY_FAULTS = "proxies.md", "when-it-does-not-work";
    /// What the hub does beyond its limits.
    LIMITS = "limits.md", "";
    /// Methods, parameters and status codes.
    HTTP = "http.md", "";
    /// What each status means.
    STATUS = "http.md", "status-codes";
    /// How to publish.
    PUBLISH = "http.md", "publish";
    /// How to subscribe.
    SUBSCRIBE = "http.md", "subscribe";
    /// Which pages may use the hub.
    CORS = "http.md", "cors";
    /// The cookie with the token.
    COOKIES = "http.md", "cookies";
    /// What a token must contain.
    TOKENS = "tokens.md", "";
    /// The hub's name in tokens.
    TOKEN_AUDIENCE = "tokens.md", "what-it-says";
    /// How tokens are made.
    TOKEN_MINT = "tokens.md", "mint";
    /// How a token is judged.
    TOKEN_CHECK = "tokens.md", "check";
    /// What is wrong with a key.
    KEYS = "tokens.md", "keys";
    /// Why a token is refused.
    TOKEN_REFUSED = "tokens.md", "why-a-token-is-refused";
    /// Tokens of Mercure 0.x.
    TOKENS_OF_0_X = "tokens.md", "tokens-of-mercure-0x";
    /// What `talaria doctor` examines.
    DOCTOR = "troubleshooting.md", "";
    /// Requests that do not reach the hub.
    NOT_REACHED = "troubleshooting.md", "requests-that-do-not-reach-the-hub";
    /// How a hub is run.
    OPERATING = "operating.md", "";
    /// The history on disk.
    HISTORY = "operating.md", "the-history";
    /// The listener for operators.
    ADMIN = "operating.md", "the-admin-listener";
    /// How a hub is measured.
    BENCH = "bench.md", "";
}

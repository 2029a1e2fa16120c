//! Lists of web origins: who may read across origins, and who may publish with a cookie (B-226).

use std::fmt;

use talaria_protocol::error::Shown;
use url::{Host, Url};

/// The origin that browsers send for pages without one: files, sandboxed frames and redirects across
/// origins.
const NULL: &str = "null";

/// Why a text cannot stand in a list of origins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// Not an origin, as a browser would send it.
    #[error("origin {} {problem}", Shown(.value))]
    Malformed {
        /// The text.
        value: String,
        /// What is wrong with it, and what to write instead.
        problem: &'static str,
    },
    /// A wildcard that reaches beyond one registrable domain.
    #[error(
        "{} would let pages of foreign domains publish with a user's cookie; put the wildcard in \
         front of a domain of your own, as in https://*.example.com",
        Shown(.0)
    )]
    Unconfined(String),
}

/// A list of origins. `*` stands for all origins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<Pattern>);

/// An origin in lower case, with at most one wildcard.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Any,
    Exact(String),
    Around { before: String, after: String },
}

impl Origins {
    /// Reads `*`, `null` and absolute origins such as `https://app.example.com:8443`, in which the
    /// first `*` stands for any run of characters. Upper case is taken as lower case.
    ///
    /// # Errors
    /// [`OriginError::Malformed`] for the first value that is something else.
    pub fn parse<S: AsRef<str>>(values: &[S]) -> Result<Self, OriginError> {
        values
            .iter()
            .map(|value| Pattern::parse(value.as_ref()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// As [`Self::parse`], but refuses a wildcard that reaches beyond one registrable domain, such
    /// as `https://*` or `https://*.com`. A bare `*` is accepted, because it says what it means (B-1027).
    ///
    /// # Errors
    /// As [`Self::parse`], and [`OriginError::Unconfined`].
    pub fn for_publish<S: AsRef<str>>(values: &[S]) -> Result<Self, OriginError> {
        let origins = Self::parse(values)?;
        let foreign = origins.unconfined().next();
        match foreign {
            None => Ok(origins),
            Some(pattern) => Err(OriginError::Unconfined(pattern)),
        }
    }

    /// The wildcards that reach beyond one registrable domain.
    pub fn unconfined(&self) -> impl Iterator<Item = String> {
        let patterns = self.0.iter();
        let patterns = patterns.filter(|pattern| !pattern.is_confined());
        patterns.map(Pattern::to_string)
    }

    /// Whether pages of the origin may use what a browser sends by itself, such as cookies. The origin
    /// must be in the list, and not only through an entry that any foreign page matches: `*`, a wildcard
    /// beyond one registrable domain, or `null`, the origin of every sandboxed frame.
    pub(crate) fn allows_credentials(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        let patterns = self.0.iter();
        let mut trusted = patterns.filter(|pattern| match pattern {
            Pattern::Any => false,
            Pattern::Exact(exact) => exact != NULL,
            Pattern::Around { .. } => pattern.is_confined(),
        });
        trusted.any(|pattern| pattern.matches(&origin))
    }

    /// Whether the list has the origin, compared without regard to case (B-367).
    pub fn allows(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        self.0.iter().any(|pattern| pattern.matches(&origin))
    }

    /// Whether the list has every origin.
    pub fn is_any(&self) -> bool {
        self.0.contains(&Pattern::Any)
    }

    /// Whether the list has no origin.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, pattern) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { " " };
            write!(f, "{separator}{pattern}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(origin) => f.write_str(origin),
            Self::Around { before, after } => write!(f, "{before}*{after}"),
        }
    }
}

impl Pattern {
    fn parse(value: &str) -> Result<Self, OriginError> {
        match value {
            "*" => return Ok(Self::Any),
            _ if value.eq_ignore_ascii_case(NULL) => return Ok(Self::Exact(NULL.to_owned())),
            _ => {}
        }
        let refuse = |problem| {
            Err(OriginError::Malformed {
                value: value.to_owned(),
                problem,
            })
        };
        let lower = value.to_lowercase();
        let Some((scheme, authority)) = lower.split_once("://") else {
            return refuse("has no scheme; write it like https://app.example.com");
        };
        if authority.contains(['/', '\\']) {
            return refuse(
                "has a slash or path after the host, which no browser sends; remove it, as in \
                 https://app.example.com",
            );
        }
        if authority.contains('@') {
            return refuse("has user information, which no browser sends; remove what precedes @");
        }
        if authority.contains(['?', '#']) {
            return refuse("has a query or fragment, which no browser sends; remove it");
        }
        // The parser does not know wildcards, so a character that one may stand for takes its place: a
        // letter in a name, a digit in a port or an address.
        let url = ["a", "1"]
            .iter()
            .filter_map(|run| Url::parse(&lower.replacen('*', run, 1)).ok())
            .find(|url| url.scheme() == scheme && url.has_host() && !authority.is_empty());
        let Some(url) = url else {
            return refuse(
                "is not an origin; write scheme, host and, if need be, port, as in \
                 https://app.example.com:8443",
            );
        };
        Ok(match lower.split_once('*') {
            Some((before, after)) => Self::Around {
                before: before.to_owned(),
                after: after.to_owned(),
            },
            // Browsers leave out a default port, and write hosts in ASCII.
            None if url.origin().is_tuple() => Self::Exact(url.origin().ascii_serialization()),
            None => Self::Exact(lower),
        })
    }

    fn matches(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => exact == origin,
            Self::Around { before, after } => origin
                .strip_prefix(before.as_str())
                .and_then(|rest| rest.strip_suffix(after.as_str()))
                // Hosts and ports do not contain these characters, so origins of browsers do not either.
                .is_some_and(|run| !run.contains(['/', '@', '?', '#', '\\'])),
        }
    }

    /// Whether all origins that match belong to one registrable domain, or to one host.
    fn is_confined(&self) -> bool {
        let Self::Around { before, after } = self else {
            return true;
        };
        if port_begun(before) {
            return true;
        }
        let host = after.split(':').next().unwrap_or_default();
        let Some((_, domain)) = host.split_once('.') else {
            return false;
        };
        // A name with a trailing dot, or in its ASCII form, is the same domain.
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        // These names mean this machine (RFC 6761, section 6.3).
        if domain == "localhost" || domain.ends_with(".localhost") {
            return true;
        }
        // `*.0.0.1` does not stand for subdomains. A top-level name that is not on the public suffix list
        // counts as a public suffix.
        !matches!(Host::parse(domain), Ok(Host::Ipv4(_)) | Err(_))
            && psl::domain_str(domain).is_some()
    }
}

/// Whether the host ends before the wildcard, which then is in the port.
fn port_begun(before: &str) -> bool {
    before
        .split_once("://")
        .is_some_and(|(_, authority)| match authority.rsplit_once(']') {
            Some((_, rest)) => rest.starts_with(':'),
            None => !authority.starts_with('[') && authority.contains(':'),
        })
}

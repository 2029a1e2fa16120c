//! Lists of web origins: who may read across origins, and who may publish with a cookie (B-226).

use std::fmt;

use talaria_protocol::error::Shown;
use url::{Host, Url};

/// The origin of pages that have none: of files, sandboxed frames and redirects across origins.
const NULL: &str = "null";

/// A list of origins. `*` among them means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<Pattern>);

/// A lower-cased origin, with at most one run of any characters in it.
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
    /// A sentence that quotes the value and says what to write instead.
    pub fn parse<S: AsRef<str>>(values: &[S]) -> Result<Self, String> {
        values
            .iter()
            .map(|value| Pattern::parse(value.as_ref()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// As [`Self::parse`], but refuses a wildcard that reaches beyond one registrable domain, such
    /// as `https://*` or `https://*.com` (B-1027). A bare `*`, which says what it means, is taken.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn for_publish<S: AsRef<str>>(values: &[S]) -> Result<Self, String> {
        let origins = Self::parse(values)?;
        let foreign = origins.unconfined().next();
        match foreign {
            None => Ok(origins),
            Some(pattern) => Err(format!(
                "{} would let pages of foreign domains publish with a user's cookie; put the \
                 wildcard in front of a domain of your own, as in https://*.example.com",
                Shown(&pattern)
            )),
        }
    }

    /// The wildcards that reach beyond one registrable domain.
    pub fn unconfined(&self) -> impl Iterator<Item = String> {
        let patterns = self.0.iter();
        let patterns = patterns.filter(|pattern| !pattern.is_confined());
        patterns.map(Pattern::to_string)
    }

    /// Whether pages of the origin may use what a browser sends by itself, such as cookies: it is
    /// listed, and not by something that any foreign page fits, which are `*`, a wildcard beyond one
    /// registrable domain, and `null`, the origin of every sandboxed frame.
    pub fn allows_credentials(&self, origin: &str) -> bool {
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
    fn parse(value: &str) -> Result<Self, String> {
        match value {
            "*" => return Ok(Self::Any),
            _ if value.eq_ignore_ascii_case(NULL) => return Ok(Self::Exact(NULL.to_owned())),
            _ => {}
        }
        let refuse = |problem: &str| Err(format!("origin {} {problem}", Shown(value)));
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
        // A wildcard cannot be parsed, so something that it may stand for is put in its place: a
        // letter in a name, a digit in a port or an address.
        let url = ["a", "1"]
            .iter()
            .filter_map(|run| Url::parse(&lower.replacen('*', run, 1)).ok())
            .find(|url| url.scheme() == scheme && url.has_host() && !authority.is_empty());
        let Some(url) = url else {
            return refuse(
                "is no origin; write scheme, host and, if need be, port, as in \
                 https://app.example.com:8443",
            );
        };
        Ok(match lower.split_once('*') {
            Some((before, after)) => Self::Around {
                before: before.to_owned(),
                after: after.to_owned(),
            },
            // Browsers leave a default port out and write hosts in ASCII.
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
                // A host or port has no such characters, so neither has an honest origin.
                .is_some_and(|run| !run.contains(['/', '@', '?', '#', '\\'])),
        }
    }

    /// Whether everything that matches lies within one registrable domain (or one host).
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
        // A trailing dot names the same domain, and so does the ASCII form of a name.
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        // Of this machine alone (RFC 6761, section 6.3).
        if domain == "localhost" || domain.ends_with(".localhost") {
            return true;
        }
        // `*.0.0.1` is no family of subdomains, and a suffix that nobody registered counts as one.
        !matches!(Host::parse(domain), Ok(Host::Ipv4(_)) | Err(_))
            && psl::domain_str(domain).is_some()
    }
}

/// Whether the text before a wildcard already ends the host, so that the wildcard is in the port.
fn port_begun(before: &str) -> bool {
    before
        .split_once("://")
        .is_some_and(|(_, authority)| match authority.rsplit_once(']') {
            Some((_, rest)) => rest.starts_with(':'),
            None => !authority.starts_with('[') && authority.contains(':'),
        })
}

//! The refusal of a request that would exceed a budget.

use std::fmt;
use std::time::Duration;

/// A resource that clients hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    /// Open event streams.
    Streams,
    /// Bytes of the matchers of open streams and of the grants of their tokens.
    MatcherMemory,
    /// States of the patterns of open streams.
    MatcherStates,
    /// Bytes of request bodies that are being read or published.
    BodyMemory,
}

impl Resource {
    /// Whether there is a directive for its bound in this scope.
    pub(super) fn has(self, scope: Scope) -> bool {
        match self {
            // The listener bounds the streams of a connection.
            Self::Streams | Self::BodyMemory => scope != Scope::Connection,
            Self::MatcherMemory | Self::MatcherStates => true,
        }
    }

    /// The beginning of the names of its directives.
    pub(super) fn directive(self) -> &'static str {
        match self {
            Self::Streams => "max_streams",
            Self::MatcherMemory => "max_matcher_memory",
            Self::MatcherStates => "max_matcher_states",
            Self::BodyMemory => "max_body_memory",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Streams => "streams",
            Self::MatcherMemory => "bytes of matchers",
            Self::MatcherStates => "states of patterns",
            Self::BodyMemory => "bytes of request bodies",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Streams => "close some",
            Self::MatcherMemory => "use fewer or shorter matchers, or close streams",
            Self::MatcherStates => "use fewer or simpler patterns, or close streams",
            Self::BodyMemory => "send less at once",
        }
    }
}

/// The clients whose amount is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All clients together.
    Total,
    /// All clients without a token.
    Anonymous,
    /// One address.
    Address,
    /// One token subject.
    Subject,
    /// One connection.
    Connection,
}

impl Scope {
    /// The end of the name of a directive.
    pub(super) fn directive(self) -> &'static str {
        match self {
            Self::Total | Self::Anonymous => "",
            Self::Address => "_per_address",
            Self::Subject => "_per_subject",
            Self::Connection => "_per_connection",
        }
    }

    fn holder(self) -> &'static str {
        match self {
            Self::Total => "all clients together",
            Self::Anonymous => "all clients without a token",
            Self::Address => "one address",
            Self::Subject => "one token subject",
            Self::Connection => "one connection",
        }
    }
}

/// The budget that a request would exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exceeded {
    /// The resource.
    pub(crate) resource: Resource,
    /// The clients whose amount is bounded.
    pub(crate) scope: Scope,
    /// The bound.
    pub(crate) limit: u64,
    /// The amount that the request needs.
    pub(crate) needed: u64,
    /// The total that is almost used up, if the bound is the share of one holder of it.
    pub(crate) shared: Option<u64>,
}

impl Exceeded {
    /// The directive that sets the bound.
    pub(crate) fn directive(&self) -> String {
        let scope = match self.shared {
            Some(_) => Scope::Total,
            None => self.scope,
        };
        format!("{}{}", self.resource.directive(), scope.directive())
    }

    /// How long the client should wait before it tries again.
    pub(crate) fn retry_after(&self) -> Duration {
        Duration::from_secs(match self.resource {
            Resource::BodyMemory => 1,
            _ => 5,
        })
    }
}

impl std::error::Error for Exceeded {}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, holder) = (self.resource.unit(), self.scope.holder());
        write!(f, "{unit}: the limit for {holder} is ")?;
        match self.shared {
            Some(total) => write!(
                f,
                "now {}, because more than four fifths of {total} are taken",
                self.limit
            ),
            None => self.limit.fmt(f),
        }?;
        write!(
            f,
            ", and this request needs {} more; {}, try again later, or raise {}",
            self.needed,
            self.resource.remedy(),
            self.directive()
        )
    }
}

//! The refusal of a request that would exceed a budget.

use std::fmt;
use std::time::Duration;

use super::rate::Rate;

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
    /// Updates in a time.
    PublishRate,
    /// Streams that are opened in a time.
    StreamRate,
}

impl Resource {
    /// Whether there is a directive for its bound in this scope.
    pub(super) fn has(self, scope: Scope) -> bool {
        match self {
            // The listener bounds the streams of a connection.
            Self::Streams | Self::BodyMemory | Self::PublishRate | Self::StreamRate => {
                scope != Scope::Connection
            }
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
            Self::PublishRate => "max_publish_rate",
            Self::StreamRate => "max_stream_rate",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Streams => "streams",
            Self::MatcherMemory => "bytes of matchers",
            Self::MatcherStates => "states of patterns",
            Self::BodyMemory => "bytes of request bodies",
            Self::PublishRate => "updates",
            Self::StreamRate => "new streams",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Streams => "close some",
            Self::MatcherMemory => "use fewer or shorter matchers, or close streams",
            Self::MatcherStates => "use fewer or simpler patterns, or close streams",
            Self::BodyMemory => "send less at once",
            Self::PublishRate => "publish less often",
            Self::StreamRate => "open fewer",
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
    pub(crate) bound: Bound,
}

/// The bound that a request would exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Of what clients hold.
    Held {
        /// The bound.
        limit: u64,
        /// The amount that the request needs.
        needed: u64,
        /// The total that is almost used up, if the bound is the share of one holder of it.
        shared: Option<u64>,
    },
    /// Of how fast something comes.
    Rate {
        /// The rate.
        rate: Rate,
        /// Whether the client's share of it is exceeded, because it is almost used up.
        is_share: bool,
        /// When the request may come again.
        after: Duration,
    },
}

impl Exceeded {
    /// The directive that sets the bound.
    pub(crate) fn directive(&self) -> String {
        let is_share = match self.bound {
            Bound::Held { shared, .. } => shared.is_some(),
            Bound::Rate { is_share, .. } => is_share,
        };
        let scope = if is_share { Scope::Total } else { self.scope };
        format!("{}{}", self.resource.directive(), scope.directive())
    }

    /// How long the client should wait before it tries again.
    pub(crate) fn retry_after(&self) -> Duration {
        Duration::from_secs(match (self.bound, self.resource) {
            (Bound::Rate { after, .. }, _) => after.as_secs() + 1,
            (_, Resource::BodyMemory) => 1,
            _ => 5,
        })
    }
}

impl std::error::Error for Exceeded {}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, holder) = (self.resource.unit(), self.scope.holder());
        write!(f, "{unit}: the limit for {holder} is ")?;
        match self.bound {
            Bound::Held {
                limit,
                shared: Some(total),
                ..
            } => write!(
                f,
                "now {limit}, because more than four fifths of {total} are taken"
            ),
            Bound::Held { limit, .. } => limit.fmt(f),
            Bound::Rate {
                rate,
                is_share: true,
                ..
            } => write!(
                f,
                "now a two-hundredth of {rate}, because more than four fifths of what may come at once have come"
            ),
            Bound::Rate { rate, .. } => rate.fmt(f),
        }?;
        if let Bound::Held { needed, .. } = self.bound {
            write!(f, ", and this request needs {needed} more")?;
        }
        write!(
            f,
            "; {}, try again later, or raise {}",
            self.resource.remedy(),
            self.directive()
        )
    }
}

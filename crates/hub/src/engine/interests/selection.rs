//! A selection: what a reader asks for, and what it may read.

use talaria_protocol::MatcherSet;

/// The canonical matchers of a subscription request and the canonical read grants of its token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Selection {
    /// The matchers of the request.
    pub(crate) matchers: MatcherSet,
    /// The read grants of the token, which private updates are judged by.
    pub(crate) grants: MatcherSet,
}

//! Authorization details: what a token allows (specification, "Authorization Details").

use serde_json::Value;

use crate::{Base, Limits, MatcherSet, ProtocolError, Topic};

/// An action that a detail grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Publish updates.
    Publish,
    /// Read private updates.
    Subscribe,
}

/// The Mercure authorization details of a token.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuthorizationDetails {}

impl AuthorizationDetails {
    /// Reads the claim, all or nothing.
    ///
    /// # Errors
    /// [`crate::Blame::Token`], naming the entry.
    pub fn parse(_claim: &Value, _base: &Base, _limits: &Limits) -> Result<Self, ProtocolError> {
        Ok(Self {})
    }

    /// Whether some detail grants the action on the topic.
    pub fn grants(&self, _action: Action, _topic: &Topic<'_>) -> bool {
        false
    }

    /// Everything the token may read, as the engine compares it.
    pub fn read_grants(&self) -> MatcherSet {
        MatcherSet::default()
    }
}

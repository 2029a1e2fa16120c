//! The maximums that the specification lets a hub choose.

/// Maximums for one request or one token. All lengths are in bytes of UTF-8.
///
/// Defaults are at least those of the existing hub (B-470 to B-473, B-1015, B-1016).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Matcher parameters in one subscription request; beyond it 400.
    pub matchers: usize,
    /// `topic` parameters of one 0.x subscription request, beyond it 400; selectors for one action
    /// of a 0.x token, beyond it 401 (B-470, B-474).
    pub selectors: usize,
    /// One matcher's pattern; beyond it 400, in a token 401.
    pub pattern_bytes: usize,
    /// States over all URL Patterns and URI Templates of one subscription request; beyond it 400. An
    /// ordinary one has some tens of four bytes each. Counted repetitions in custom groups such as
    /// `(\w{1,40})` are unrolled, and one pattern has at most 2,048.
    pub pattern_states: usize,
    /// `topic` fields of one publish; beyond it 413.
    pub topics: usize,
    /// One `topic`, `id` or `type` of a publish; beyond it 413.
    pub field_bytes: usize,
    /// Mercure authorization details in one token; beyond it 401.
    pub details: usize,
    /// Topic matchers over all Mercure details of one token; beyond it 401.
    pub granted_topics: usize,
    /// States over all URL Patterns and URI Templates of one token; beyond it 401. More than
    /// [`pattern_states`](Self::pattern_states), since an issuer is trusted more than a subscriber
    /// and a 0.x token may list a thousand selectors for each action.
    pub granted_states: usize,
    /// The compact token; beyond it 401, before anything is parsed.
    pub token_bytes: usize,
}

impl Limits {
    /// The most pairs of one query string or form body: 4,096, or twice the maximum of one name if
    /// that is more. Beyond it a publish is 413, another request 400.
    pub fn pairs(&self) -> usize {
        const LEAST: usize = 4096;
        let most_of_a_name = self.matchers.max(self.selectors).max(self.topics);
        most_of_a_name.saturating_mul(2).max(LEAST)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            matchers: 256,
            selectors: 1000,
            pattern_bytes: 4096,
            pattern_states: 16_384,
            topics: 1000,
            field_bytes: 4096,
            details: 100,
            granted_topics: 256,
            granted_states: 65_536,
            token_bytes: 64 * 1024,
        }
    }
}

//! How much work routing and reading may do at a time.

/// How much work routing and reading may do at a time.
#[derive(Debug, Clone)]
pub(crate) struct Effort {
    /// The number of positions that a lane holds.
    pub(crate) lane_positions: usize,
    /// The steps that judging patterns may take for a group of one update. A step takes about four
    /// nanoseconds.
    pub(crate) update_steps: u64,
    /// The steps that each further update of a group adds.
    pub(crate) further_update_steps: u64,
    /// The most steps that judging patterns may take for a group, however many updates it has.
    pub(crate) most_group_steps: u64,
    /// The turns of clients that are under way at a time.
    pub(crate) turns: usize,
    /// The steps that a turn of a cursor may take.
    pub(crate) turn_steps: u64,
    /// The steps that judging one page of the history may take.
    pub(crate) page_steps: u64,
    /// The look-ups and interests that one part of a search handles under the mutex.
    pub(crate) hold: usize,
    /// A search of a topic that more patterns than this match checks whether a few interests hold them.
    pub(crate) many_patterns: usize,
    /// The bytes that the cards of topics may take.
    pub(crate) card_bytes: usize,
}

impl Effort {
    /// The usual effort, with as many turns at a time as there are clients.
    pub(crate) fn new(lane_positions: usize) -> Self {
        Self {
            lane_positions,
            update_steps: 300_000,
            further_update_steps: 3_000,
            most_group_steps: 3_000_000,
            turns: usize::MAX,
            turn_steps: 100_000,
            page_steps: 150_000,
            hold: 2048,
            many_patterns: 256,
            card_bytes: 8 << 20,
        }
    }

    pub(super) fn group_steps(&self, updates: usize) -> u64 {
        let further = updates.saturating_sub(1) as u64;
        let further = further.saturating_mul(self.further_update_steps);
        (self.update_steps + further).min(self.most_group_steps)
    }
}

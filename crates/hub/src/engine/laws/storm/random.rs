//! Pseudo-random numbers, and choices that are made with them.

use crate::engine::router::Effort;

/// A sequence of pseudo-random numbers (xorshift).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % most
    }

    pub(super) fn pick(&mut self, of: &[u64]) -> u64 {
        of[self.below(of.len() as u64) as usize]
    }

    pub(super) fn split(&mut self) -> Self {
        Self::new(self.below(u64::MAX))
    }

    pub(super) fn effort(&mut self) -> Effort {
        Effort {
            turns: usize::MAX,
            lane_positions: self.pick(&[1, 2, 3, 64]) as usize,
            update_steps: self.pick(&[1, 100, 500, 2000, 1_000_000]),
            further_update_steps: self.pick(&[0, 50]),
            most_group_steps: self.pick(&[1, 700, 10_000_000]),
            turn_steps: self.pick(&[1, 300, 5000]),
            page_steps: self.pick(&[1, 300, 5000]),
            hold: self.pick(&[1, 2, 5, 2048]) as usize,
            many_patterns: self.pick(&[0, 1, 3, 256]) as usize,
            card_bytes: self.pick(&[0, 900, 2000, 8 << 20]) as usize,
        }
    }
}

//! Bounds how many deliveries of one update have a span.

use std::sync::atomic::{AtomicU64, Ordering};

use talaria_protocol::TraceContext;
use talaria_transport::Position;

/// The most deliveries of one update that have a span.
const MOST: u64 = 16;
/// How many updates are told apart. One that comes back after as many others is counted anew.
const SLOTS: usize = 1_024;

/// Counts the deliveries of the latest updates, however many streams there are.
pub(super) struct Fanout([AtomicU64; SLOTS]);

impl Default for Fanout {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; SLOTS])
    }
}

impl Fanout {
    /// Counts one more delivery of an update; returns whether it has a span.
    pub(super) fn admit(&self, of: &TraceContext, position: Position) -> bool {
        let hash = mixed(u64::from_be_bytes(of.span_id) ^ mixed(position.0));
        // The lower half counts.
        let tag = hash & 0xffff_ffff_0000_0000 | 1 << 63;
        let Some(slot) = self.0.get(hash as usize % SLOTS) else {
            return false;
        };
        let counted = |old: u64| match old & 0xffff_ffff_0000_0000 == tag {
            true if old & 0xffff_ffff >= MOST => None,
            true => Some(old + 1),
            false => Some(tag + 1),
        };
        let order = Ordering::Relaxed;
        slot.fetch_update(order, order, counted).is_ok()
    }
}

/// Spreads the bits of a number (the finalizer of SplitMix64).
fn mixed(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten thousand streams that get one update have sixteen spans, and another update of the same publish has as many.
    #[test]
    fn the_spans_of_an_update_are_bounded() {
        let fanout = Fanout::default();
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = TraceContext::parse(parent, "").unwrap();
        for position in [1, 2] {
            let admitted = (0..10_000).filter(|_| fanout.admit(&context, Position(position)));
            assert_eq!(admitted.count() as u64, MOST);
        }
    }
}

//! Who holds how much of something that there is a bounded amount of.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many times what is free one holder may have.
const SHARE: u64 = 4;

/// An amount that holders share. A holder may have at most four times what is free, so that some is
/// left for those that come: one alone gets four fifths, and while twenty take what they can, an
/// eightieth stays free. An operator may set a bound for each holder as well.
#[derive(Debug)]
pub struct Ledger<K> {
    capacity: u64,
    most_each: u64,
    state: Mutex<State<K>>,
}

#[derive(Debug)]
struct State<K> {
    used: u64,
    held: HashMap<K, u64>,
}

/// Why a charge is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Exhausted {
    /// All holders together have too much.
    #[error("the bound of {capacity} for all clients together is reached")]
    InAll {
        /// The bound.
        capacity: u64,
    },
    /// This one has too much.
    #[error("the bound of {most} for one client is reached")]
    Each {
        /// The bound at this moment.
        most: u64,
    },
}

impl<K: Hash + Eq + Clone> Ledger<K> {
    /// A ledger of `capacity`, of which a holder has at most `most_each`, if that is given.
    pub fn new(capacity: u64, most_each: Option<u64>) -> Self {
        Self {
            capacity,
            most_each: most_each.unwrap_or(u64::MAX),
            state: Mutex::new(State {
                used: 0,
                held: HashMap::new(),
            }),
        }
    }

    /// Gives an amount to a holder, until the charge is dropped.
    ///
    /// # Errors
    /// When it would be too much for this holder, or in all.
    pub fn charge(self: &Arc<Self>, holder: K, amount: u64) -> Result<Charge<K>, Exhausted> {
        let mut state = self.state();
        let free = self.capacity.saturating_sub(state.used);
        let Some(left) = free.checked_sub(amount) else {
            return Err(Exhausted::InAll {
                capacity: self.capacity,
            });
        };
        let held = state.held.get(&holder).copied().unwrap_or(0) + amount;
        let most = self.most_each.min(left.saturating_mul(SHARE));
        if amount > 0 && held > most {
            return Err(Exhausted::Each { most });
        }
        state.used += amount;
        state.held.insert(holder.clone(), held);
        drop(state);
        Ok(Charge {
            ledger: Arc::clone(self),
            holder,
            amount,
        })
    }

    /// What is held in all.
    pub fn used(&self) -> u64 {
        self.state().used
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a holder has; dropping it gives it back.
#[derive(Debug)]
pub struct Charge<K: Hash + Eq + Clone> {
    ledger: Arc<Ledger<K>>,
    holder: K,
    amount: u64,
}

impl<K: Hash + Eq + Clone> Drop for Charge<K> {
    fn drop(&mut self) {
        let mut state = self.ledger.state();
        state.used = state.used.saturating_sub(self.amount);
        if let Some(held) = state.held.get_mut(&self.holder) {
            *held = held.saturating_sub(self.amount);
            if *held == 0 {
                state.held.remove(&self.holder);
            }
        }
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use super::*;

    /// Charges one unit at a time until it is refused; how many there were.
    fn fill(ledger: &Arc<Ledger<u8>>, holder: u8, charges: &mut Vec<Charge<u8>>) -> u64 {
        let before = ledger.used();
        while let Ok(charge) = ledger.charge(holder, 1) {
            charges.push(charge);
        }
        ledger.used() - before
    }

    #[test]
    fn one_holder_leaves_a_fifth_and_twenty_an_eightieth() {
        let ledger = Arc::new(Ledger::new(81_000, None));
        let mut charges = Vec::new();
        assert_eq!(fill(&ledger, 0, &mut charges), 64_800);
        for _ in 0..9 {
            (1..20).for_each(|holder| _ = fill(&ledger, holder, &mut charges));
        }
        assert!(ledger.used() < 80_000, "{}", ledger.used());
        assert!(ledger.charge(20, 1).is_ok(), "a newcomer is let in");
    }

    #[test]
    fn what_is_given_back_is_free_again() {
        let ledger = Arc::new(Ledger::new(100, Some(10)));
        let held = ledger.charge(1, 10).expect("free");
        assert_eq!(
            ledger.charge(1, 1).err(),
            Some(Exhausted::Each { most: 10 })
        );
        assert_eq!(
            ledger.charge(2, 91).err(),
            Some(Exhausted::InAll { capacity: 100 })
        );
        drop(held);
        assert_eq!(ledger.used(), 0);
        assert!(ledger.charge(1, 10).is_ok());
    }
}

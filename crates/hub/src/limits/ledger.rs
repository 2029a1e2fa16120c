//! A ledger: how much each holder has of a bounded amount.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// While less than one part in this many is free, a holder may have no more than its share.
const RESERVE: u64 = 5;
/// The share of a holder is one part in this many of the capacity.
const SHARE: u64 = 200;
/// The least share, because an office has one address and sends several requests at once. It is at most a
/// hundredth of the capacity.
const LEAST_SHARE: u64 = 8;
/// A share that is more than a two-hundredth is at most one part in this many.
const LARGEST_SHARE: u64 = 100;

/// A bounded amount, and how much of it each holder has.
///
/// The first four fifths go to the holders that come first, even all to one: a proxy has a single address. While less than a fifth is free, a holder may have no more than
/// its share: a two-hundredth of all, or 8 if that is more, but at most a hundredth of all. So if twenty
/// holders take what they can, a hundredth is left, and a tenth of an amount of 1,600 or more. An operator
/// may set a bound for each holder as well.
#[derive(Debug)]
pub struct Ledger<K> {
    capacity: u64,
    most_each: u64,
    state: Arc<Mutex<State<K>>>,
}

#[derive(Debug)]
struct State<K> {
    used: u64,
    held: HashMap<K, u64>,
    /// The items that are in memory once, however many hold them: by item, and by holder and item.
    items: HashMap<(Option<K>, u64), Item>,
}

#[derive(Debug)]
struct Item {
    charges: u64,
    amount: u64,
}

/// Why a charge is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Exhausted {
    /// The capacity for all holders is reached.
    #[error("the bound of {capacity} for all clients together is reached")]
    InAll {
        /// The bound.
        capacity: u64,
    },
    /// The bound for one holder is reached.
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
            state: Arc::new(Mutex::new(State {
                used: 0,
                held: HashMap::new(),
                items: HashMap::new(),
            })),
        }
    }

    /// A ledger of the same amounts with other bounds, for the charges that it makes. What is held already
    /// counts in both ledgers, once, and stays held even if it is more than the new bounds allow.
    #[must_use]
    pub fn with_bounds(&self, capacity: u64, most_each: Option<u64>) -> Self {
        Self {
            capacity,
            most_each: most_each.unwrap_or(u64::MAX),
            state: Arc::clone(&self.state),
        }
    }

    /// Gives an amount to a holder, until the charge is dropped.
    ///
    /// # Errors
    /// If the amount would be too much for this holder, or for all.
    pub fn charge(self: &Arc<Self>, holder: K, amount: u64) -> Result<Charge<K>, Exhausted> {
        self.enter(holder, None, amount)
    }

    /// Gives a holder the amount of an item that is in memory once. The item counts once in all, and once for
    /// each of its holders. Equal items have the same amount.
    ///
    /// # Errors
    /// As [`Self::charge`].
    pub fn charge_for_item(
        self: &Arc<Self>,
        holder: K,
        item: u64,
        amount: u64,
    ) -> Result<Charge<K>, Exhausted> {
        self.enter(holder, Some(item), amount)
    }

    fn enter(
        self: &Arc<Self>,
        holder: K,
        item: Option<u64>,
        amount: u64,
    ) -> Result<Charge<K>, Exhausted> {
        let mut state = self.state();
        let in_all = state.costs(None, item, amount);
        let own = state.costs(Some(&holder), item, amount);
        let free = self.capacity.saturating_sub(state.used);
        let Some(left) = free.checked_sub(in_all) else {
            return Err(Exhausted::InAll {
                capacity: self.capacity,
            });
        };
        let held = state.held.get(&holder).copied().unwrap_or(0);
        let held = held.saturating_add(own);
        let share = match left < self.capacity / RESERVE {
            true => self.share(),
            false => u64::MAX,
        };
        let most = self.most_each.min(share);
        if own > 0 && held > most {
            return Err(Exhausted::Each { most });
        }
        state.used += in_all;
        if own > 0 {
            state.held.insert(holder.clone(), held);
        }
        if let Some(item) = item {
            state.share(None, item, amount);
            state.share(Some(holder.clone()), item, amount);
        }
        drop(state);
        Ok(Charge {
            state: Arc::clone(&self.state),
            holder,
            item,
            amount,
        })
    }

    /// The share of a holder, which bounds it while less than a fifth is free.
    fn share(&self) -> u64 {
        let least = LEAST_SHARE.min(self.capacity / LARGEST_SHARE).max(1);
        least.max(self.capacity / SHARE)
    }

    /// What is held in all.
    pub fn used(&self) -> u64 {
        self.state().used
    }

    /// The most that one holder has. Looks at each.
    pub fn largest(&self) -> u64 {
        self.state().held.values().copied().max().unwrap_or(0)
    }

    /// How much there is.
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// The most that a holder may have, however much is free; `u64::MAX` for no such bound.
    pub fn most_each(&self) -> u64 {
        self.most_each
    }

    fn state(&self) -> MutexGuard<'_, State<K>> {
        lock(&self.state)
    }
}

fn lock<K>(state: &Mutex<State<K>>) -> MutexGuard<'_, State<K>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Hash + Eq + Clone> State<K> {
    /// The cost of one more charge: nothing if it is for an item that is there.
    fn costs(&self, holder: Option<&K>, item: Option<u64>, amount: u64) -> u64 {
        let is_there = |item| self.items.contains_key(&(holder.cloned(), item));
        if item.is_some_and(is_there) {
            0
        } else {
            amount
        }
    }

    fn share(&mut self, holder: Option<K>, item: u64, amount: u64) {
        let item = self
            .items
            .entry((holder, item))
            .or_insert(Item { charges: 0, amount });
        item.charges += 1;
    }

    /// The amount that is free again after a charge has ended: nothing if other charges are for the same item.
    fn ends(&mut self, holder: Option<&K>, item: Option<u64>, amount: u64) -> u64 {
        let Some(item) = item else {
            return amount;
        };
        let key = (holder.cloned(), item);
        let Some(item) = self.items.get_mut(&key) else {
            return 0;
        };
        item.charges -= 1;
        if item.charges > 0 {
            return 0;
        }
        let amount = item.amount;
        self.items.remove(&key);
        shrink(&mut self.items);
        amount
    }
}

/// Gives memory back after a peak.
fn shrink<K: Hash + Eq, V>(map: &mut HashMap<K, V>) {
    const FEW: usize = 1024;
    if map.capacity() > FEW && map.len() < map.capacity() / 8 {
        map.shrink_to(map.len() * 2);
    }
}

/// An amount that a holder has. It is given back when this is dropped.
#[derive(Debug)]
pub struct Charge<K: Hash + Eq + Clone> {
    state: Arc<Mutex<State<K>>>,
    holder: K,
    item: Option<u64>,
    amount: u64,
}

impl<K: Hash + Eq + Clone> Drop for Charge<K> {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        let in_all = state.ends(None, self.item, self.amount);
        let own = state.ends(Some(&self.holder), self.item, self.amount);
        state.used = state.used.saturating_sub(in_all);
        if let Some(held) = state.held.get_mut(&self.holder) {
            *held = held.saturating_sub(own);
            if *held == 0 {
                state.held.remove(&self.holder);
                shrink(&mut state.held);
            }
        }
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use super::*;

    /// Charges one unit at a time until it is refused. Returns how many were charged.
    fn fill(ledger: &Arc<Ledger<u8>>, holder: u8, charges: &mut Vec<Charge<u8>>) -> u64 {
        let before = ledger.used();
        while let Ok(charge) = ledger.charge(holder, 1) {
            charges.push(charge);
        }
        ledger.used() - before
    }

    #[test]
    fn one_holder_leaves_a_fifth_and_twenty_a_tenth() {
        let ledger = Arc::new(Ledger::new(80_000, None));
        let mut charges = Vec::new();
        assert_eq!(fill(&ledger, 0, &mut charges), 64_000);
        for _ in 0..9 {
            (0..20).for_each(|holder| _ = fill(&ledger, holder, &mut charges));
        }
        assert_eq!(ledger.used(), 64_000 + 19 * 400);
        for newcomer in 20..41 {
            assert_eq!(fill(&ledger, newcomer, &mut charges), 400, "{newcomer}");
        }
        assert_eq!(ledger.used(), 80_000);
    }

    /// The people of an office share an address and come at the same time.
    #[test]
    fn a_share_of_a_small_ledger_is_more_than_one() {
        for (capacity, share) in [
            (16, 1),
            (128, 1),
            (200, 2),
            (400, 4),
            (800, 8),
            (1600, 8),
            (2000, 10),
        ] {
            let ledger = Arc::new(Ledger::new(capacity, None));
            let mut charges = Vec::new();
            let first = fill(&ledger, 0, &mut charges);
            assert_eq!(first, capacity - capacity / 5, "{capacity}");
            assert_eq!(fill(&ledger, 1, &mut charges), share, "{capacity}");
            assert!(fill(&ledger, 2, &mut charges) > 0, "{capacity}");
        }
    }

    /// An amount that is too small to be divided goes to the first holder.
    #[test]
    fn the_smallest_ledgers_can_be_used_up() {
        for capacity in 1..10 {
            let ledger = Arc::new(Ledger::new(capacity, None));
            let mut charges = Vec::new();
            (0..10).for_each(|holder| _ = fill(&ledger, holder, &mut charges));
            assert_eq!(ledger.used(), capacity);
        }
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

    /// An item that is in memory once counts once, until the last of its holders is gone.
    #[test]
    fn an_item_counts_once_in_all_and_once_for_each_holder() {
        let ledger = Arc::new(Ledger::new(100, Some(10)));
        let first = ledger.charge_for_item(1, 7, 6).expect("free");
        let again = ledger.charge_for_item(1, 7, 6).expect("the same item");
        let other = ledger.charge_for_item(2, 7, 6).expect("the same item");
        assert_eq!(ledger.used(), 6);
        assert_eq!(
            ledger.charge_for_item(1, 8, 5).err(),
            Some(Exhausted::Each { most: 10 }),
            "another item is not shared"
        );
        assert!(ledger.charge(1, 4).is_ok(), "the holder is charged once");
        drop(first);
        drop(other);
        assert_eq!(ledger.used(), 6);
        assert!(ledger.charge(2, 10).is_ok(), "the other holder has nothing");
        assert!(ledger.charge(1, 5).is_err(), "the first has it still");
        drop(again);
        assert_eq!(ledger.used(), 0);
        let state = ledger.state();
        assert!(state.items.is_empty() && state.held.is_empty());
    }

    /// Other bounds are for new charges. What is held counts once, whichever ledger charged it.
    #[test]
    fn other_bounds_count_what_is_held() {
        let wide = Arc::new(Ledger::new(100, None));
        let held = wide.charge_for_item(1, 7, 60).expect("free");
        let narrow = Arc::new(wide.with_bounds(50, Some(20)));
        assert_eq!((narrow.used(), narrow.capacity()), (60, 50));
        let all = Exhausted::InAll { capacity: 50 };
        assert_eq!(narrow.charge(2, 1).err(), Some(all));
        let again = narrow.charge_for_item(2, 7, 60);
        assert!(again.is_err(), "the item is there, but one holder has 20");
        let item = wide.charge_for_item(2, 7, 60).expect("the item is there");
        assert_eq!(narrow.used(), 60);
        drop(wide);
        drop(held);
        assert_eq!(narrow.used(), 60);
        drop(item);
        assert_eq!(narrow.used(), 0);
        assert!(narrow.charge(2, 20).is_ok());
    }

    /// A ledger gives memory back after a peak.
    #[test]
    fn a_ledger_shrinks_after_a_peak() {
        let ledger = Arc::new(Ledger::new(u64::MAX, None));
        let peak: Vec<_> = (0..20_000)
            .map(|holder: u64| ledger.charge_for_item(holder, holder, 1).expect("free"))
            .collect();
        drop(peak);
        let state = ledger.state();
        assert!(state.items.capacity() < 4096, "{}", state.items.capacity());
        assert!(state.held.capacity() < 4096, "{}", state.held.capacity());
    }
}

//! A hash table that grows and shrinks in steps.
//!
//! It consists of many small tables that keep each hash beside its value. So an insertion or a removal
//! moves at most a small part of the values and hashes none of them again. That matters because it
//! happens under the router's mutex.

use hashbrown::HashTable;

/// The number of small tables. A model has no use for many.
pub(crate) const SHARDS: usize = if cfg!(talaria_loom) { 1 } else { 64 };

#[derive(Debug)]
pub(super) struct Table<T>(Box<[HashTable<(u64, T)>]>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| HashTable::new()).collect())
    }
}

/// The shard of a hash; within a shard the table takes the lowest and the highest bits.
fn shard(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

impl<T> Table<T> {
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(HashTable::len).sum()
    }

    pub(super) fn find(&self, hash: u64, mut same: impl FnMut(&T) -> bool) -> Option<&T> {
        let found = self.0[shard(hash)].find(hash, |(known, value)| *known == hash && same(value));
        found.map(|(_, value)| value)
    }

    pub(super) fn find_mut(
        &mut self,
        hash: u64,
        mut same: impl FnMut(&T) -> bool,
    ) -> Option<&mut T> {
        let shard = &mut self.0[shard(hash)];
        let found = shard.find_mut(hash, |(known, value)| *known == hash && same(value));
        found.map(|(_, value)| value)
    }

    /// Adds a value that is not in the table.
    pub(super) fn insert(&mut self, hash: u64, value: T) {
        self.0[shard(hash)].insert_unique(hash, (hash, value), |(hash, _)| *hash);
    }

    pub(super) fn remove(&mut self, hash: u64, mut same: impl FnMut(&T) -> bool) -> Option<T> {
        /// A capacity up to this is not worth shrinking.
        const FEW: usize = 16;
        let shard = &mut self.0[shard(hash)];
        let found = shard.find_entry(hash, |(known, value)| *known == hash && same(value));
        let ((_, value), _) = found.ok()?.remove();
        if shard.capacity() > FEW && shard.len() < shard.capacity() / 4 {
            shard.shrink_to(shard.len() * 2, |(hash, _)| *hash);
        }
        Some(value)
    }

    /// The values of one of the [`SHARDS`] small tables.
    pub(super) fn shard(&self, shard: usize) -> impl Iterator<Item = &T> {
        let shard = self.0.get(shard);
        shard.into_iter().flatten().map(|(_, value)| value)
    }

    /// The number of values that there is room for.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.0.iter().map(HashTable::capacity).sum()
    }
}

#[cfg(not(talaria_loom))]
#[cfg(test)]
mod tests {
    use super::*;

    /// Spreads numbers as a hash does.
    fn hash(number: u64) -> u64 {
        (number + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(17)
    }

    #[test]
    fn a_table_grows_in_steps_and_shrinks_after_a_peak() {
        let mut table = Table::default();
        let mut capacity = 0;
        for number in 0..100_000 {
            table.insert(hash(number), number);
            let grown = table.capacity();
            assert!(grown - capacity <= 4096, "a part of it grows at a time");
            capacity = grown;
        }
        for number in 0..100_000 {
            assert_eq!(
                table.find(hash(number), |known| *known == number),
                Some(&number)
            );
        }
        for number in 10..100_000 {
            let removed = table.remove(hash(number), |known| *known == number);
            assert_eq!(removed, Some(number));
        }
        assert!(table.capacity() <= 64 * 16, "{}", table.capacity());
        let left: usize = (0..SHARDS).map(|part| table.shard(part).count()).sum();
        assert_eq!(left, 10);
        assert_eq!(table.find(hash(10), |_| true), None);
    }
}

//! What a serializable transaction has read: keys and ranges of each tree, in bounded memory.
//! Knows trees and keys. Knows nothing of what is under the keys, nor of who writes.
//!
//! Where more was read than there is room for, neighbours are taken together: more commits count as conflicts then, and
//! none is overlooked.

use crate::common::ids::TreeId;
use crate::common::memory::{MemoryAccount, Reservation};
use crate::common::sync::Arc;
use crate::transaction::commit_history::Footprint;
use crate::transaction::key_ranges::KeyRanges;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Memory is charged in steps of this many bytes.
const CHARGE_STEP_BYTES: usize = 4 << 10;
/// A set may take this share of the memory limit, within these limits.
const MEMORY_SHARE: usize = 256;
const BYTES_MAX: std::ops::Range<usize> = 16 << 10..4 << 20;
/// A tree in the set besides its ranges.
const TREE_BYTES: usize = 64;

/// See the module.
#[derive(Debug)]
pub(super) struct ReadSet {
    trees: BTreeMap<TreeId, KeyRanges>,
    bytes: usize,
    bytes_max: usize,
    /// Up to so many bytes nothing is to be charged.
    charged: usize,
    memory: Reservation,
}

impl ReadSet {
    pub(super) fn new(memory: &Arc<MemoryAccount>) -> ReadSet {
        ReadSet {
            trees: BTreeMap::new(),
            bytes: 0,
            bytes_max: (memory.limit() / MEMORY_SHARE).clamp(BYTES_MAX.start, BYTES_MAX.end),
            charged: 0,
            memory: memory.reservation(),
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn add_key(&mut self, tree: TreeId, key: &[u8]) {
        self.add(tree, |ranges| ranges.add_key(key));
    }

    pub(super) fn add_range(&mut self, tree: TreeId, lower: Bound<&[u8]>, upper: Bound<&[u8]>) {
        self.add(tree, |ranges| ranges.add(lower, upper));
    }

    fn add(&mut self, tree: TreeId, add: impl FnOnce(&mut KeyRanges)) {
        let ranges = self.trees.entry(tree).or_insert_with(|| {
            self.bytes += TREE_BYTES;
            KeyRanges::default()
        });
        let before = ranges.bytes();
        add(ranges);
        self.bytes = self.bytes + ranges.bytes() - before;
        if self.bytes > self.charged {
            self.make_room();
        }
    }

    /// Charges what is there, or makes it less.
    fn make_room(&mut self) {
        let wanted = self.bytes.next_multiple_of(CHARGE_STEP_BYTES);
        if self.bytes <= self.bytes_max && self.memory.resize(wanted).is_ok() {
            self.charged = wanted;
            return;
        }
        // Half of it is to be free again, so that this does not come with every key. What is whole trees stays, charged
        // or not: it is a few bytes a tree.
        let bytes_max = self.charged.min(self.bytes_max) / 2;
        while self.bytes > bytes_max {
            let Some(largest) = self.trees.values_mut().max_by_key(|ranges| ranges.len()) else { break };
            let before = largest.bytes();
            if !largest.coarsen() {
                break;
            }
            self.bytes = self.bytes + largest.bytes() - before;
        }
        self.charged = self.charged.max(self.bytes);
    }

    /// Whether the key was read.
    pub(super) fn holds(&self, tree: TreeId, key: &[u8]) -> bool {
        self.trees.get(&tree).is_some_and(|ranges| ranges.holds(key))
    }

    /// Whether a commit wrote something that was read.
    pub(super) fn meets(&self, footprint: &Footprint) -> bool {
        footprint.trees().any(|(tree, written)| {
            self.trees.get(&tree).is_some_and(|read| read.meets(written)) //
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_reads_than_there_is_room_for_become_coarser_and_none_is_lost() {
        let memory = MemoryAccount::new(1 << 20);
        let mut reads = ReadSet::new(&memory);
        let key = |number: u64| (number * 3).to_be_bytes();
        for number in 0..20_000 {
            reads.add_key(TreeId((number % 7) as u32), &key(number));
            assert!(reads.bytes() <= BYTES_MAX.start + CHARGE_STEP_BYTES, "{number}: {}", reads.bytes());
        }
        assert!(memory.used() <= BYTES_MAX.start + CHARGE_STEP_BYTES);
        for number in 0..20_000 {
            assert!(reads.holds(TreeId((number % 7) as u32), &key(number)), "{number}");
        }
        drop(reads);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn reads_are_kept_without_memory_too() {
        let memory = MemoryAccount::new(0);
        let mut reads = ReadSet::new(&memory);
        for number in [1u64, 10, 20, 30, 40, 50] {
            reads.add_key(TreeId(1), &number.to_be_bytes());
        }
        assert!(reads.holds(TreeId(1), &20u64.to_be_bytes()));
        assert!(!reads.holds(TreeId(2), &20u64.to_be_bytes()));
        assert_eq!(memory.used(), 0);
    }
}

//! What a serializable transaction has read: keys and ranges of each tree, with the parts of their values, in bounded memory.
//! Knows trees, keys and numbers of parts. Knows nothing of what is under the keys, nor of who writes.
//!
//! Keys of which the same parts were read are one set of ranges. Where more was read than there is room for, neighbours are taken together: more commits count as conflicts then, and
//! none is overlooked.

use crate::common::ids::TreeId;
use crate::common::memory::{MemoryAccount, Reservation};
use crate::common::sync::Arc;
use crate::transaction::commit_history::Footprint;
use crate::transaction::key_ranges::KeyRanges;
use crate::transaction::types::Parts;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Memory is charged in steps of this many bytes.
const CHARGE_STEP_BYTES: usize = 4 << 10;
/// A set may take this share of the memory limit, within these limits.
const MEMORY_SHARE: usize = 256;
const BYTES_MAX: std::ops::Range<usize> = 16 << 10..4 << 20;
/// A set of ranges besides what is in it, and its share of its tree.
const SET_BYTES: usize = 96;
/// Sets of ranges of one tree; where there would be more, the last one gets the parts of the others too.
const SETS_MAX: usize = 8;

/// What was read of a tree: ranges by the parts that were read of their values.
type TreeReads = SmallVec<[(Parts, KeyRanges); 1]>;

/// See the module.
#[derive(Debug)]
pub(super) struct ReadSet {
    trees: BTreeMap<TreeId, TreeReads>,
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

    pub(super) fn add_key(&mut self, tree: TreeId, key: &[u8], parts: Parts) {
        self.add(tree, parts, |ranges| ranges.add_key(key));
    }

    pub(super) fn add_range(
        &mut self,
        tree: TreeId,
        (lower, upper): (Bound<&[u8]>, Bound<&[u8]>),
        parts: Parts,
    ) {
        self.add(tree, parts, |ranges| ranges.add(lower, upper));
    }

    fn add(&mut self, tree: TreeId, parts: Parts, add: impl FnOnce(&mut KeyRanges)) {
        let sets = self.trees.entry(tree).or_default();
        let place = sets.iter().position(|(read, _)| *read == parts).unwrap_or_else(|| {
            if sets.len() < SETS_MAX {
                self.bytes += SET_BYTES;
                sets.push((parts, KeyRanges::default()));
            }
            sets.len() - 1
        });
        let (read, ranges) = &mut sets[place];
        *read = read.union(parts);
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
            let sets = self.trees.values_mut().flatten().map(|(_, ranges)| ranges);
            let Some(largest) = sets.max_by_key(|ranges| ranges.len()) else { break };
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
        self.trees.get(&tree).is_some_and(|sets| sets.iter().any(|(_, ranges)| ranges.holds(key)))
    }

    /// Whether a commit wrote something that was read.
    pub(super) fn meets(&self, footprint: &Footprint) -> bool {
        footprint.written().any(|(tree, changed, written)| {
            let sets = self.trees.get(&tree).into_iter().flatten();
            sets.filter(|(parts, _)| parts.meet(changed)).any(|(_, read)| read.meets(written))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::Random;
    use std::collections::BTreeSet;

    #[test]
    fn more_reads_than_there_is_room_for_become_coarser_and_none_is_lost() {
        let memory = MemoryAccount::new(1 << 20);
        let mut reads = ReadSet::new(&memory);
        let key = |number: u64| (number * 3).to_be_bytes();
        for number in 0..20_000 {
            reads.add_key(TreeId((number % 7) as u32), &key(number), Parts::read(&[(number % 3) as usize]));
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
    fn reads_of_more_kinds_than_are_kept_apart_count_for_more_parts_and_never_for_fewer() {
        let memory = MemoryAccount::new(64 << 20);
        for seed in 0..20 {
            let mut random = Random::new(seed);
            let (mut reads, mut model) = (ReadSet::new(&memory), Vec::new());
            let mut kinds = BTreeSet::new();
            for _ in 0..random.below(40) {
                let parts: BTreeSet<usize> = (0..random.below(3)).map(|_| random.below(6) as usize).collect();
                let number = random.below(10) * 2;
                let listed: Vec<usize> = parts.iter().copied().collect();
                reads.add_key(TreeId(1), &number.to_be_bytes(), Parts::read(&listed));
                model.push((number, parts.clone()));
                kinds.insert(parts);
            }
            let meets = |number: u64, changed| {
                reads.meets(&Footprint::of_key(&memory, TreeId(1), &number.to_be_bytes(), changed))
            };
            for (number, part) in (0..20).flat_map(|number| (0..6).map(move |part| (number, part))) {
                let was_read = model.iter().any(|(read, parts)| *read == number && parts.contains(&part));
                let found = meets(number, Parts::NONE.with(part));
                let is_coarse = found && kinds.len() > SETS_MAX;
                assert!(found == was_read || is_coarse, "seed {seed}: {number}, {part}");
            }
            assert!(model.iter().all(|(number, _)| meets(*number, Parts::EXISTENCE)), "seed {seed}");
        }
    }

    #[test]
    fn reads_are_kept_without_memory_too() {
        let memory = MemoryAccount::new(0);
        let mut reads = ReadSet::new(&memory);
        for number in [1u64, 10, 20, 30, 40, 50] {
            reads.add_key(TreeId(1), &number.to_be_bytes(), Parts::ALL);
        }
        assert!(reads.holds(TreeId(1), &20u64.to_be_bytes()));
        assert!(!reads.holds(TreeId(2), &20u64.to_be_bytes()));
        assert_eq!(memory.used(), 0);
    }
}

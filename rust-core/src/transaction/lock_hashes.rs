//! Hashes of very many keys, in order, in leaves of one size: growing moves half a leaf and leaves no holes in the heap,
//! where a hash table would need a second one of twice its size. Knows numbers. Knows nothing of locks.

use std::collections::BTreeMap;

/// Hashes of a leaf.
const LEAF_HASHES: usize = 512;
/// Bytes of a leaf, with its share of the nodes above it.
pub(super) const LEAF_BYTES: usize = size_of::<[u64; LEAF_HASHES]>() + 64;

#[derive(Debug)]
struct Leaf {
    /// In order; the first `len` of them count.
    hashes: Box<[u64; LEAF_HASHES]>,
    len: usize,
}

impl Leaf {
    fn new() -> Leaf {
        Leaf { hashes: Box::new([0; LEAF_HASHES]), len: 0 }
    }

    fn used(&self) -> &[u64] {
        &self.hashes[..self.len]
    }

    fn insert_at(&mut self, at: usize, hash: u64) {
        self.hashes.copy_within(at..self.len, at + 1);
        self.hashes[at] = hash;
        self.len += 1;
    }

    /// The upper half, by its first hash.
    fn split(&mut self) -> (u64, Leaf) {
        let mut upper = Leaf::new();
        let half = self.len / 2;
        upper.len = self.len - half;
        upper.hashes[..upper.len].copy_from_slice(&self.hashes[half..self.len]);
        self.len = half;
        (upper.hashes[0], upper)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct LockHashes {
    /// By a number that none of the leaf's hashes is below; the first leaf's is 0.
    leaves: BTreeMap<u64, Leaf>,
    len: usize,
}

impl LockHashes {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether a hash is among them.
    pub(super) fn contains(&self, hash: u64) -> bool {
        let leaf = self.leaves.range(..=hash).next_back();
        leaf.is_some_and(|(_, leaf)| leaf.used().binary_search(&hash).is_ok())
    }

    /// Whether adding this hash needs [`LEAF_BYTES`] more.
    pub(super) fn grows_with(&self, hash: u64) -> bool {
        self.leaves.range(..=hash).next_back().is_none_or(|(_, leaf)| leaf.len == LEAF_HASHES)
    }

    /// Adds a hash, if it is not there.
    pub(super) fn insert(&mut self, hash: u64) {
        if self.leaves.is_empty() {
            self.leaves.insert(0, Leaf::new());
        }
        let Some((_, leaf)) = self.leaves.range_mut(..=hash).next_back() else { return };
        let Err(at) = leaf.used().binary_search(&hash) else { return };
        self.len += 1;
        if leaf.len < LEAF_HASHES {
            leaf.insert_at(at, hash);
            return;
        }
        let (first, mut upper) = leaf.split();
        if hash < first {
            leaf.insert_at(at, hash);
        } else {
            upper.insert_at(at - leaf.len, hash);
        }
        self.leaves.insert(first, upper);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::Random;
    use std::collections::BTreeSet;

    #[test]
    fn hashes_are_found_as_in_a_plain_set_and_leaves_are_mostly_full() {
        for seed in 1..6 {
            let mut random = Random::new(seed);
            let (mut hashes, mut plain, mut leaves) = (LockHashes::default(), BTreeSet::new(), 0);
            for round in 0..40_000u64 {
                let hash = match random.below(8) {
                    0 => round,
                    1 => u64::MAX - round,
                    2 => random.below(1000),
                    _ => random.next_u64(),
                };
                assert_eq!(hashes.contains(hash), plain.contains(&hash), "seed {seed}");
                leaves += usize::from(!plain.contains(&hash) && hashes.grows_with(hash));
                hashes.insert(hash);
                plain.insert(hash);
                assert_eq!((hashes.len(), hashes.contains(hash)), (plain.len(), true), "seed {seed}");
            }
            assert!(plain.iter().all(|hash| hashes.contains(*hash)), "seed {seed}");
            assert_eq!(leaves, hashes.leaves.len(), "seed {seed}: each is told before it is made");
            assert!(leaves * LEAF_HASHES < 2 * plain.len() + LEAF_HASHES, "seed {seed}: {leaves} leaves");
        }
    }
}

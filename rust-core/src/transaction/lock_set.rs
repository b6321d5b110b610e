//! Sets of row locks: very many keys of a tree that a transaction has locked in no order, a few bytes for each.
//! Knows keys as numbers, and as hashes where they are none. Knows nothing of what is in a tree.
//!
//! ```text
//!  number ÷ 65536 ──▶ chunk: up to 4096 low halves in order (2 bytes a key), more of them as 8 KiB of bits
//!  far apart, or no number ──▶ the lock's hash, in order with others (8 bytes, and 4 of room: see `lock_hashes`)
//! ```
//! A set stands beside the runs of `lock_run` and keeps to their rules: it counts as one before it looks into the lock
//! table, and whoever asks for one of its keys puts the owner's lock into the lock table and waits there. What is in a
//! set is given back with the set: a savepoint's locks go into one that was begun after it, the first of them one by one.
//! Source: Chambi, Lemire, Kaser, Godin, "Better bitmap performance with Roaring bitmaps", 2016.

use crate::common::ids::TreeId;
use crate::common::memory::{MemoryAccount, Reservation};
use crate::common::sync::Arc;
use crate::common::sync::atomic::Ordering;
use crate::error::Result;
use crate::transaction::held_locks::{HeldLock, HeldLocks};
use crate::transaction::lock_hashes::{LEAF_BYTES, LockHashes};
use crate::transaction::lock_manager::{LockManager, LockOwner, LockTarget};
use crate::transaction::lock_modes::{Mode, ModeSet};
use crate::transaction::lock_run::run_number;
use crate::transaction::lock_table::BuildKeyIsHash;
use crate::transaction::types::RowLockMode;
use hashbrown::{HashMap, HashSet};

/// Locks that are taken one by one after a savepoint before a set is begun for it.
const FEW_AFTER_MARK: usize = 1024;
/// Where a transaction has more locks outside of sets, none is taken one by one for that.
const ONE_BY_ONE_MAX: usize = 1 << 16;
/// Sets of an owner in a tree: of more savepoints the locks are given back with an earlier one's.
const SETS_MAX: usize = 32;
/// Keys of a chunk before it becomes bits.
const FEW_MAX: usize = 4096;
const WORDS: usize = (1 << 16) / 64;
/// Chunks that are made whatever there is in them.
const CHUNKS_MIN: usize = 1024;
/// More are made while they hold so many keys on average.
const KEYS_A_CHUNK_MIN: usize = 16;
/// Charged for a chunk besides its keys: a place in the table, and the allocator's share.
const CHUNK_BYTES: usize = 2 * size_of::<(u64, Chunk)>();
/// The account is charged in steps of so many bytes, and of this share of what there is.
const CHARGE_STEP_BYTES: usize = 4 << 10;
const CHARGE_SHARE: usize = 16;

/// Keys whose numbers have the same high bits.
#[derive(Debug)]
enum Chunk {
    /// In order.
    Few(Vec<u16>),
    Many(Box<[u64; WORDS]>),
}

impl Chunk {
    fn holds(&self, low: u16) -> bool {
        match self {
            Chunk::Few(keys) => keys.binary_search(&low).is_ok(),
            Chunk::Many(words) => words[usize::from(low) / 64] >> (low % 64) & 1 == 1,
        }
    }

    fn insert(&mut self, low: u16) {
        if let Chunk::Few(keys) = self {
            if keys.len() < FEW_MAX {
                if let Err(at) = keys.binary_search(&low) {
                    keys.insert(at, low);
                }
                return;
            }
            let mut words = Box::new([0; WORDS]);
            keys.iter().for_each(|key| words[usize::from(*key) / 64] |= 1 << (key % 64));
            *self = Chunk::Many(words);
        }
        if let Chunk::Many(words) = self {
            words[usize::from(low) / 64] |= 1 << (low % 64);
        }
    }

    /// Bytes that one more key may add.
    fn growth(&self) -> usize {
        match self {
            Chunk::Few(keys) if keys.len() < keys.capacity() => 0,
            // A quarter more for the holes that buffers of all sizes leave in the heap as they grow.
            Chunk::Few(keys) if keys.len() < FEW_MAX => (2 * keys.len() + keys.len() / 2).max(8),
            Chunk::Few(_) => 0,
            Chunk::Many(_) => 0,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct LockSet {
    pub(super) owner: u32,
    pub(super) tree: TreeId,
    /// How many locks the owner had before it.
    before: usize,
    /// How the keys are locked.
    pub(super) mode: Mode,
    chunks: HashMap<u64, Chunk>,
    /// Keys in chunks.
    in_chunks: usize,
    hashes: LockHashes,
    /// Hashes of keys that are in the lock table as well, for those who wait for them.
    listed: HashSet<u64, BuildKeyIsHash>,
    used: usize,
    memory: Reservation,
}

impl LockSet {
    fn new(owner: u32, tree: TreeId, mode: Mode, before: usize, memory: &Arc<MemoryAccount>) -> LockSet {
        LockSet {
            owner,
            tree,
            before,
            mode,
            chunks: HashMap::new(),
            in_chunks: 0,
            hashes: LockHashes::default(),
            listed: HashSet::default(),
            used: 0,
            memory: memory.reservation(),
        }
    }

    /// Whether a key is in the set; `number` is that of the key, if it has one.
    pub(super) fn holds(&self, number: Option<u64>, hash: u64) -> bool {
        let chunk = number.and_then(|number| Some((self.chunks.get(&(number >> 16))?, number as u16)));
        chunk.is_some_and(|(chunk, low)| chunk.holds(low)) || self.hashes.contains(hash)
    }

    /// How many keys it has.
    pub(super) fn len(&self) -> u64 {
        (self.in_chunks + self.hashes.len()) as u64
    }

    /// Notes that a key of the set is in the lock table; false: it is there already.
    pub(super) fn list(&mut self, hash: u64) -> bool {
        self.listed.insert(hash)
    }

    /// Adds a key that is not in the set.
    fn insert(&mut self, number: Option<u64>, hash: u64) -> Result<()> {
        let has_room =
            self.chunks.len() < CHUNKS_MIN || self.in_chunks >= self.chunks.len() * KEYS_A_CHUNK_MIN;
        let number = number.filter(|number| has_room || self.chunks.contains_key(&(number >> 16)));
        let Some(number) = number else {
            if self.hashes.grows_with(hash) {
                self.charge(LEAF_BYTES)?;
            }
            self.hashes.insert(hash);
            return Ok(());
        };
        let (high, low) = (number >> 16, number as u16);
        let growth = self.chunks.get(&high).map_or(CHUNK_BYTES + 8, Chunk::growth);
        self.charge(growth)?;
        self.chunks.entry(high).or_insert_with(|| Chunk::Few(Vec::new())).insert(low);
        self.in_chunks += 1;
        Ok(())
    }

    fn charge(&mut self, bytes: usize) -> Result<()> {
        if self.used + bytes > self.memory.bytes() {
            self.memory.grow(bytes.max(CHARGE_STEP_BYTES).max(self.used / CHARGE_SHARE))?;
        }
        self.used += bytes;
        Ok(())
    }
}

impl LockManager {
    /// Locks a key as one of a set; false: somebody else has locked it, or the owner in another way: ask for it as for
    /// any other.
    /// # Errors
    /// `53200`.
    pub(super) fn lock_in_set(
        &self,
        owner: &LockOwner,
        held: &mut HeldLocks,
        (tree, key): (TreeId, &[u8]),
        mode: RowLockMode,
    ) -> Result<bool> {
        held.reserve_one()?;
        let (hash, number) = (self.hash(LockTarget::Row { tree, key }), run_number(key));
        let mode = Mode::from(mode);
        let mut stripe = self.runs.stripe(tree).lock();
        if number.is_some_and(|number| stripe.holding(tree, number).is_some()) {
            return Ok(false);
        }
        if let Some(set) = stripe.set_holding(tree, number, hash) {
            return Ok(set.owner == owner.id && mode.is_covered_by(set.mode.set()));
        }
        let is_own = |set: &LockSet| set.owner == owner.id && set.tree == tree && set.mode == mode;
        let own = stripe.sets.iter().enumerate().filter(|(_, set)| is_own(set));
        let (newest, count) =
            own.fold((None, 0), |(newest, count), (at, set)| (newest.max(Some((set.before, at))), count + 1));
        let at = match newest {
            // Begun before the newest savepoint: a return to that would not give the key back.
            Some((before, _))
                if before < held.marked()
                    && held.len() - held.marked() < FEW_AFTER_MARK
                    && held.len() < ONE_BY_ONE_MAX =>
            {
                return Ok(false);
            }
            Some((before, at)) if before >= held.marked() || count >= SETS_MAX => at,
            _ => {
                // Counted before looking: from now on whoever locks a key of this tree comes here first.
                self.runs.counter(tree).fetch_add(1, Ordering::SeqCst);
                stripe.sets.push(LockSet::new(owner.id, tree, mode, held.len(), &self.memory));
                held.push(HeldLock::Set { tree, mode });
                stripe.sets.len() - 1
            }
        };
        if self.shard(hash).lock().entries.contains_key(&hash) {
            return Ok(false);
        }
        stripe.sets[at].insert(number, hash)?;
        held.note_in_set();
        Ok(true)
    }

    /// Gives back the set of the owner that was begun after its first `before` locks; says how many keys it had.
    pub(super) fn release_set(&self, owner: &LockOwner, tree: TreeId, mode: Mode, before: usize) -> u64 {
        let mut stripe = self.runs.stripe(tree).lock();
        let is_meant = |set: &LockSet| {
            set.owner == owner.id && set.tree == tree && set.mode == mode && set.before == before
        };
        let Some(at) = stripe.sets.iter().position(is_meant) else { return 0 };
        let set = stripe.sets.swap_remove(at);
        let modes: ModeSet = mode.set();
        set.listed.iter().for_each(|hash| self.release_listed(owner.id, *hash, modes));
        self.runs.counter(tree).fetch_sub(1, Ordering::SeqCst);
        set.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::random::Random;
    use std::collections::BTreeSet;

    #[test]
    fn a_set_holds_what_was_put_in_dense_or_sparse_and_pays_for_it() {
        for seed in 1..8 {
            let mut random = Random::new(seed);
            let memory = MemoryAccount::new(64 << 20);
            let mut set = LockSet::new(1, TreeId(20), Mode::from(RowLockMode::Update), 0, &memory);
            let range = [50_000, 1 << 24, u64::MAX][seed as usize % 3];
            let mut model = BTreeSet::new();
            for _ in 0..40_000 {
                let number = random.below(range);
                let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let (number, hash) =
                    if number.is_multiple_of(5) { (None, hash) } else { (Some(number), hash) };
                assert_eq!(set.holds(number, hash), model.contains(&(number, hash)), "seed {seed}");
                if model.insert((number, hash)) {
                    set.insert(number, hash).unwrap();
                }
            }
            assert!(model.iter().all(|(number, hash)| set.holds(*number, *hash)), "seed {seed}");
            let bytes = memory.used() / model.len();
            assert!(bytes < 24, "seed {seed}: {bytes} bytes a key");
            drop(set);
            assert_eq!(memory.used(), 0);
        }
    }
}

//! The entries of the lock table: who holds a lock and who waits for it, in which order.
//! Knows owners as numbers and locks as hashes. Knows nothing of trees, or of who sleeps.

use crate::common::event_count::EventCount;
use crate::common::ids::TreeId;
use crate::common::memory::{MemoryAccount, Reservation};
use crate::common::sync::Arc;
use crate::common::sync::atomic::Ordering;
use crate::error::Result;
use crate::transaction::lock_manager::LockOwner;
use crate::transaction::lock_modes::{Mode, ModeSet};
use hashbrown::{HashMap, hash_map};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher};

/// Bytes charged for one slot of a shard's hash table.
const ENTRY_BYTES: usize = size_of::<(u64, Entry)>() + 1;
/// A shard's table above this size is given back when it becomes empty.
const KEPT_BYTES: usize = 16 << 10;
/// So many may share a row past those who wait for it; then they stand in line like everybody, so that nobody starves.
pub(super) const PASSES_MAX: u32 = 16;

#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) owner: Arc<LockOwner>,
    pub(super) mode: Mode,
    /// What it sleeps on.
    pub(super) events: Arc<dyn EventCount>,
}

/// Where the row is that a lock is on, for people who look; nothing of it is needed to lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// The tree; 0 where the lock is on no row.
    pub(super) tree: u32,
    /// The row's number and one, where that fits in; else 0.
    number: u32,
}

impl Place {
    /// `number`: as the key begins that has one.
    pub(super) fn new(tree: TreeId, number: Option<u64>) -> Place {
        let row = number.map(|number| (number ^ 1 << 63).wrapping_add(1));
        Place { tree: tree.0, number: row.and_then(|row| u32::try_from(row).ok()).unwrap_or(0) }
    }

    /// The key's number, where it is known.
    pub(super) fn number(self) -> Option<u64> {
        (self.number != 0).then(|| (u64::from(self.number) - 1) ^ 1 << 63)
    }
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) place: Place,
    pub(super) holders: SmallVec<[(u32, ModeSet); 4]>,
    pub(super) waiters: VecDeque<Waiter>,
    /// How many went past those who wait, since one of these was granted.
    passes: u32,
}

impl Queue {
    pub(super) fn held_by(&self, owner: u32) -> ModeSet {
        self.holders
            .iter()
            .find(|(holder, _)| *holder == owner)
            .map_or(ModeSet::default(), |(_, modes)| *modes)
    }

    pub(super) fn meets_holder(&self, owner: u32, mode: Mode) -> bool {
        self.holders.iter().any(|(holder, modes)| *holder != owner && mode.conflicts_with(*modes))
    }

    pub(super) fn add_holder(&mut self, owner: u32, mode: Mode) {
        match self.holders.iter_mut().find(|(holder, _)| *holder == owner) {
            Some((_, modes)) => modes.insert(mode.set()),
            None => self.holders.push((owner, mode.set())),
        }
    }

    /// Grants whoever meets neither a holder nor a waiter that stays before it.
    pub(super) fn grant_waiters(&mut self) {
        let mut index = 0;
        while index < self.waiters.len() {
            let waiter = &self.waiters[index];
            let (id, mode) = (waiter.owner.id, waiter.mode);
            let waits = self.meets_holder(id, mode)
                || self.waiters.iter().take(index).any(|earlier| mode.conflicts_with(earlier.mode.set()));
            if waits {
                index += 1;
            } else {
                self.grant(index);
            }
        }
    }

    pub(super) fn grant(&mut self, index: usize) {
        let waiter = self.waiters.remove(index).expect("the caller found it there");
        self.passes = 0;
        self.add_holder(waiter.owner.id, waiter.mode);
        waiter.owner.granted.store(true, Ordering::Release);
        waiter.events.advance();
    }
}

/// The state of one lock: most have a single holder and nobody waiting.
#[derive(Debug)]
pub(super) enum Entry {
    One { owner: u32, modes: ModeSet, place: Place },
    Many(Box<Queue>),
}

impl Entry {
    /// Turns a single holder into a queue.
    pub(super) fn queue(&mut self) -> &mut Queue {
        if let Entry::One { owner, modes, place } = *self {
            let mut queue = Box::new(Queue { place, ..Queue::default() });
            queue.holders.push((owner, modes));
            *self = Entry::Many(queue);
        }
        match self {
            Entry::Many(queue) => queue,
            Entry::One { .. } => unreachable!("it was turned into a queue above"),
        }
    }
}

/// The keys are hashes already.
#[derive(Clone, Default)]
pub(super) struct KeyIsHash(u64);

impl Hasher for KeyIsHash {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("only 64-bit hashes are keys");
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[derive(Clone, Default)]
pub(super) struct BuildKeyIsHash;

impl BuildHasher for BuildKeyIsHash {
    type Hasher = KeyIsHash;
    fn build_hasher(&self) -> KeyIsHash {
        KeyIsHash(0)
    }
}

pub(super) struct Shard {
    pub(super) entries: HashMap<u64, Entry, BuildKeyIsHash>,
    memory: Reservation,
}

impl Shard {
    pub(super) fn new(memory: &Arc<MemoryAccount>) -> Shard {
        Shard { entries: HashMap::default(), memory: memory.reservation() }
    }

    /// Notes that `owner` holds `modes`, whoever else does.
    pub(super) fn add_holder(&mut self, hash: u64, owner: u32, modes: ModeSet, place: Place) {
        match self.entries.entry(hash) {
            hash_map::Entry::Vacant(vacant) => {
                vacant.insert(Entry::One { owner, modes, place });
            }
            hash_map::Entry::Occupied(mut occupied) => {
                let queue = occupied.get_mut().queue();
                match queue.holders.iter_mut().find(|(holder, _)| *holder == owner) {
                    Some((_, held)) => held.insert(modes),
                    None => queue.holders.push((owner, modes)),
                }
            }
        }
    }

    /// Charges for the next doubling before it happens.
    pub(super) fn reserve_one(&mut self) -> Result<()> {
        if self.entries.len() == self.entries.capacity() {
            let bytes = (self.entries.allocation_size() * 2).max(16 * ENTRY_BYTES);
            self.memory.resize(bytes)?;
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, hash: u64) {
        self.entries.remove(&hash);
        if self.entries.is_empty() && self.memory.bytes() > KEPT_BYTES {
            self.entries = HashMap::default();
            self.memory.resize(0).expect("shrinking a reservation never fails");
        }
    }
}

/// What a request found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The owner holds the mode now.
    Granted,
    /// The owner's modes cover it already.
    Held,
    /// Somebody is in the way.
    Wait,
}

impl Entry {
    /// Grants `mode` to `owner` where nobody is in the way.
    pub(super) fn request(&mut self, owner: u32, mode: Mode) -> Answer {
        match self {
            Entry::One { owner: holder, modes, .. } if *holder == owner => {
                if mode.is_covered_by(*modes) {
                    return Answer::Held;
                }
                modes.insert(mode.set());
                Answer::Granted
            }
            Entry::One { modes, .. } if mode.conflicts_with(*modes) => Answer::Wait,
            Entry::One { .. } => {
                self.queue().add_holder(owner, mode);
                Answer::Granted
            }
            Entry::Many(queue) => {
                let own = queue.held_by(owner);
                if mode.is_covered_by(own) {
                    return Answer::Held;
                }
                if queue.meets_holder(owner, mode) {
                    return Answer::Wait;
                }
                // First come, first served: but whoever holds the lock already need not stand in line, nor whoever wants a
                // row that those who hold it share with him, as in PostgreSQL.
                let passes = own.is_empty()
                    && queue.waiters.iter().any(|waiter| mode.conflicts_with(waiter.mode.set()));
                if passes {
                    if !mode.is_of_row() || queue.passes >= PASSES_MAX {
                        return Answer::Wait;
                    }
                    queue.passes += 1;
                }
                queue.add_holder(owner, mode);
                Answer::Granted
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_tells_small_row_numbers_and_takes_no_more_room_for_that() {
        assert_eq!(size_of::<Entry>(), 16);
        let key = |row: i64| (row as u64) ^ 1 << 63;
        for row in [0, 1, 77, i64::from(u32::MAX) - 1] {
            let place = Place::new(TreeId(9), Some(key(row)));
            assert_eq!((place.tree, place.number()), (9, Some(key(row))));
        }
        for row in [-1, i64::from(u32::MAX), i64::MAX, i64::MIN] {
            assert_eq!(Place::new(TreeId(9), Some(key(row))).number(), None, "{row}");
        }
        assert_eq!(Place::new(TreeId(9), None).number(), None);
    }
}

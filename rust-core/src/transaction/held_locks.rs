//! What one transaction holds, in the order it was granted: what its end and its savemarks give back.
//! Knows locks as hashes and runs as key numbers. Knows nothing of others.

use crate::common::ids::{ObjectId, TreeId};
use crate::common::memory::{MemoryAccount, Reservation};
use crate::common::sync::Arc;
use crate::error::Result;
use crate::transaction::lock_modes::{Mode, ModeSet};
use std::cell::Cell;

/// The list is charged in steps of this many locks.
const HELD_STEP: usize = 4096;

/// A lock that its owner must give back.
#[derive(Clone, Copy, Debug)]
pub(super) enum HeldLock {
    /// In the lock table, with the modes that this request added.
    Listed { hash: u64, modes: ModeSet },
    /// A table lock with the owner, unless a strong locker moved it into the lock table.
    Fast { hash: u64, modes: ModeSet, table: ObjectId },
    /// A table lock in the lock table, counted as strong.
    Strong { hash: u64, modes: ModeSet, table: ObjectId },
    /// Keys of a run, from `first` on.
    Run { tree: TreeId, first: u64 },
    /// A set of keys, and all that come into it.
    Set { tree: TreeId, mode: Mode },
}

/// How much was held at some moment, to return to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockMark {
    /// Locks.
    pub(super) len: usize,
    /// Where the run ended that was the last of them.
    pub(super) run_end: u64,
    /// Advisory locks, which the session's owner holds for the transaction.
    pub(super) advisory: u32,
    /// What functions locked stays; it goes with the whole transaction alone.
    pub(super) keeps_beside: bool,
}

/// The locks of one transaction in the order they were taken; reused by the next.
#[derive(Debug)]
pub struct HeldLocks {
    locks: Vec<HeldLock>,
    /// One past the last key of the last lock, when that is a run.
    run_end: u64,
    /// Keys in sets.
    in_sets: usize,
    /// How many locks there were at the newest mark that may be returned to.
    marked: Cell<usize>,
    memory: Reservation,
}

impl HeldLocks {
    /// None yet.
    pub fn new(memory: &Arc<MemoryAccount>) -> HeldLocks {
        HeldLocks {
            locks: Vec::new(),
            run_end: 0,
            in_sets: 0,
            marked: Cell::new(0),
            memory: memory.reservation(),
        }
    }

    /// How many entries there are; keys of a run count once.
    pub fn len(&self) -> usize {
        self.locks.len()
    }

    /// As [`HeldLocks::len`], keys in sets counted each.
    pub(super) fn count(&self) -> usize {
        self.locks.len() + self.in_sets
    }

    /// How many locks there were at the newest mark that may be returned to.
    pub(super) fn marked(&self) -> usize {
        self.marked.get()
    }

    /// A set of so many keys is gone.
    pub(super) fn note_set_gone(&mut self, keys: u64) {
        self.in_sets = self.in_sets.saturating_sub(keys as usize);
    }

    /// A key came into a set.
    pub(super) fn note_in_set(&mut self) {
        self.in_sets += 1;
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.locks.is_empty()
    }

    /// As `mark`, and what is locked from here on can be told from what was locked before, also in sets.
    pub(super) fn mark_to_return(&self, advisory: u32) -> LockMark {
        self.marked.set(self.locks.len());
        self.mark(advisory)
    }

    /// What is held now, besides `advisory` locks: [`super::lock_manager::LockManager::release_to`] returns to it.
    pub(super) fn mark(&self, advisory: u32) -> LockMark {
        LockMark { len: self.locks.len(), run_end: self.run_end, advisory, keeps_beside: true }
    }

    /// What is held now of rows and tables: advisory locks stay where it is returned to.
    pub(super) fn mark_of_rows(&self) -> LockMark {
        self.mark(u32::MAX)
    }

    /// Makes room for one more, so that recording a granted lock cannot fail.
    pub(super) fn reserve_one(&mut self) -> Result<()> {
        if self.locks.len() == self.locks.capacity() {
            let more = self.locks.len().max(8);
            self.memory.grow(more * size_of::<HeldLock>())?;
            self.locks.reserve_exact(more);
        }
        Ok(())
    }

    /// Records a granted lock; there is room for it.
    pub(super) fn push(&mut self, lock: HeldLock) {
        self.run_end = 0;
        self.locks.push(lock);
    }

    /// Records that key `number` was added to the owner's run in `tree`; there is room for it.
    pub(super) fn push_run_key(&mut self, tree: TreeId, number: u64) {
        let goes_on = self.run_end == number
            && matches!(self.locks.last(), Some(HeldLock::Run { tree: last, .. }) if *last == tree);
        if !goes_on {
            self.locks.push(HeldLock::Run { tree, first: number });
        }
        self.run_end = number + 1;
    }

    /// Takes the newest lock above `mark`.
    pub(super) fn pop_above(&mut self, mark: LockMark) -> Option<HeldLock> {
        if self.locks.len() > mark.len {
            return self.locks.pop();
        }
        None
    }

    /// Ends a return to `mark`: what the run that is the last lock now must be cut to.
    pub(super) fn settle(&mut self, mark: LockMark) -> Option<(TreeId, u64)> {
        self.run_end = mark.run_end;
        self.marked.set(self.marked.get().min(mark.len));
        if self.locks.is_empty() {
            self.in_sets = 0;
        }
        if self.locks.is_empty() && self.locks.capacity() > HELD_STEP {
            self.locks = Vec::new();
            self.memory.resize(0).expect("shrinking a reservation never fails");
        }
        match self.locks.last() {
            Some(HeldLock::Run { tree, .. }) if mark.run_end > 0 => Some((*tree, mark.run_end)),
            _ => None,
        }
    }
}
